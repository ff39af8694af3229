//! Two leafs of the running kernel, one over IPv4 and one over IPv6, and the gateway's namespace between them: the
//! smallest world in which two VNIs become one network.

use std::io;

use transload_lab::Namespace;

use crate::world::Leaf;

/// The gateway's file: a tenant that has VNI 100 on the left and VNI 200 on the right.
pub const FILE: &str = r#"
version: 1
ports:
  up1: { device: eth1 }
  up2: { device: eth2 }
endpoints:
  v4: { address: 192.0.2.1, ports: [up1] }
  v6: { address: "fd00:2::1", ports: [up2] }
peers:
  left: { address: 192.0.2.11, encap: vxlan }
  right: { address: "fd00:2::22", encap: vxlan }
tenants:
  blue:
    attachments:
      left: { peer: left, vni: 100 }
      right: { peer: right, vni: 200 }
"#;

/// The left leaf.
pub const LEFT: Leaf<'_> = Leaf { device: "eth1", gateway: "192.0.2.1", address: "192.0.2.11", mtu: 1500 };
/// The right leaf.
pub const RIGHT: Leaf<'_> = Leaf { device: "eth2", gateway: "fd00:2::1", address: "fd00:2::22", mtu: 1500 };

/// Both leafs with a VXLAN device `vx0` each, and the namespace between them, before a gateway runs there.
#[derive(Debug)]
pub struct World {
    /// The left leaf, 10.1.0.1 to the tenant.
    pub left: Namespace,
    /// The right leaf, 10.1.0.2 to the tenant.
    pub right: Namespace,
    /// The gateway's.
    pub middle: Namespace,
}

impl World {
    /// On cables that carry IP packets of so many bytes.
    ///
    /// # Errors
    /// Without the right to make namespaces.
    pub fn new(mtu: u16) -> io::Result<Self> {
        let middle = Namespace::new()?;
        let left = Leaf { mtu, ..LEFT }.with_vxlan(&middle, 100, "10.1.0.1/24")?;
        let right = Leaf { mtu, ..RIGHT }.with_vxlan(&middle, 200, "10.1.0.2/24")?;
        Ok(Self { left, right, middle })
    }
}
