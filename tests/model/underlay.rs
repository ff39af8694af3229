//! What is outside of the gateway: links that are up or down, and the ways to far ends. The source of paths looks at it
//! when it is its turn, as the kernel's tables are looked at; the model asks it too.

use std::collections::{BTreeMap, BTreeSet};

use crate::frames::NextHop;
use crate::settings::Far;

/// The gateway's ports, in the order of their numbers.
pub(crate) const PORTS: [&str; 3] = ["up", "north", "access"];

/// The world outside.
#[derive(Debug, Default)]
pub(crate) struct Underlay {
    /// The ways to far ends; whoever is not here is behind `up`.
    routes: BTreeMap<Far, Vec<NextHop>>,
    down: BTreeSet<&'static str>,
}

impl Underlay {
    pub(crate) fn set_route(&mut self, to: Far, hops: Vec<NextHop>) {
        self.routes.insert(to, hops);
    }

    pub(crate) fn set_link(&mut self, port: &'static str, is_down: bool) {
        if is_down {
            self.down.insert(port);
        } else {
            self.down.remove(port);
        }
    }

    pub(crate) const fn down(&self) -> &BTreeSet<&'static str> {
        &self.down
    }

    /// The next hops to a far end by links that are up; of what a file states, that alone.
    pub(crate) fn hops(&self, to: Far, stated: Option<(Far, u8)>) -> Vec<NextHop> {
        let stated = stated.filter(|(far, _)| *far == to).map(|(_, mac)| vec![NextHop { port: "up", mac }]);
        let routed = || self.routes.get(&to).cloned().unwrap_or_else(|| vec![NextHop { port: "up", mac: 0x80 | to }]);
        stated.unwrap_or_else(routed).into_iter().filter(|hop| !self.down.contains(hop.port)).collect()
    }
}
