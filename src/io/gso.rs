//! GSO batches: one frame, or several UDP tunnel packets of one flow, that go to the kernel in one piece.
//!
//! Packets behind each other whose headers differ only in what follows from their length, all of one length but the
//! last, leave as one packet that the kernel, or the device, cuts again (`UDP_SEGMENT`, Linux 6.2 for packet sockets).
//! Its headers are the first packet's with the length of all; then come the payloads, from where they are.

use transload_encaps::outer::UDP_CHECKSUM;
use transload_encaps::{Checksum, Frame, checksum, ethernet};

use super::vnet;

/// The longest headers of a batch, in bytes: Ethernet, two tags, IPv6, UDP.
const MOST: usize = 14 + 8 + 40 + UDP_LEN;
/// UDP's protocol number.
const UDP: u8 = 17;
const UDP_LEN: usize = 8;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
/// The greatest value of a length field.
const LONGEST: usize = u16::MAX as usize;
/// Most segments that the kernel cuts a packet into (`UDP_MAX_SEGMENTS` before Linux 6.9).
const MOST_SEGMENTS: usize = 64;

/// Some frames at the head of a queue that leave in one piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct GsoBatch {
    head: [u8; vnet::LEN + MOST],
    head_len: usize,
    /// Bytes at the beginning of each frame that are not sent: `head` has them.
    pub(super) skipped: usize,
    /// Number of frames.
    pub(super) segments: usize,
}

impl GsoBatch {
    /// A batch of no frames.
    pub(super) const EMPTY: Self = Self { head: [0; vnet::LEN + MOST], head_len: 0, skipped: 0, segments: 0 };

    /// A batch of this frame alone.
    pub(super) fn single(frame: &Frame<'_>) -> Self {
        let mut batch = Self { head_len: vnet::LEN, segments: 1, ..Self::EMPTY };
        if let Some(header) = batch.head.first_chunk_mut() {
            *header = vnet::of(frame);
        }
        batch
    }

    /// The batch of the first of these frames and all behind it that go with it; none if no other does.
    pub(super) fn of(frames: &[Frame<'_>]) -> Option<Self> {
        let (first, rest) = frames.split_first()?;
        let common = Headers::of(first)?;
        let size = first.len() - common.len();
        let (mut segments, mut payload) = (1, size);
        for frame in rest.iter().take(MOST_SEGMENTS - 1) {
            let Some(len) = frame.len().checked_sub(common.len()).filter(|len| *len <= size) else { break };
            let fits = payload + len + UDP_LEN + IPV4_LEN <= LONGEST;
            if !fits || !Headers::of(frame).is_some_and(|headers| headers.go_with(&common)) {
                break;
            }
            (segments, payload) = (segments + 1, payload + len);
            if len < size {
                break;
            }
        }
        let size = u16::try_from(size).ok().filter(|size| *size > 0 && segments > 1)?;
        let mut batch = Self { head_len: vnet::LEN + common.len(), skipped: common.len(), segments, ..Self::EMPTY };
        let (vnet, headers) = batch.head.split_first_chunk_mut()?;
        *vnet = vnet::segmented(common.udp as u16, size);
        common.write(headers.get_mut(..common.len())?, payload)?;
        Some(batch)
    }

    /// The virtio-net header and, of several frames, their common headers.
    pub(super) fn head(&mut self) -> &mut [u8] {
        self.head.get_mut(..self.head_len).unwrap_or_default()
    }
}

/// The outer headers of a UDP tunnel packet whose checksum is left to the device.
#[derive(Clone, Copy)]
struct Headers<'a> {
    bytes: &'a [u8],
    ip: usize,
    udp: usize,
    is_ipv6: bool,
}

impl<'a> Headers<'a> {
    fn of(frame: &'a Frame<'_>) -> Option<Self> {
        let Checksum::Partial { start, offset: UDP_CHECKSUM } = frame.meta.checksum else { return None };
        if frame.meta.gso.is_some() {
            return None;
        }
        let udp = frame.frame_offset(start)?;
        let bytes = frame.bytes().get(..udp + UDP_LEN).filter(|bytes| bytes.len() <= MOST)?;
        [(IPV4_LEN, ethernet::IPV4), (IPV6_LEN, ethernet::IPV6)].into_iter().find_map(|(len, ether_type)| {
            let ip = udp.checked_sub(len)?;
            let is_ipv6 = len == IPV6_LEN;
            (ethernet::be16(bytes, ip.checked_sub(2)?)? == ether_type && carries_udp(bytes.get(ip..udp)?, is_ipv6))
                .then_some(Self { bytes, ip, udp, is_ipv6 })
        })
    }

    const fn len(&self) -> usize {
        self.udp + UDP_LEN
    }

    /// Whether they differ from those of the first packet in lengths and checksums only.
    fn go_with(&self, first: &Self) -> bool {
        let same = |from: usize, to: usize| self.bytes.get(from..to) == first.bytes.get(from..to);
        let (ip, udp) = (self.ip, self.udp);
        (ip, udp) == (first.ip, first.udp)
            && same(0, ip)
            && if self.is_ipv6 {
                same(ip, ip + 4) && same(ip + 6, udp)
            } else {
                same(ip, ip + 2) && same(ip + 4, ip + 10) && same(ip + 12, udp)
            }
            && same(udp, udp + 4)
    }

    /// Writes the same headers for so many bytes of payload.
    fn write(&self, to: &mut [u8], payload: usize) -> Option<()> {
        to.copy_from_slice(self.bytes);
        let udp_len = u16::try_from(UDP_LEN + payload).ok()?;
        let (ip, udp) = to.split_at_mut_checked(self.udp)?;
        let ip = ip.get_mut(self.ip..)?;
        if self.is_ipv6 {
            *ip.get_mut(4..)?.first_chunk_mut()? = udp_len.to_be_bytes();
        } else {
            let header: &mut [u8; IPV4_LEN] = ip.first_chunk_mut()?;
            [header[2], header[3]] = u16::try_from(IPV4_LEN + UDP_LEN + payload).ok()?.to_be_bytes();
            [header[10], header[11]] = [0; 2];
            [header[10], header[11]] = checksum::of(header).to_be_bytes();
        }
        let udp: &mut [u8; UDP_LEN] = udp.first_chunk_mut()?;
        let old = u16::from_be_bytes([udp[4], udp[5]]);
        // The pseudo-header, whose sum the field holds, has the length too.
        let sum = u16::from_be_bytes([udp[6], udp[7]]);
        let sum = !checksum::update(!sum, old, udp_len);
        [udp[4], udp[5], udp[6], udp[7]] = {
            let ([l1, l2], [c1, c2]) = (udp_len.to_be_bytes(), sum.to_be_bytes());
            [l1, l2, c1, c2]
        };
        Some(())
    }
}

/// Whether this is an IP header without options or extensions, with UDP behind it.
fn carries_udp(ip: &[u8], is_ipv6: bool) -> bool {
    let (version, protocol) = if is_ipv6 { (0x60, 6) } else { (0x45, 9) };
    let mask = if is_ipv6 { 0xf0 } else { 0xff };
    ip.first().is_some_and(|first| first & mask == version) && ip.get(protocol) == Some(&UDP)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use transload_encaps::underlay::{
        Dscp, EcnMode, LinkAddresses, SourcePorts, Summing, UdpChecksum, Underlay, UnderlaySpec,
    };
    use transload_encaps::{Carrier, HEADROOM, Mac};

    use super::*;

    const V4: &str = "192.0.2.2";
    const V6: &str = "fd00::2";

    fn underlay(dst: &str, vlan: Option<u16>) -> Underlay {
        let dst: IpAddr = dst.parse().unwrap();
        let src = if dst.is_ipv6() { "fd00::1" } else { "192.0.2.1" }.parse().unwrap();
        let (carrier, dscp, ecn) = (Carrier::Udp(4789), Dscp::Pipe(0), EcnMode::Normal);
        Underlay::compile(&UnderlaySpec {
            src,
            dst,
            vlan,
            carrier,
            ttl: 64,
            df: true,
            dscp,
            ecn,
            udp_checksum: UdpChecksum::Compute,
            source_ports: SourcePorts::DYNAMIC,
        })
    }

    /// Tunnel packets with payloads of these lengths, left to the device; and the same complete.
    fn packets(underlay: &Underlay, lens: &[usize], summing: Summing) -> Vec<Frame<'static>> {
        let link = LinkAddresses { dst: Mac([2, 0, 0, 0, 0, 2]), src: Mac([2, 0, 0, 0, 0, 1]) };
        let packet = |(number, &len): (usize, &usize)| {
            let mut frame = Frame::new(Box::leak(vec![0; 66_000].into_boxed_slice()));
            let payload: Vec<u8> = (0..len).map(|at| (at * 7 + number) as u8).collect();
            assert!(frame.fill(HEADROOM, &payload));
            underlay.stamp(&mut frame, link, 77, 0, summing).unwrap();
            frame
        };
        lens.iter().enumerate().map(packet).collect()
    }

    fn lens_of_batches(lens: &[usize]) -> Vec<usize> {
        let mut frames = packets(&underlay(V4, None), lens, Summing::Device);
        let mut rest = frames.as_mut_slice();
        let mut segments = Vec::new();
        while !rest.is_empty() {
            segments.push(GsoBatch::of(rest).map_or(1, |batch| batch.segments));
            rest = &mut rest[segments[segments.len() - 1]..];
        }
        segments
    }

    #[test]
    fn equal_packets_go_together_and_a_shorter_one_is_the_last() {
        assert_eq!(lens_of_batches(&[900, 900, 900]), [3]);
        assert_eq!(lens_of_batches(&[900, 900, 100, 900, 900]), [3, 2]);
        assert_eq!(lens_of_batches(&[100, 900, 900]), [1, 2]);
        assert_eq!(lens_of_batches(&[900]), [1]);
    }

    #[test]
    fn no_batch_is_longer_than_the_kernel_takes() {
        assert_eq!(lens_of_batches(&[100; 130]), [64, 64, 2]);
        // 65,535 bytes with the headers of IPv4 and UDP.
        assert_eq!(lens_of_batches(&[9000; 9]), [7, 2]);
        assert_eq!(lens_of_batches(&[21_835, 21_835, 21_837]), [2, 1]);
        assert_eq!(lens_of_batches(&[21_836, 21_836, 21_835]), [3]);
        assert_eq!(lens_of_batches(&[21_836, 21_836, 21_836]), [2, 1]);
    }

    #[test]
    fn packets_of_different_flows_peers_or_marks_do_not_go_together() {
        let of = |dst, vlan| packets(&underlay(dst, vlan), &[500, 500], Summing::Device);
        for other in [of("192.0.2.3", None), of(V4, Some(7)), of(V6, None)] {
            let mixed: Vec<_> = of(V4, None).into_iter().take(1).chain(other).collect();
            assert!(GsoBatch::of(&mixed).is_none());
        }
        for at in [1, 15, 22, 34, 35, 37] {
            let mut frames = of(V4, None);
            frames[1].bytes_mut()[at] ^= 1;
            assert!(GsoBatch::of(&frames).is_none(), "byte {at}");
        }
        for at in [1, 15, 17, 21, 40, 55] {
            let mut frames = of(V6, None);
            frames[1].bytes_mut()[at] ^= 1;
            assert!(GsoBatch::of(&frames).is_none(), "byte {at}");
        }
    }

    #[test]
    fn complete_packets_and_super_frames_go_alone() {
        assert!(GsoBatch::of(&packets(&underlay(V4, None), &[500, 500], Summing::Here)).is_none());
        let mut frames = packets(&underlay(V4, None), &[500, 500], Summing::Device);
        frames[0].meta.gso = Some(transload_encaps::Gso { kind: transload_encaps::GsoKind::Udp, size: 100 });
        assert!(GsoBatch::of(&frames).is_none());
    }

    #[test]
    fn the_head_is_the_headers_of_one_packet_with_all_the_payload() {
        for (dst, vlan) in [(V4, None), (V6, None), (V4, Some(5)), (V6, Some(5))] {
            let underlay = underlay(dst, vlan);
            let frames = packets(&underlay, &[1000, 1000, 700], Summing::Device);
            let mut batch = GsoBatch::of(&frames).unwrap();
            let whole = packets(&underlay, &[2700], Summing::Device);
            let len = underlay.overhead();
            assert_eq!(batch.skipped, len);
            let (vnet, headers) = batch.head().split_at(vnet::LEN);
            assert_eq!(headers, &whole[0].bytes()[..len], "{dst} {vlan:?}");
            assert_eq!(vnet[4..6], 1000_u16.to_ne_bytes());
        }
    }
}
