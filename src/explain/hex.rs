//! A frame's bytes in hex, and which of them the gateway wrote.

use std::fmt::Write;
use std::ops::Range;

/// As two digits a byte, without blanks.
pub(super) fn plain(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of `sent` that are not those of `arrived`. `from` and `to` are where the tenant's frames begin in each.
///
/// A tenant's addresses are compared with its addresses, and everything behind its tags from the end: what is in
/// front of its frame is new, and so are tags.
pub(super) fn changed(arrived: &[u8], from: usize, end: usize, sent: &[u8], to: usize) -> Vec<Range<usize>> {
    const ADDRESSES: usize = 12;
    let before = |at: usize| -> Option<u8> {
        let inner = at.checked_sub(to)?;
        if inner < ADDRESSES {
            return arrived.get(from + inner).copied();
        }
        let old = end.checked_sub(sent.len() - at)?;
        if old < from + ADDRESSES { None } else { arrived.get(old).copied() }
    };
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, _) in sent.iter().enumerate().filter(|(at, byte)| before(*at) != Some(**byte)) {
        match ranges.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => ranges.push(at..at + 1),
        }
    }
    ranges
}

/// In rows of sixteen, changed bytes underlined.
pub(super) fn rows(bytes: &[u8], changed: &[Range<usize>]) -> String {
    const ROW: usize = 16;
    let mut text = String::new();
    for (row, chunk) in bytes.chunks(ROW).enumerate() {
        let start = row * ROW;
        let _ = write!(text, "    {start:04x} ");
        let mut marks = String::new();
        for (n, byte) in chunk.iter().enumerate() {
            let gap = if n == ROW / 2 { " " } else { "" };
            let _ = write!(text, "{gap} {byte:02x}");
            let is_changed = changed.iter().any(|range| range.contains(&(start + n)));
            let _ = write!(marks, "{gap} {}", if is_changed { "^^" } else { "  " });
        }
        text.push('\n');
        if marks.contains('^') {
            let _ = writeln!(text, "         {}", marks.trim_end());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &[u8] = b"ddddddssssss--payload";

    #[test]
    fn a_header_in_front_is_all_that_is_new() {
        let sent = [b"HEADER", TENANT].concat();
        assert_eq!(changed(TENANT, 0, TENANT.len(), &sent, 6), vec![Range { start: 0, end: 6 }]);
    }

    #[test]
    fn a_tag_is_new_and_the_addresses_before_it_are_not() {
        let sent = [&TENANT[..12], b"TAG!", &TENANT[12..]].concat();
        assert_eq!(changed(TENANT, 0, TENANT.len(), &sent, 0), vec![Range { start: 12, end: 16 }]);
    }

    #[test]
    fn a_byte_that_was_rewritten_is_marked_and_padding_of_the_tunnel_is_not_looked_at() {
        let arrived = [b"OLD", TENANT, b"padding"].concat();
        let mut sent = TENANT.to_vec();
        sent[15] = b'!';
        assert_eq!(changed(&arrived, 3, 3 + TENANT.len(), &sent, 0), vec![Range { start: 15, end: 16 }]);
    }
}
