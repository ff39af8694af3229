//! Room: whether the MTU of a port holds the headers of the tunnels that leave by it.

use std::collections::{HashMap, HashSet};

use transload_encaps::{Segment, ethernet};

use super::findings::Findings;
use super::ports::PortSection;
use super::sides::FarSide;
use crate::config::{At, Mtu};
use crate::forwarding::PortId;

/// What every IPv4 host must be able to receive in one piece (RFC 791 §3.2).
const LEAST_IPV4: usize = 68;
/// What every IPv6 link must carry (RFC 8200 §5).
const LEAST_IPV6: usize = 1280;

/// Refuses ports whose MTU cannot hold the headers of the tunnels that leave by them. Each is reported once.
pub(super) struct Room<'c> {
    /// The ports whose MTU the file states: their names, and the bytes of an IP packet.
    stated: HashMap<PortId, (&'c str, &'c At<Mtu>)>,
    reported: HashSet<PortId>,
}

impl<'c> Room<'c> {
    pub(super) fn of(ports: &PortSection<'c>) -> Self {
        let stated = ports.table.rows().filter_map(|row| {
            let port = row.thing.as_ref()?;
            Some((port.id, (row.name.text, port.config.mtu.as_ref()?)))
        });
        Self { stated: stated.collect(), reported: HashSet::new() }
    }

    /// Looks at the ports by which this segment's packets leave.
    pub(super) fn check(&mut self, side: &FarSide, segment: Segment, findings: &mut Findings) {
        let Some(path) = &side.path else { return };
        let headers = path.ip_overhead + side.compiled.overhead(segment) + ethernet::HEADER_LEN;
        let least = headers + LEAST_IPV4;
        for port in &path.ports {
            let Some(&(name, mtu)) = self.stated.get(port) else { continue };
            let Some(bytes) = mtu.value().map(|mtu| mtu.0 as usize) else { continue };
            if path.is_ipv6 && bytes < LEAST_IPV6 && self.reported.insert(*port) {
                let message = format!("port `{name}` carries an IPv6 endpoint, and {bytes} is less than IPv6 allows");
                findings.error(mtu.span, message, format!("write {LEAST_IPV6} or more"));
            } else if bytes < least && self.reported.insert(*port) {
                let message = format!(
                    "{bytes} cannot hold the headers towards {}: they take {headers} bytes, and the tenant's packet \
                     needs {LEAST_IPV4}",
                    side.label
                );
                let help = format!("write {least} or more; 1500 leaves the tenant {}", 1500 - headers);
                findings.error(mtu.span, message, help);
            }
        }
    }
}
