//! A cable between the gateway and a peer, which is gone when it is dropped.

use std::io;
use std::sync::Arc;

use transload_lab::{Host, Namespace, veth};

use super::raw;

/// A device of the gateway's namespace that leads to a peer.
///
/// The namespace at the far end would take it along, but at a moment of the kernel's choice: whoever lays the next
/// cable would find the name taken.
pub(super) struct Cable {
    gateway: Arc<Namespace>,
    device: &'static str,
}

impl Cable {
    /// Lays one to a device of another namespace.
    ///
    /// # Errors
    /// When a device of that name is there already.
    pub(super) fn lay(
        gateway: &Arc<Namespace>,
        device: &'static str,
        far: (&Namespace, &str),
        mtu: u16,
    ) -> io::Result<Self> {
        let cable = Self::of(gateway, device);
        veth((gateway, device), far, mtu)?;
        Ok(cable)
    }

    /// One that somebody else lays.
    pub(super) fn of(gateway: &Arc<Namespace>, device: &'static str) -> Self {
        Self { gateway: gateway.clone(), device }
    }

    /// Sends a frame to the peer as if it came from the gateway.
    ///
    /// # Errors
    /// When there is no such device.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        raw::send(&self.gateway, self.device, frame)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let device = self.device;
        // Ten seconds at most; a device that stays is a failure of whoever needs its name next, which says so.
        let _ = self.gateway.sh(&format!(
            "for n in $(seq 200); do ip link del {device} || true; ip link show {device} || exit 0; sleep 0.05; done \
             >/dev/null 2>&1"
        ));
    }
}

#[cfg(test)]
mod tests {
    use transload_lab::need;

    use super::*;

    #[test]
    fn a_cable_can_be_laid_again_as_soon_as_its_far_end_has_gone() {
        need!(root, ip);
        let gateway = Arc::new(Namespace::new().unwrap());
        for _ in 0..50 {
            let far = Namespace::new().unwrap();
            // Somebody there keeps the device busy to the end, as a switch does.
            far.background("sleep 60").unwrap();
            let cable = Cable::lay(&gateway, "again", (&far, "eth0"), 1500).unwrap();
            drop((cable, far));
        }
        assert!(gateway.sh("ip link show again").is_err());
    }

    #[test]
    fn without_that_the_name_may_still_be_taken() {
        need!(root, ip);
        let gateway = Namespace::new().unwrap();
        let again = (0..50).try_for_each(|_| {
            let far = Namespace::new()?;
            veth((&gateway, "again"), (&far, "eth0"), 1500)
        });
        assert!(again.unwrap_err().to_string().contains("File exists"), "the test above could not fail");
    }
}
