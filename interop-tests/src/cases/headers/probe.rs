//! A ping of one host to another, as it was on the cables; and the same request once more, with something turned
//! over on the way.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use transload_lab::interrupt;

use super::packet::Packet;
use crate::outcome::{Stop, must};
use crate::testbed::{Site, Tenant, Testbed, Underlay, now};
use crate::traffic::settle;

/// How long a frame may take from cable to cable, captures included, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(3);
/// Two frames on their way by different processors may overtake each other by less than this.
const GRACE: Duration = Duration::from_millis(100);
/// How often that is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// An ICMP echo message inside a tenant's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Echo {
    /// 8 asks, 0 answers.
    kind: u8,
    /// Identifier and sequence number.
    number: [u8; 4],
    /// DSCP and ECN.
    pub(super) class: u8,
}

/// An echo message on a cable.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    /// The whole frame.
    pub(super) frame: Vec<u8>,
    /// The message.
    pub(super) echo: Echo,
    /// The tunnel packet around it, if it is in one.
    pub(super) packet: Option<Packet>,
}

impl Sight {
    fn of(frame: &[u8]) -> Option<Self> {
        let packet = Packet::of(frame);
        let tenant = packet.as_ref().map_or(frame, Packet::tenant);
        let tags =
            tenant.get(12..)?.chunks(4).take_while(|tag| matches!(tag, [0x81, 0, ..] | [0x88, 0xa8, ..])).count();
        let ip = tenant.get(14 + 4 * tags..)?;
        let echo = match (tenant.get(12 + 4 * tags..)?, ip.first()?, ip.get(9)?) {
            ([8, 0, ..], 0x45, 1) => Echo { kind: *ip.get(20)?, number: *ip.get(24..)?.first_chunk()?, class: ip[1] },
            _ => return None,
        };
        Some(Self { frame: frame.to_vec(), echo, packet })
    }

    /// Whether it goes to a site, and not to the gateway.
    fn is_to(&self, site: &Site) -> bool {
        self.is_between(site, 0, Packet::ends)
    }

    /// Whether it comes from a site.
    fn is_from(&self, site: &Site) -> bool {
        self.is_between(site, 6, |packet| (packet.ends().1, packet.ends().0))
    }

    /// A switch may send from one address for several sites: ours tells them apart.
    fn is_between(&self, site: &Site, mac: usize, ends: fn(&Packet) -> (IpAddr, IpAddr)) -> bool {
        let (ours, theirs) = &site.addresses;
        match &self.packet {
            Some(packet) => ours.parse().ok().zip(theirs.parse().ok()) == Some(ends(packet)),
            None => site.underlay == Underlay::Cable && hex(&self.frame[mac..mac + 6]) == site.mac(),
        }
    }
}

fn hex(mac: &[u8]) -> String {
    mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Every echo message on a site's cable since a moment.
fn sights(testbed: &Testbed, site: &Site, since: u64) -> io::Result<Vec<Sight>> {
    let mut found = Vec::new();
    for tape in testbed.tapes().iter().filter(|tape| tape.stack == site.stack) {
        found.extend(tape.frames(since, now())?.iter().filter_map(|record| Sight::of(&record.bytes)));
    }
    Ok(found)
}

/// The first of these that appears within [`PATIENCE`].
fn wait<T>(mut look: impl FnMut() -> io::Result<Option<T>>) -> io::Result<Option<T>> {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = look()?;
        if found.is_some() || Instant::now() > end {
            return Ok(found);
        }
        interrupt::pause(GLANCE)?;
    }
}

/// One ping from a host at a site to one at another, which was answered.
pub(super) struct Probe<'b> {
    testbed: &'b Testbed,
    from: &'b Site,
    to: &'b Site,
    /// The request as it left the first site.
    pub(super) sent: Sight,
    /// The request as it went to the second.
    pub(super) carried: Sight,
    /// The answer as it left the second.
    pub(super) answer: Sight,
}

impl<'b> Probe<'b> {
    /// Sends one, with these options of `ping`.
    pub(super) fn ask(testbed: &'b Testbed, from: &'b Site, to: &'b Site, options: &str) -> Result<Self, Stop> {
        if testbed.tapes().is_empty() {
            return Err(Stop::NotRun("needs captures (apt-get install tcpdump)".to_owned()));
        }
        let host = testbed.host(from, Tenant::Blue);
        settle(&*host, &to.v4())?;
        let since = now();
        host.sh(&format!("ping -n -q -c 1 -W 5 {options} {}", to.v4()))?;
        let seen = |site: &Site, is_it: &dyn Fn(&Sight) -> bool| {
            wait(|| Ok(sights(testbed, site, since)?.into_iter().find(is_it)))?
                .ok_or_else(|| Stop::Failed(format!("the ping is not on the cable of {site}")))
        };
        let sent = seen(from, &|sight| sight.echo.kind == 8 && sight.is_from(from))?;
        let own = sent.echo.number;
        let carried = seen(to, &|sight| sight.echo.kind == 8 && sight.echo.number == own && sight.is_to(to))?;
        let answer = seen(to, &|sight| sight.echo.kind == 0 && sight.echo.number == own && sight.is_from(to))?;
        Ok(Self { testbed, from, to, sent, carried, answer })
    }

    /// The request's packet as the first site sent it.
    pub(super) fn packet(&self) -> Result<Packet, Stop> {
        self.sent.packet.clone().ok_or_else(|| Stop::Failed("the request is in no tunnel".to_owned()))
    }

    /// The request's packet as the gateway sent it to the second site.
    pub(super) fn carried_packet(&self) -> Result<Packet, Stop> {
        self.carried.packet.clone().ok_or_else(|| Stop::Failed("the request is in no tunnel".to_owned()))
    }

    /// Sends this to the gateway, as if from the first site, and waits until the request reaches the second once more.
    pub(super) fn is_carried(&self, frame: &[u8]) -> Result<Sight, Stop> {
        let since = now();
        self.testbed.machine(self.from.stack).send_to_gateway(frame, self.from)?;
        let again = wait(|| self.at(self.to, since))?;
        again.ok_or_else(|| Stop::Failed("the gateway did not carry it".to_owned()))
    }

    /// Sends this to the gateway: it must be dropped under this name, and not reach the second site.
    pub(super) fn is_dropped(&self, frame: &[u8], reason: &str) -> Result<(), Stop> {
        let (since, before) = (now(), self.count(reason, "dropped")?);
        self.testbed.machine(self.from.stack).send_to_gateway(frame, self.from)?;
        let counted = wait(|| Ok((self.count(reason, "dropped")? > before).then_some(())))?;
        must(counted.is_some(), || format!("it is not counted as {reason}"))?;
        must(self.at(self.to, since)?.is_none(), || "it was carried all the same".to_owned())
    }

    fn at(&self, site: &Site, since: u64) -> io::Result<Option<Sight>> {
        let own = self.sent.echo.number;
        let is_it = |sight: &Sight| sight.echo.kind == 8 && sight.echo.number == own && sight.is_to(site);
        Ok(sights(self.testbed, site, since)?.into_iter().find(is_it))
    }

    /// Sends this to the second site, as if from the gateway: whether its host answers.
    pub(super) fn is_answered(&self, frame: &[u8]) -> Result<bool, Stop> {
        Ok(self.answer_class(frame)?.is_some())
    }

    /// Sends this to the second site, as if from the gateway: with which DSCP and ECN its host answers, which are
    /// those that it read. `None` if it does not: it has answered a later request by then.
    pub(super) fn answer_class(&self, frame: &[u8]) -> Result<Option<u8>, Stop> {
        let since = now();
        self.testbed.machine(self.to.stack).send_to_peer(frame, self.to)?;
        Self::ask(self.testbed, self.from, self.to, "")?;
        interrupt::pause(GRACE)?;
        let own = self.sent.echo.number;
        let is_it = |sight: &Sight| sight.echo.kind == 0 && sight.echo.number == own && sight.is_from(self.to);
        Ok(sights(self.testbed, self.to, since)?.into_iter().find(is_it).map(|sight| sight.echo.class))
    }

    /// How often the gateway has counted this.
    pub(super) fn count(&self, reason: &str, what: &str) -> io::Result<u64> {
        let rows = self.testbed.gateway()?.show("drops")?;
        let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["reason"] == reason));
        Ok(row.and_then(|row| row[what].as_u64()).unwrap_or(0))
    }
}
