//! The gateway's own MAC address in each tenant, from which it says that a packet is too big.

use crate::config::{At, File};

use transload_encaps::Mac;

/// FNV-1a: small, and the same on every machine and in every release.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// What tells this gateway from another one with the same tenants: its tunnel addresses and its ports' MACs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity(u64);

impl Identity {
    pub(super) fn of(file: &File) -> Self {
        let endpoints = file.endpoints.iter().filter_map(|(_, endpoint)| endpoint?.address.get());
        let ports = file.ports.iter().filter_map(|(_, port)| port?.mac.as_ref().and_then(At::value));
        let hash = endpoints.fold(OFFSET, |hash, address| mix(hash, address.0.to_string().as_bytes()));
        Self(ports.fold(hash, |hash, mac| mix(hash, &mac.0.0)))
    }

    /// A locally administered address (RFC 9542 §2.1), the same after every restart.
    pub(super) fn mac(self, tenant: &str) -> Mac {
        let mut mac = Mac::from_bits(mix(self.0, tenant.as_bytes()));
        mac.0[0] = mac.0[0] & 0xf0 | 0x02;
        mac
    }
}

/// Takes in one more name; the length keeps neighbours apart.
fn mix(hash: u64, bytes: &[u8]) -> u64 {
    let byte = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    bytes.iter().fold(byte(hash, bytes.len() as u8), |hash, &next| byte(hash, next))
}
