//! A machine that holds a stack's sites: its tunnels end there, and its tenants' hosts are there.

use std::io;

use transload_lab::Host;

use super::site::{Site, Tenant};

/// A furnished machine.
pub trait Machine: Send {
    /// A tenant's host at a site of this machine. Its device is `t0`.
    fn host(&self, site: &Site, tenant: Tenant) -> Box<dyn Host + '_>;

    /// Where the tunnels end.
    fn under(&self) -> &dyn Host;

    /// Why it is of no use any more, in words about "it"; none while it is.
    fn lost(&self) -> Option<String> {
        None
    }

    /// Sends a frame to the gateway as if it came from this machine.
    ///
    /// # Errors
    /// When it cannot be sent.
    fn send_to_gateway(&self, frame: &[u8], site: &Site) -> io::Result<()>;

    /// Sends a frame to this machine as if it came from the gateway.
    ///
    /// # Errors
    /// When it cannot be sent.
    fn send_to_peer(&self, frame: &[u8], site: &Site) -> io::Result<()>;
}

/// The lines that give a host its addresses, on a device `t0` that is there.
pub(super) fn addresses(site: &Site) -> String {
    format!(
        "ip link set t0 address {mac} mtu {mtu} && ip addr add {v4}/24 dev t0 && ip addr add {v6}/64 dev t0 nodad && \
         ip link set t0 up && ip route add 224.0.0.0/4 dev t0",
        mac = site.mac(),
        mtu = site.mtu(),
        v4 = site.v4(),
        v6 = site.v6(),
    )
}
