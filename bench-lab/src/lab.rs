//! The lab: a namespace for the gateway, one for the world outside, and two cables between them.
//!
//! ```text
//!   outside            gateway
//!   far1 ────────────── up1      traffic is made on far1, arrives on up1,
//!   far2 ────────────── up2      leaves by up2 and is counted on far2
//! ```

use std::io;

use transload_lab::{Host, Namespace, veth};

use crate::path::{Path, text};

/// Room for the longest tenant's frame and any tunnel.
const MTU: u16 = 1600;

/// The namespaces. They are gone when this is.
#[derive(Debug)]
pub struct Lab {
    /// Where traffic comes from and goes to.
    pub outside: Namespace,
    /// Where the gateway is.
    pub gateway: Namespace,
    /// Where the second cable ends if real hosts are at the ends.
    pub beyond: Option<Namespace>,
}

impl Lab {
    /// Builds it for a path, without a gateway.
    ///
    /// # Errors
    /// Without the right to make namespaces.
    pub fn build(path: &Path) -> io::Result<Self> {
        Self::furnish(path, None)
    }

    /// The same with a namespace for the end of each cable.
    ///
    /// # Errors
    /// Without the right to make namespaces.
    pub fn with_hosts(path: &Path) -> io::Result<Self> {
        Self::furnish(path, Some(Namespace::new()?))
    }

    fn furnish(path: &Path, beyond: Option<Namespace>) -> io::Result<Self> {
        let lab = Self { outside: Namespace::new()?, gateway: Namespace::new()?, beyond };
        // Nobody else speaks here.
        for place in [&lab.outside, &lab.gateway].into_iter().chain(&lab.beyond) {
            place.sh("for file in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $file; done")?;
        }
        let ends = [&lab.outside, lab.beyond.as_ref().unwrap_or(&lab.outside)];
        for (side, end) in [&path.from, &path.to].into_iter().zip(ends) {
            let (near, far) = (side.device, side.outside);
            veth((&lab.gateway, near), (end, far), MTU)?;
            end.sh(&format!("ip link set {far} address {}", text(side.peer_mac())))?;
            // GRO makes a veth take frames that XDP sends it.
            lab.gateway.sh(&format!(
                "ip link set {near} address {}; ethtool -K {near} gro on >/dev/null",
                text(side.gateway_mac())
            ))?;
        }
        Ok(lab)
    }

    /// Gives the gateway's devices their addresses, and tells it where the far ends are.
    ///
    /// # Errors
    /// When a device is not there.
    pub fn address(&self, path: &Path) -> io::Result<()> {
        for side in [&path.from, &path.to] {
            let (device, peer, mac) = (side.device, side.peer, text(side.peer_mac()));
            let address = side.gateway;
            self.gateway.sh(&format!(
                "ip addr add {address}/24 dev {device}; ip neigh replace {peer} lladdr {mac} dev {device} nud permanent"
            ))?;
        }
        Ok(())
    }
}
