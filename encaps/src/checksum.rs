//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

/// One's complement sum of these bytes as 16-bit words, carried on top of `sum`, not yet folded to 16 bits.
///
/// An odd last byte is padded with zero. `sum` and the result are in host order of big-endian words.
#[must_use]
#[inline]
pub fn add(sum: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    // RFC 1071 §2 (B): words may be added up in the machine's order, and the result swapped once.
    let native = |word: &[u8; 4]| u64::from(u32::from_ne_bytes(*word));
    let total = words.iter().map(native).sum::<u64>() + native(&last);
    sum + u64::from(u16::from_be(fold(total)))
}

/// Folds a sum to 16 bits.
#[must_use]
#[inline]
pub const fn fold(sum: u64) -> u16 {
    // At most 33 bits, then 18, then 17, then 16.
    let mut sum = (sum >> 32) + (sum & 0xffff_ffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum as u16
}

/// Folds a sum of few words, of less than 18 bits, to 16 bits.
#[must_use]
#[inline]
pub const fn fold_short(sum: u32) -> u16 {
    // At most 17 bits, then 16.
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + sum) as u16
}

/// The checksum of these bytes; zero when they contain a right one.
#[must_use]
#[inline]
pub fn of(bytes: &[u8]) -> u16 {
    !fold(add(0, bytes))
}

/// Whether an IPv4 header without options contains a right checksum: it then sums to a multiple of 0xffff, in either byte order.
#[must_use]
#[inline]
pub fn is_right_ipv4(header: &[u8; 20]) -> bool {
    let (words, _) = header.as_chunks::<4>();
    let sum: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    // No header sums to zero: its first byte is not.
    sum.is_multiple_of(0xffff)
}

/// RFC 1624 §3: the checksum after one 16-bit word of what it covers has changed.
#[must_use]
#[inline]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(!checksum as u64 + !old as u64 + new as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071_sums_to_ddf2() {
        assert_eq!(fold(add(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
    }

    #[test]
    fn an_update_equals_a_new_sum() {
        let mut bytes = [0x45, 0x03, 0x12, 0x34, 0xff, 0xff, 0x00];
        let before = of(&bytes);
        bytes[1] = 0x02;
        assert_eq!(update(before, 0x4503, 0x4502), of(&bytes));
    }

    #[test]
    fn one_checksum_of_a_header_is_right() {
        let mut header = [0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 9];
        let sum = of(&header);
        for field in 0..=u16::MAX {
            [header[10], header[11]] = field.to_be_bytes();
            assert_eq!(is_right_ipv4(&header), field == sum, "{field:#06x}");
        }
    }
}
