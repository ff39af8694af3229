//! Outer packets written byte by byte, and the checksum of RFC 1071 in its plainest form: the tests' own arithmetic,
//! which shares nothing with the crate's.

/// Two MAC addresses and a type, then the rest.
pub(crate) fn ethernet(ether_type: u16, rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend(ether_type.to_be_bytes());
    frame.extend(rest);
    frame
}

/// An IPv4 packet from 192.0.2.1 to 192.0.2.2 with these options (a multiple of four bytes).
pub(crate) fn ipv4(protocol: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header_len = 20 + options.len();
    let [l1, l2] = ((header_len + payload.len()) as u16).to_be_bytes();
    let mut packet = vec![0x40 | (header_len / 4) as u8, 0, l1, l2, 0, 1, 0, 0, 64, protocol, 0, 0];
    packet.extend([192, 0, 2, 1, 192, 0, 2, 2]);
    packet.extend(options);
    seal(&mut packet);
    packet.extend(payload);
    packet
}

/// Writes a right header checksum into an IPv4 header, or into a packet that begins with one.
pub(crate) fn seal(packet: &mut [u8]) {
    let header_len = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let sum = !sum(&packet[..header_len]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// An IPv6 packet from `fd00::1` to `fd00::2`.
pub(crate) fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let [l1, l2] = (payload.len() as u16).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, l1, l2, next_header, 64];
    for last in [1, 2] {
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    packet.extend(payload);
    packet
}

/// A UDP datagram to port 4789 without a checksum.
pub(crate) fn udp(payload: &[u8]) -> Vec<u8> {
    let [l1, l2] = (8 + payload.len() as u16).to_be_bytes();
    let mut datagram = vec![0xc0, 0, 0x12, 0xb5, l1, l2, 0, 0];
    datagram.extend(payload);
    datagram
}

/// Writes a right checksum into the UDP datagram that ends an IPv4 or IPv6 packet without options.
pub(crate) fn seal_udp(packet: &mut [u8]) {
    let at = if packet[0] >> 4 == 4 { 20 } else { 40 };
    packet[at + 6..at + 8].fill(0);
    let checksum = match !udp_sum(packet) {
        0 => 0xffff,
        sum => sum,
    };
    packet[at + 6..at + 8].copy_from_slice(&checksum.to_be_bytes());
}

/// The sum over the UDP datagram that ends the packet, and its pseudo-header (RFC 768, RFC 8200 §8.1); all ones when
/// the checksum in it is right.
pub(crate) fn udp_sum(packet: &[u8]) -> u16 {
    let (addresses, at) = if packet[0] >> 4 == 4 { (12..20, 20) } else { (8..40, 40) };
    let datagram = &packet[at..];
    let mut covered = packet[addresses].to_vec();
    covered.extend([0, 17]);
    covered.extend((datagram.len() as u16).to_be_bytes());
    covered.extend(datagram);
    sum(&covered)
}

/// One's complement sum of 16-bit words, the last byte padded with zero (RFC 1071 §1).
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
