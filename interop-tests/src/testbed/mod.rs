//! The testbed: one gateway, every peer stack that is there, and behind each of their tunnels a host of two tenants.
//!
//! It is built once and used by every case, so that a kernel boots once and not for each of them.

mod cable;
mod capture;
mod endpoint;
mod external;
mod file;
mod kernel;
mod linux;
mod machine;
mod network;
mod ovs;
mod raw;
mod roster;
mod site;
mod stack;
mod uml;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use transload_lab::uml::UmlFailure;
use transload_lab::{Gateway, Host, Namespace, interrupt, skip};

use crate::drops::Drops;

pub use capture::{Tape, now};
pub use endpoint::Endpoint;
pub use file::gateway_file;
pub use machine::Machine;
pub use network::Network;
pub use roster::{Absent, names, roster};
pub use site::{Encap, Family, Site, Tenant, Underlay};
pub use stack::Stack;

/// The testbed. Dropped, it leaves nothing behind.
pub struct Testbed {
    // Dropped in this order: who has a socket in the gateway's world goes first.
    machines: BTreeMap<Stack, Box<dyn Machine>>,
    gateway: Option<Gateway>,
    tapes: Vec<Tape>,
    middle: Option<Arc<Namespace>>,
    sites: Vec<Site>,
    /// The sites of peers that did not come up.
    left_out: Vec<Absent>,
    /// The sites of peers that the current case goes on without.
    aside: Vec<Site>,
    /// What earlier gateways dropped.
    dropped_before: Drops,
    /// Whether a case has failed on it, which may have left anything.
    is_distrusted: bool,
    /// The folder of captures and sockets.
    place: PathBuf,
}

impl Testbed {
    /// Builds it for these sites, but for those of peers that do not come up. Captures are kept in `place`, with the
    /// sockets; `said` is told what goes on.
    ///
    /// # Errors
    /// When the gateway does not come up, or somebody interrupts; what was built is taken down again.
    pub fn build(sites: Vec<Site>, place: &Path, said: &mut dyn FnMut(&str)) -> io::Result<Self> {
        let middle = skip::root().is_ok().then(Namespace::new).transpose()?.map(Arc::new);
        let mut testbed = Self {
            machines: BTreeMap::new(),
            gateway: None,
            tapes: Vec::new(),
            middle,
            sites,
            left_out: Vec::new(),
            aside: Vec::new(),
            dropped_before: Drops::default(),
            is_distrusted: false,
            place: place.to_owned(),
        };
        testbed.raise(said)?;
        Ok(testbed)
    }

    /// Every peer, then the gateway, then whose cable is a socket of the gateway's.
    fn raise(&mut self, said: &mut dyn FnMut(&str)) -> io::Result<()> {
        for stack in self.stacks().into_iter().filter(|stack| *stack != Stack::Uml) {
            said(&format!("building {stack}"));
            self.furnish_or_leave_out(stack, said)?;
        }
        if self.sites.is_empty() {
            return Ok(());
        }
        said("starting the gateway");
        self.start_gateway("")?;
        if self.stacks().contains(&Stack::Uml) {
            said("booting User-Mode Linux");
            self.furnish_or_leave_out(Stack::Uml, said)?;
            if !self.has(Stack::Uml) && !self.sites.is_empty() {
                self.restart_gateway("")?;
            }
        }
        Ok(())
    }

    /// One peer that does not come up takes only its own sites along.
    fn furnish_or_leave_out(&mut self, stack: Stack, said: &mut dyn FnMut(&str)) -> io::Result<()> {
        let Err(why) = self.furnish(stack) else { return Ok(()) };
        interrupt::check()?;
        said(&format!("{stack} does not come up and is left out: {why}"));
        let why = format!("{stack} does not come up: {}", in_one_line(&why));
        let gone = self.sites.extract_if(.., |site| site.stack == stack);
        self.left_out.extend(gone.map(|Site { name, stack, .. }| Absent {
            name,
            stack,
            why: why.clone(),
            is_final: false,
        }));
        Ok(())
    }

    /// From now on nothing here is trusted to be as a case expects it: [`mend`](Self::mend) builds it anew.
    pub fn distrust(&mut self) {
        self.is_distrusted = true;
    }

    /// Builds everything anew, if a case has failed since this was last done or a peer was lost. What a failure has
    /// left, be it a device that is down or a peer that is away, is no fault of the next case.
    ///
    /// # Errors
    /// When the gateway does not come up, or somebody interrupts.
    pub fn mend(&mut self) -> io::Result<()> {
        if !self.is_distrusted && self.lost().is_empty() {
            return Ok(());
        }
        // The gateway goes first, so that nobody hears both the old and the new one's sequence numbers.
        drop(self.gateway.take());
        self.machines.clear();
        self.raise(&mut |_| ())?;
        self.is_distrusted = false;
        Ok(())
    }

    /// The stacks whose machines are of no use any more, and why: they died, and nobody took them away.
    #[must_use]
    pub fn lost(&self) -> Vec<(Stack, String)> {
        self.machines.iter().filter_map(|(&stack, machine)| Some((stack, machine.lost()?))).collect()
    }

    /// Goes on without a stack from the next [`mend`](Self::mend) on, until [`bring_back`](Self::bring_back). Returns
    /// its sites.
    pub fn set_aside(&mut self, stack: Stack) -> Vec<Site> {
        let gone: Vec<_> = self.sites.extract_if(.., |site| site.stack == stack).collect();
        self.aside.extend_from_slice(&gone);
        self.distrust();
        gone
    }

    /// Those that were set aside take part again from the next [`mend`](Self::mend) on.
    pub fn bring_back(&mut self) {
        if !self.aside.is_empty() {
            self.sites.append(&mut self.aside);
            self.sites.sort_by_key(|site| site.number);
            self.distrust();
        }
    }

    /// What the gateway has dropped so far, and those before it.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn drops(&self) -> io::Result<Drops> {
        Ok(self.dropped_before.clone().and(Drops::of(self.gateway()?)?))
    }

    /// The sites of peers that did not come up, and why.
    #[must_use]
    pub fn left_out(&self) -> &[Absent] {
        &self.left_out
    }

    /// Whether a stack's machine is there.
    #[must_use]
    pub fn has(&self, stack: Stack) -> bool {
        self.machines.contains_key(&stack)
    }

    /// The stacks with a site here.
    #[must_use]
    pub fn stacks(&self) -> Vec<Stack> {
        Stack::ALL.into_iter().filter(|&stack| self.sites.iter().any(|site| site.stack == stack)).collect()
    }

    /// The sites.
    #[must_use]
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// A tenant's host at a site. Its device is `t0`.
    ///
    /// # Panics
    /// For a site that is none of this testbed.
    #[must_use]
    pub fn host(&self, site: &Site, tenant: Tenant) -> Box<dyn Host + '_> {
        self.machine(site.stack).host(site, tenant)
    }

    /// The machine that a stack runs on.
    ///
    /// # Panics
    /// For a stack without a site here.
    #[must_use]
    pub fn machine(&self, stack: Stack) -> &dyn Machine {
        &*self.machines[&stack]
    }

    /// The gateway.
    ///
    /// # Errors
    /// When it is not running.
    pub fn gateway(&self) -> io::Result<&Gateway> {
        self.gateway.as_ref().ok_or_else(|| io::Error::other("the gateway is not running"))
    }

    /// Where the gateway runs, if it is a namespace.
    #[must_use]
    pub fn middle(&self) -> Option<&Namespace> {
        self.middle.as_deref()
    }

    /// The captures.
    #[must_use]
    pub fn tapes(&self) -> &[Tape] {
        &self.tapes
    }

    /// Ends the gateway, as a service manager does, and starts it again; `tenant_options` are lines for both tenants.
    ///
    /// # Errors
    /// When it does not end well or does not start.
    pub fn restart_gateway(&mut self, tenant_options: &str) -> io::Result<()> {
        if let Some(gateway) = self.gateway.take() {
            // One that does not answer says so when it is stopped.
            let dropped = Drops::of(&gateway).unwrap_or_default();
            self.dropped_before = std::mem::take(&mut self.dropped_before).and(dropped);
            gateway.stop()?;
        }
        self.start_gateway(tenant_options)
    }

    /// Sends a site packets until its sequence numbers are past those of an earlier gateway: a gateway starts from 0,
    /// which a peer that checks takes for late packets (RFC 2890 §2.2).
    ///
    /// # Errors
    /// When the site does not answer in the end.
    pub fn catch_up(&self, site: &Site) -> io::Result<()> {
        let Some(other) = self.sites.iter().find(|other| other.stack != site.stack) else { return Ok(()) };
        let host = self.host(other, Tenant::Blue);
        // Its MAC address is told, for there is no answer to ARP before; with `-w`, ping sends until one is answered.
        let (address, mac) = (site.v4(), site.mac());
        host.sh(&format!(
            "ip neigh replace {address} lladdr {mac} dev t0 && ping -n -q -i 0.001 -c 1 -w 30 {address}"
        ))?;
        Ok(())
    }

    /// Takes a stack's machine away and builds it anew. Captures of a new User-Mode Linux are a new tape.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn restart_peer(&mut self, stack: Stack) -> io::Result<()> {
        self.machines.remove(&stack);
        self.furnish(stack)
    }

    /// Takes a stack's machine away.
    pub fn remove_peer(&mut self, stack: Stack) {
        self.machines.remove(&stack);
    }

    fn start_gateway(&mut self, tenant_options: &str) -> io::Result<()> {
        let file = gateway_file(&self.sites, &self.place, tenant_options);
        self.gateway = Some(match &self.middle {
            Some(namespace) => Gateway::start(namespace, &file)?,
            None => Gateway::start_unprivileged(&file)?,
        });
        Ok(())
    }

    fn furnish(&mut self, stack: Stack) -> io::Result<()> {
        let sites: Vec<_> = self.sites.iter().filter(|site| site.stack == stack).cloned().collect();
        let machine: Box<dyn Machine> = match (stack, self.middle.clone()) {
            (Stack::Uml, _) => {
                let file = self.place.join(format!("uml-{}.pcap", self.tapes.len()));
                let machine = uml::UserModeLinux::boot(&self.place, &file, &sites)?;
                self.tapes.push(Tape::of(stack, file));
                Box::new(machine)
            }
            (_, None) => return Err(io::Error::other("without root there are no namespaces")),
            (Stack::Ovs, Some(middle)) => {
                let machine = ovs::Switch::build(&middle, &sites)?;
                Self::address(&middle, stack, &sites)?;
                self.tape(stack, stack.tagged_port(), &middle)?;
                self.tape(stack, stack.port(), &middle)?;
                Box::new(machine)
            }
            (Stack::External, Some(middle)) => {
                let machine = external::External::reach(&middle)?;
                self.tape(stack, stack.port(), &middle)?;
                Box::new(machine)
            }
            (_, Some(middle)) => {
                let machine = kernel::Kernel::build(&middle, &sites)?;
                Self::address(&middle, stack, &sites)?;
                self.tape(stack, stack.port(), &middle)?;
                Box::new(machine)
            }
        };
        self.machines.insert(stack, machine);
        Ok(())
    }

    /// Gives the gateway's end of a cable our tunnel addresses.
    fn address(middle: &Namespace, stack: Stack, sites: &[Site]) -> io::Result<()> {
        let ours = |underlay| sites.iter().filter(move |site| site.underlay == underlay).map(|site| &site.addresses.0);
        for (underlay, rest) in [(Underlay::V4, "/24"), (Underlay::V6, "/64 nodad")] {
            for address in ours(underlay).collect::<BTreeSet<_>>() {
                middle.sh(&format!("ip addr add {address}{rest} dev {}", stack.port()))?;
            }
        }
        Ok(())
    }

    fn tape(&mut self, stack: Stack, device: &str, middle: &Namespace) -> io::Result<()> {
        if skip::tcpdump().is_ok() {
            let file = self.place.join(format!("{device}-{}.pcap", self.tapes.len()));
            self.tapes.push(Tape::start(stack, middle, device, file)?);
        }
        Ok(())
    }
}

/// An error as it fits into a cell of the report.
fn in_one_line(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(failure) => UmlFailure::in_one_line(failure),
        None => error.to_string(),
    }
}
