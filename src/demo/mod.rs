//! `transload demo`: a small world of real network stacks around a real gateway, in network namespaces of its own.
//!
//! Four sites of one tenant speak four encapsulations; the gateway between them runs from 25 lines of YAML. Everybody
//! pings everybody and sends some TCP. Nothing is outside the namespaces, and nothing stays.

mod capture;
mod decode;
mod guest;
mod native;
mod outcome;
mod picture;
mod ping;
mod process;
mod sites;
mod speakers;
mod tcp;
mod uml;
mod world;

use std::fs;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use thiserror::Error;
use transload_lab::interrupt;

use crate::report::rows::DropRow;
use outcome::{Reach, Translation};
use sites::SITES;
pub use speakers::Hosts;
use speakers::{Cast, Speaker};
use world::World;

/// Why there was nothing to see.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The system permits no network namespaces.
    #[error("this system gives the demonstration no network namespaces of its own: {0}")]
    NotPermitted(io::Error),
    /// Something went wrong while it ran.
    #[error("{0}")]
    Failed(String),
    /// Nobody reads on; everything is cleaned up.
    #[error("cannot write to standard output: {0}")]
    Untold(io::Error),
    /// Ctrl-C.
    #[error("interrupted; everything is cleaned up")]
    Interrupted,
}

impl DemoError {
    /// What to do about it, if anything can be done.
    #[must_use]
    pub const fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotPermitted(_) => Some(
                "run it as root, or permit user namespaces: `sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu \
                 `sysctl kernel.apparmor_restrict_unprivileged_userns=0`; in a container, as root with `--privileged`",
            ),
            Self::Failed(_) | Self::Untold(_) | Self::Interrupted => None,
        }
    }

    fn of(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| {
            if interrupt::is_asked() { Self::Interrupted } else { Self::Failed(format!("{doing}: {error}")) }
        }
    }
}

/// Shows it. True if everything worked. To be called before the process has a second thread.
///
/// # Errors
/// When the world cannot be built, somebody interrupts, or `out` takes no more.
pub fn run(hosts: Hosts, out: &mut impl Write) -> Result<bool, DemoError> {
    let started = Instant::now();
    if !may_make_namespaces() {
        transload_lab::enter_user_namespace().map_err(DemoError::NotPermitted)?;
    }
    // A signal only sets a flag: whoever is at work sees it, stops, and cleans up by leaving.
    interrupt::watch().map_err(DemoError::of("listening for signals"))?;

    let mut world = build(hosts, out)?;
    writeln!(out, "Up and running after {}.\n", seconds(started.elapsed())).map_err(DemoError::Untold)?;
    let go_on = || !interrupt::is_asked();
    let reaches = outcome::everybody(&mut world, go_on).map_err(DemoError::of("pinging"))?;
    writeln!(
        out,
        "Which host reached which, and how much TCP carried in a moment:\n\n{}\n",
        picture::reaches(&reaches)
    )
    .map_err(DemoError::Untold)?;

    let exchange = match world.hosts.as_mut_slice() {
        [from, to, ..] => outcome::exchange(from, to).map_err(DemoError::of("watching one frame"))?,
        _ => return Err(DemoError::Failed("there are no two hosts".into())),
    };
    writeln!(
        out,
        "One frame, before and after the gateway:\n\n{}\n",
        picture::exchange(&exchange, &SITES[0], &SITES[1])
    )
    .map_err(DemoError::Untold)?;
    let drops = world.gateway.ask::<DropRow>("/drops").map_err(DemoError::of("asking the gateway"))?;
    writeln!(out, "{}", dropped(&drops)).map_err(DemoError::Untold)?;
    let clean = world.stop().map_err(DemoError::of("stopping"))?;
    conclude(&reaches, &exchange, clean, started.elapsed(), out).map_err(DemoError::Untold)
}

/// Builds the world and shows it. Should User-Mode Linux not work here, a second transload does its part.
fn build(hosts: Hosts, out: &mut impl Write) -> Result<World, DemoError> {
    writeln!(out, "transload demo: one tenant, four encapsulations, one Ethernet segment\n")
        .map_err(DemoError::Untold)?;
    let mut speakers = speakers::cast(hosts).map_err(DemoError::NotPermitted)?;
    let mut built = World::build(speakers, &configuration(speakers));
    if let Err(error) = &built
        && speakers.contains(&Speaker::Uml)
        && !interrupt::is_asked()
    {
        writeln!(out, "{error}\n{}\n", replaced(speakers)).map_err(DemoError::Untold)?;
        speakers = speakers::cast(Hosts::Transload).map_err(DemoError::NotPermitted)?;
        built = World::build(speakers, &configuration(speakers));
    }
    let world = built.map_err(DemoError::of("building the world"))?;
    introduce(speakers, &configuration(speakers), out).map_err(DemoError::Untold)?;
    Ok(world)
}

/// What becomes of the sites that User-Mode Linux was to speak for.
fn replaced(speakers: Cast) -> String {
    let sites = SITES.iter().zip(speakers).filter(|(_, speaker)| *speaker == Speaker::Uml);
    let titles: Vec<_> = sites.map(|(site, _)| site.title).collect();
    format!("A second transload speaks in its place for: {}.", titles.join(", "))
}

/// The gateway's file. Linux compares the whole key of NVGRE with what it is configured to, so that only flow ID 0
/// will do.
fn configuration(speakers: Cast) -> String {
    let [_, nvgre, ..] = speakers;
    match nvgre {
        Speaker::Transload(_) => sites::GATEWAY.to_owned(),
        Speaker::Kernel | Speaker::Uml => {
            sites::GATEWAY.replace("encap: nvgre }", "encap: { nvgre: { flow_id: zero } } }")
        }
    }
}

fn introduce(speakers: Cast, configuration: &str, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}\n", picture::world(speakers))?;
    writeln!(out, "Every box has a network stack of its own, and the hosts are reached by\n")?;
    writeln!(out, "{}\n", picture::legend(speakers))?;
    writeln!(out, "The gateway in the middle runs this file:\n\n{}", indented(configuration))
}

/// Lives as the host of this site, being the only process of a User-Mode Linux.
pub fn be_guest(site: &str) -> ! {
    guest::live(site)
}

/// Making network namespaces takes `CAP_SYS_ADMIN`, and furnishing them `CAP_NET_ADMIN`.
fn may_make_namespaces() -> bool {
    const NET_ADMIN: u64 = 1 << 12;
    const SYS_ADMIN: u64 = 1 << 21;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    bits & (NET_ADMIN | SYS_ADMIN) == NET_ADMIN | SYS_ADMIN
}

fn dropped(rows: &[DropRow]) -> String {
    let reasons = rows.iter().filter(|row| row.dropped > 0).map(|row| format!("{} {}", row.dropped, row.reason));
    let reasons: Vec<_> = reasons.collect();
    if reasons.is_empty() {
        "The gateway dropped no frame.".into()
    } else {
        format!("Dropped, by reason (the links' own ARP and IPv6 traffic is among them):\n{}.", reasons.join(", "))
    }
}

/// The last line, and whether all is well.
fn conclude(
    reaches: &[Reach],
    exchange: &Translation,
    clean: bool,
    took: Duration,
    out: &mut impl Write,
) -> io::Result<bool> {
    let worked = reaches.iter().filter(|reach| reach.worked()).count();
    let bytes = reaches.iter().filter_map(|reach| reach.tcp.as_ref().ok()).map(|moved| moved.bytes).sum();
    let all = reaches.len();
    let moved = picture::megabytes(bytes);
    writeln!(out, "{worked} of {all} pairs reached each other; TCP moved {moved:.1} MB, every byte as it was sent.")?;
    if clean {
        writeln!(out, "It took {}. Every process has ended and nothing is left behind.", seconds(took))?;
    } else {
        writeln!(out, "It took {}. A gateway did not end as it should.", seconds(took))?;
    }
    Ok(worked == all && exchange.is_unchanged() && clean)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".into() } else { format!("    {line}\n") }).collect()
}
