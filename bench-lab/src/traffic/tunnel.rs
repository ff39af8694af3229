//! A host's end of a tunnel made of BPF, for what the running kernel has no devices for: two programs on the host's
//! end of the cable, of which one takes the tunnel's headers off what arrives and the other puts them on what leaves.
//! The tenant's address is on that device itself.

use std::io;
use std::net::Ipv4Addr;

use transload::bpf::{AttachedProgram, Direction, Program, ProgramKind};
use transload_lab::Namespace;

use super::index_of;
use super::tunnel_code as code;
use crate::path::Encapsulation;

/// A tenant's host.
#[derive(Debug, Clone, Copy)]
pub struct Station {
    /// Its MAC, as the other one sees it through the tunnel.
    pub mac: [u8; 6],
    /// Its address.
    pub address: Ipv4Addr,
}

/// A tunnel, as one end of it sees it.
#[derive(Debug, Clone, Copy)]
pub struct Tunnel {
    /// What is spoken: GRE with a key, NVGRE or `QinQ`.
    pub encap: Encapsulation,
    /// This end's own address; means nothing for tags.
    pub local: Ipv4Addr,
    /// The far end's.
    pub remote: Ipv4Addr,
    /// The tenant's host at this end. If there are no outer addresses, its MAC is the device's.
    pub here: Station,
    /// The tenant's host whom it speaks to.
    pub there: Station,
}

/// The programs of one end. They are gone when this is.
#[derive(Debug)]
pub struct TunnelPrograms {
    _links: [AttachedProgram; 2],
}

impl Tunnel {
    /// Attaches its programs to a device of the namespace.
    ///
    /// # Errors
    /// For VXLAN, which every kernel has; without the right to load programs; and before Linux 6.6.
    pub fn attach(&self, place: &Namespace, device: &str) -> io::Result<TunnelPrograms> {
        let ingress = Program::load(&code::decap(self)?, ProgramKind::Classifier)?;
        let egress = Program::load(&code::encap(self)?, ProgramKind::Classifier)?;
        let links = place.enter(|| {
            let device = index_of(device)?;
            Ok([ingress.classify(device, Direction::Ingress)?, egress.classify(device, Direction::Egress)?])
        })?;
        Ok(TunnelPrograms { _links: links })
    }
}

#[cfg(test)]
mod tests {
    use transload_encaps::checksum;

    use super::*;
    use crate::path::{Path, Side};
    use crate::traffic::frame::{self, Packet};

    /// `TCX_PASS` and `TCX_DROP`.
    const PASS: u32 = 0;
    const DROP: u32 = 2;

    /// The far end of a side that its own tenant's host is behind.
    fn end(path: &Path) -> Tunnel {
        let station = |side: &Side| Station { mac: side.host_mac(0), address: Ipv4Addr::new(10, 0, 0, side.number) };
        let Side { encap, gateway, peer, .. } = path.to;
        Tunnel { encap, local: peer, remote: gateway, here: station(&path.to), there: station(&path.from) }
    }

    /// The paths to NVGRE and to GRE.
    fn keyed() -> [Path; 2] {
        let [_, nvgre, gre, _] = Path::measured();
        [nvgre, gre]
    }

    /// Both programs of the far end of each, unless we may load none; says so loudly.
    fn programs(test: &str, paths: &[Path]) -> Vec<(Path, Program, Program)> {
        let mut all = Vec::new();
        for &path in paths {
            let load = |code: io::Result<Vec<_>>| Program::load(&code.unwrap(), ProgramKind::Classifier);
            match (load(code::decap(&end(&path))), load(code::encap(&end(&path)))) {
                (Err(error), _) if error.kind() == io::ErrorKind::PermissionDenied => {
                    transload_lab::skip::say(test, "the right to load BPF programs (run as root)");
                    return Vec::new();
                }
                (decap, encap) => all.push((path, decap.unwrap(), encap.unwrap())),
            }
        }
        all
    }

    /// What the host sends out of its device: the tenant's packet behind the cable's MAC addresses.
    fn bare(side: &Side, tenant: &[u8]) -> Vec<u8> {
        [&side.gateway_mac()[..], &side.peer_mac(), &tenant[12..]].concat()
    }

    #[test]
    fn a_packet_of_any_length_leaves_as_its_encapsulation_has_it() {
        for (path, _, encap) in programs("a_packet_of_any_length_leaves_as_its_encapsulation_has_it", &keyed()) {
            for len in (frame::MIN..1500).step_by(7) {
                let tenant = frame::tenant(&path.to, &path.from, len);
                let Packet { bytes, .. } = frame::encapsulate(&path.to, &tenant);
                let (verdict, made) = encap.rewritten(&bare(&path.to, &tenant)).unwrap();
                assert_eq!((verdict, made), (PASS, bytes), "{}, {len} bytes", path.name());
            }
        }
    }

    #[test]
    fn the_outer_checksum_is_right_whatever_the_addresses() {
        let [_, path, ..] = Path::measured();
        // Closer together than the longest packet is long, so that the sum carries for some of them.
        let towards = (0..=0xffff_u16).step_by(0x0400).map(|low| {
            let [c, d] = low.to_be_bytes();
            Path { to: Side { gateway: Ipv4Addr::new(198, 51, c, d), ..path.to }, ..path }
        });
        let paths: Vec<_> = towards.collect();
        for (path, _, encap) in programs("the_outer_checksum_is_right_whatever_the_addresses", &paths) {
            for len in [58, 59, 700, 1499] {
                let tenant = frame::tenant(&path.to, &path.from, len);
                let (_, made) = encap.rewritten(&bare(&path.to, &tenant)).unwrap();
                assert_eq!(checksum::of(&made[14..34]), 0, "{}, {len} bytes", path.to.gateway);
            }
        }
    }

    #[test]
    fn what_arrives_loses_its_headers() {
        for (path, decap, _) in programs("what_arrives_loses_its_headers", &keyed()) {
            let tenant = frame::tenant(&path.from, &path.to, 500);
            let Packet { bytes, .. } = frame::encapsulate(&answering(&path.to), &tenant);
            let (verdict, made) = decap.rewritten(&bytes).unwrap();
            assert_eq!((verdict, made), (PASS, bare(&path.to, &tenant)), "{}", path.name());
        }
    }

    /// The side with its addresses exchanged, so that frames go from the gateway to the far end. The MAC addresses
    /// of the cable are those of the way there, which do not matter.
    fn answering(side: &Side) -> Side {
        Side { gateway: side.peer, peer: side.gateway, ..*side }
    }

    #[test]
    fn other_packets_arrive_as_they_are_and_other_hosts_frames_do_not() {
        for (path, decap, _) in programs("other_packets_arrive_as_they_are_and_other_hosts_frames_do_not", &keyed()) {
            let tenant = frame::tenant(&path.from, &path.to, 100);
            let Packet { bytes, inner, .. } = frame::encapsulate(&answering(&path.to), &tenant);
            let changed = |at: usize| {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1;
                decap.rewritten(&bytes).map(|(verdict, made)| (verdict, made == bytes)).unwrap()
            };
            // IP protocol, both outer addresses, flags and protocol of GRE, and the tenant's ID.
            for at in [23, 29, 33, 34, 36, 39, 40] {
                assert_eq!(changed(at), (PASS, true), "{}, byte {at}", path.name());
            }
            // To another tenant's host, and no IPv4 inside.
            for at in [inner, inner + 5, inner + 12] {
                assert_eq!(changed(at).0, DROP, "{}, byte {at}", path.name());
            }
            assert_eq!(decap.answer(&bytes[..50]).unwrap(), PASS, "{}, cut short", path.name());
        }
    }

    #[test]
    fn only_what_the_tenant_sends_gets_headers() {
        for (path, _, encap) in programs("only_what_the_tenant_sends_gets_headers", &keyed()) {
            let mut other = bare(&path.to, &frame::tenant(&path.to, &path.from, 100));
            other[29] ^= 1;
            assert_eq!(encap.rewritten(&other).unwrap(), (PASS, other), "{}", path.name());
        }
    }
}
