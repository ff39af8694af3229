//! The gateway's own MAC address in each tenant, from which it says that a packet is too big.

use transload_encaps::Mac;

use crate::compile::Names;
use crate::forwarding::{FileTables, OwnMacs, Port, PortId, Slab};

/// FNV-1a: small, and the same on every machine and in every release.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// What tells this gateway from another one with the same tenants: its tunnel addresses and its ports' MACs.
#[derive(Debug, Clone, Copy)]
struct Identity(u64);

impl Identity {
    fn of(tables: &FileTables, ports: &Slab<PortId, Port>) -> Self {
        let hash = tables.endpoints.values().fold(OFFSET, |hash, row| mix(hash, row.address.to_string().as_bytes()));
        let macs = ports.values().filter_map(|port| port.mac);
        Self(macs.fold(hash, |hash, mac| mix(hash, &mac.0)))
    }

    /// A locally administered address (RFC 9542 §2.1), the same after every restart.
    fn mac(self, tenant: &str) -> Mac {
        let mut mac = Mac::from_bits(mix(self.0, tenant.as_bytes()));
        mac.0[0] = mac.0[0] & 0xf0 | 0x02;
        mac
    }
}

/// The gateway's own address in every tenant and every mapping. `ports` are the ports as they are by now.
#[must_use]
pub fn own_macs(tables: &FileTables, ports: &Slab<PortId, Port>, names: &Names) -> OwnMacs {
    let identity = Identity::of(tables, ports);
    OwnMacs {
        domains: tables.domains.iter().map(|(id, _)| (id, identity.mac(&names.domain(id)))).collect(),
        mappings: tables.mappings.all.iter().map(|(id, _)| (id, identity.mac(&names.mapping(id)))).collect(),
    }
}

/// Takes in one more name; the length keeps neighbours apart.
fn mix(hash: u64, bytes: &[u8]) -> u64 {
    let byte = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    bytes.iter().fold(byte(hash, bytes.len() as u8), |hash, &next| byte(hash, next))
}
