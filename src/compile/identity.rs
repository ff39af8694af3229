//! The gateway's own MAC address in each tenant, from which it says that a packet is too big.

use std::sync::Arc;

use transload_encaps::Mac;

use super::names::Names;
use crate::forwarding::{DomainId, Forwarding, MappingId};

/// FNV-1a: small, and the same on every machine and in every release.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// What tells this gateway from another one with the same tenants: its tunnel addresses and its ports' MACs. Those
/// that only devices have are known once the ports are open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity(u64);

impl Identity {
    fn of(tables: &Forwarding) -> Self {
        let hash = tables.endpoints.iter().fold(OFFSET, |hash, row| mix(hash, row.address.to_string().as_bytes()));
        let macs = tables.ports.iter().filter_map(|port| port.mac);
        Self(macs.fold(hash, |hash, mac| mix(hash, &mac.0)))
    }

    /// A locally administered address (RFC 9542 §2.1), the same after every restart.
    pub(super) fn mac(self, tenant: &str) -> Mac {
        let mut mac = Mac::from_bits(mix(self.0, tenant.as_bytes()));
        mac.0[0] = mac.0[0] & 0xf0 | 0x02;
        mac
    }
}

/// Gives every tenant and every mapping the gateway's own address, of all that is known by now. To be done before the
/// tables are shared.
pub fn own_macs(tables: &mut Forwarding, names: &Names) {
    let identity = Identity::of(tables);
    for (n, domain) in Arc::get_mut(&mut tables.domains).into_iter().flatten().enumerate() {
        if let Some(domain) = domain {
            domain.mac = identity.mac(&names.domain(DomainId(n as u32)));
        }
    }
    let mappings = Arc::get_mut(&mut tables.mappings).into_iter().flat_map(|mappings| &mut mappings.all);
    for (n, connection) in mappings.enumerate() {
        if let Some(connection) = connection {
            connection.mac = identity.mac(&names.mapping(MappingId(n as u32)));
        }
    }
}

/// Takes in one more name; the length keeps neighbours apart.
fn mix(hash: u64, bytes: &[u8]) -> u64 {
    let byte = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    bytes.iter().fold(byte(hash, bytes.len() as u8), |hash, &next| byte(hash, next))
}
