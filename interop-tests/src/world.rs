//! The far ends of a gateway's tunnels, as most worlds need them: leafs of the running kernel that speak VXLAN, and
//! sites that are a User-Mode Linux behind a `unix` port.

use std::io;

use transload_lab::{Gateway, Host, Namespace, veth};

use crate::peers::Uml;

/// Our tunnel address at the sites.
pub const SITES: &str = "198.51.100.1";

/// A VXLAN endpoint of the running kernel, in a namespace of its own, on a cable to the gateway's.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'a> {
    /// The gateway's device for this cable.
    pub device: &'a str,
    /// The gateway's address on it.
    pub gateway: &'a str,
    /// The leaf's.
    pub address: &'a str,
    /// Bytes of an IP packet that the cable carries.
    pub mtu: u16,
}

impl Leaf<'_> {
    /// Builds it, without a tunnel. Offloads stay as the kernel gives them.
    ///
    /// # Errors
    /// When a device or an address is taken.
    pub fn build(&self, gateway: &Namespace) -> io::Result<Namespace> {
        let leaf = Namespace::new()?;
        veth((gateway, self.device), (&leaf, "eth0"), self.mtu)?;
        for (host, device, address) in [(gateway, self.device, self.gateway), (&leaf, "eth0", self.address)] {
            // Duplicate address detection would keep the address from being used for a second or two.
            let on_link = if address.contains(':') { "/64 nodad" } else { "/24" };
            host.sh(&format!("ip addr add {address}{on_link} dev {device}"))?;
        }
        Ok(leaf)
    }

    /// Builds it with a VXLAN device `vx0` that has this tenant address.
    ///
    /// # Errors
    /// When a device or an address is taken.
    pub fn with_vxlan(&self, gateway: &Namespace, vni: u32, tenant: &str) -> io::Result<Namespace> {
        let leaf = self.build(gateway)?;
        leaf.sh(&format!("{}\nip addr add {tenant} dev vx0; ip link set vx0 up", self.vxlan("vx0", vni)))?;
        Ok(leaf)
    }

    /// The line that makes a VXLAN device towards the gateway. Told of its cable it takes a fitting MTU; untold, the
    /// kernel would send fragments.
    #[must_use]
    pub fn vxlan(&self, device: &str, vni: u32) -> String {
        let Self { gateway, address, .. } = self;
        format!("ip link add {device} type vxlan id {vni} local {address} remote {gateway} dev eth0 dstport 4789")
    }
}

/// A User-Mode Linux behind the gateway's `unix` port of the same name.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// The port's name.
    pub name: &'static str,
    /// The last number of its addresses.
    pub number: u8,
}

impl Site {
    /// Its tunnel address.
    #[must_use]
    pub fn address(&self) -> String {
        format!("198.51.100.{}", self.number)
    }

    /// The gateway's port, as a line of its file. Nobody there answers ARP, so the next hop is written down.
    #[must_use]
    pub fn port(&self) -> String {
        let Self { name, number } = self;
        format!(
            "{name}: {{ io: {{ unix: {{ local: DIR/{name}.sock, remote: DIR/peer-{name}.sock }} }}, \
             mac: \"02:00:00:00:01:{number:02x}\", next_hops: {{ {}: \"02:00:00:00:02:{number:02x}\" }} }}",
            self.address()
        )
    }

    /// The same for a port without tunnels.
    #[must_use]
    pub fn tagged_port(&self) -> String {
        let name = self.name;
        format!("{name}: {{ io: {{ unix: {{ local: DIR/{name}.sock, remote: DIR/peer-{name}.sock }} }} }}")
    }

    /// Boots it: `vec0` is wired to the gateway, which is its neighbour.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn boot(&self, gateway: &Gateway) -> io::Result<Uml> {
        let Self { name, number } = self;
        let uml = Uml::at(&gateway.path(&format!("peer-{name}.sock")), &gateway.path(&format!("{name}.sock")))?;
        uml.sh(&format!(
            "ip link set vec0 address 02:00:00:00:02:{number:02x} && \
             ip link set vec0 up && ip addr add {}/24 dev vec0 && ip neigh replace {SITES} lladdr 02:00:00:00:01:{number:02x} dev vec0",
            self.address()
        ))?;
        Ok(uml)
    }

    /// The line that makes a `gretap` device towards the gateway.
    #[must_use]
    pub fn gretap(&self, device: &str, options: &str) -> String {
        format!("ip link add {device} type gretap local {} remote {SITES} {options}", self.address())
    }
}

/// A network namespace inside a host: another tenant's machine at the same place.
pub struct Inside<'a> {
    /// The host.
    pub host: &'a dyn Host,
    /// The namespace's name there.
    pub namespace: String,
}

impl Host for Inside<'_> {
    fn sh(&self, line: &str) -> io::Result<String> {
        self.host.sh(&format!("ip netns exec {} sh -c '{line}'", self.namespace))
    }

    fn background(&self, line: &str) -> io::Result<()> {
        self.host.background(&format!("ip netns exec {} {line}", self.namespace))
    }
}
