//! Which sites there are: every encapsulation that a stack speaks, over every underlay.

use transload_lab::skip;

use super::endpoint::Endpoint;
use super::site::{Encap, Site, Underlay};
use super::stack::Stack;

/// What a stack can be asked for: the site's name behind the stack's, and what it is.
const LINUX: &[(&str, Encap, Underlay)] = &[
    ("vxlan", Encap::Vxlan, Underlay::V4),
    ("vxlan6", Encap::Vxlan, Underlay::V6),
    ("gre", Encap::Gre, Underlay::V4),
    ("gre6", Encap::Gre, Underlay::V6),
    ("gre-checked", Encap::GreChecked, Underlay::V4),
    ("nvgre", Encap::NvgreZero, Underlay::V4),
    ("nvgre6", Encap::NvgreZero, Underlay::V6),
    ("qinq", Encap::QinQ, Underlay::Cable),
    ("vlan", Encap::Vlan, Underlay::Cable),
];

const OVS: &[(&str, Encap, Underlay)] = &[
    ("vxlan", Encap::Vxlan, Underlay::V4),
    ("vxlan6", Encap::Vxlan, Underlay::V6),
    ("gre", Encap::Gre, Underlay::V4),
    ("gre6", Encap::Gre, Underlay::V6),
    ("nvgre", Encap::Nvgre, Underlay::V4),
    ("nvgre6", Encap::Nvgre, Underlay::V6),
    ("qinq", Encap::QinQ, Underlay::Cable),
];

/// A site that is not there, and why.
#[derive(Debug, Clone)]
pub struct Absent {
    /// Its name.
    pub name: String,
    /// The peer stack that it would run.
    pub stack: Stack,
    /// What is missing, in words.
    pub why: String,
    /// Whether nothing can be installed that would bring it: then no case speaks of it.
    pub is_final: bool,
}

/// The sites of the stacks that are asked for (names of stacks or sites; all if there are none), and those that this
/// machine does not have.
#[must_use]
pub fn roster(asked: &[String]) -> (Vec<Site>, Vec<Absent>) {
    let (mut sites, mut absent) = (Vec::new(), Vec::new());
    for stack in BENCH {
        let missing = stack.missing();
        for &(word, encap, underlay) in sites_of(stack) {
            let name = format!("{stack}-{word}");
            if !asked.is_empty() && !asked.iter().any(|asked| *asked == name || asked == stack.port()) {
                continue;
            }
            match (missing.clone(), lacks(stack, encap)) {
                (Some(why), _) => absent.push(Absent { name, stack, why, is_final: false }),
                (None, Some(why)) => absent.push(Absent { name, stack, why, is_final: true }),
                (None, None) => sites.push(site(name, stack, encap, underlay, sites.len() as u8 + 1)),
            }
        }
    }
    if let Some(site) = Endpoint::here().map(Endpoint::site) {
        match Stack::External.missing() {
            Some(why) => absent.push(Absent { name: site.name, stack: site.stack, why, is_final: false }),
            None => sites.push(site),
        }
    }
    (sites, absent)
}

/// The bench's own stacks.
const BENCH: [Stack; 3] = [Stack::Kernel, Stack::Uml, Stack::Ovs];

/// What a stack of the bench's own can be asked for.
fn sites_of(stack: Stack) -> &'static [(&'static str, Encap, Underlay)] {
    if stack == Stack::Ovs { OVS } else { LINUX }
}

/// Every name of a stack or site, here or not; with the external endpoint's, if one takes part.
#[must_use]
pub fn names() -> Vec<String> {
    let of_stack = |stack: Stack| {
        let sites = sites_of(stack).iter().map(move |(word, ..)| format!("{stack}-{word}"));
        std::iter::once(stack.port().to_owned()).chain(sites)
    };
    BENCH.into_iter().flat_map(of_stack).chain(Endpoint::here().map(|endpoint| endpoint.name.clone())).collect()
}

/// Whether a name is taken by the bench's own stacks, sites and ports.
pub(super) fn is_of_the_bench(name: &str) -> bool {
    Stack::ALL.iter().any(|stack| name == stack.port() || name == stack.tagged_port())
        || BENCH.iter().any(|stack| sites_of(*stack).iter().any(|(word, ..)| name == format!("{stack}-{word}")))
}

/// What the running kernel lacks for an encapsulation.
fn lacks(stack: Stack, encap: Encap) -> Option<String> {
    if stack != Stack::Kernel {
        return None;
    }
    let need = match encap {
        Encap::Vxlan => skip::vxlan(),
        Encap::Gre | Encap::GreChecked | Encap::Nvgre | Encap::NvgreZero => skip::gretap(),
        Encap::QinQ | Encap::Vlan => skip::vlan(),
    };
    need.err().map(|what| format!("needs {what}"))
}

fn site(name: String, stack: Stack, encap: Encap, underlay: Underlay, number: u8) -> Site {
    let (net, last) = (stack.number(), 10 + number);
    let addresses = match underlay {
        Underlay::V4 => (format!("{}.1", stack.net()), format!("{}.{last}", stack.net())),
        // Open vSwitch 3.1 sends all tunnels over IPv6 from one address, whatever `local_ip` says: ours tell them apart.
        Underlay::V6 if stack == Stack::Ovs => (format!("fd00:{net}::1:{last:x}"), format!("fd00:{net}::a")),
        Underlay::V6 => (format!("fd00:{net}::1"), format!("fd00:{net}::{last:x}")),
        Underlay::Cable => (String::new(), String::new()),
    };
    Site { name, stack, encap, underlay, number, addresses }
}
