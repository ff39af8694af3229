//! Ranges of UDP source ports, as many as a power of two and on their boundary.

use transload_encaps::underlay::SourcePorts;

use super::range::Range;
use super::values::{Text, texts};

texts! {
    UdpSourcePorts, "^(0x[0-9a-fA-F]+|[0-9]+)( *- *(0x[0-9a-fA-F]+|[0-9]+))?$";
}

/// The UDP source ports that a peer's packets are sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpSourcePorts(pub SourcePorts);

/// One more than the last port.
const PORTS: u64 = 1 << 16;

impl Text for UdpSourcePorts {
    const EXPECTED: &'static str =
        "a range of UDP ports such as 50048-50175: a power of two of them, the first a multiple of their number";

    fn read(text: &str) -> Result<Self, String> {
        let range = Range::read(text)?;
        let Range { first, last } = range;
        if last >= PORTS || first == 0 {
            return Err(format!("`{text}` is no range of UDP ports\nwrite ports from 1 to 65535, such as 50048-50175"));
        }
        let ports = SourcePorts::new(first as u16, last as u16).map(Self);
        ports.ok_or_else(|| {
            let [(one, its_last), (other, other_last)] = nearest(range);
            let why = if range.count().is_power_of_two() {
                format!("{first} is no multiple of {}", range.count())
            } else {
                format!("{} is no power of two", range.count())
            };
            format!(
                "`{text}` has {} ports, and {why}\nwrite {one}-{its_last} or {other}-{other_last}: the flow picks a port \
                 by its lower bits",
                range.count()
            )
        })
    }
}

/// The two ranges nearest to one that will not do: of as many ports before and behind its first one; or the first of the
/// largest inside, and one of the next larger number.
fn nearest(range: Range) -> [(u64, u64); 2] {
    let count = range.count();
    let on_boundary = |first: u64, count: u64| {
        let first = (first / count * count).clamp(count, PORTS - count);
        (first, first + count - 1)
    };
    if !count.is_power_of_two() {
        let larger = count.next_power_of_two().min(PORTS / 2);
        let sizes = std::iter::successors(Some(larger / 2), |size| Some(size / 2).filter(|size| *size > 0));
        let mut all = sizes.map(|size| on_boundary(range.first + size - 1, size));
        let inside = all.find(|(first, last)| *first >= range.first && *last <= range.last);
        let inside = inside.unwrap_or((range.first, range.first));
        return [inside, on_boundary(range.first, larger)];
    }
    let before = on_boundary(range.first, count);
    match on_boundary(before.0 + count, count) {
        behind if behind == before => [on_boundary(range.first, count / 2), before],
        behind => [before, behind],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_of_two_of_ports_on_its_boundary_is_taken() {
        for text in ["50048-50175", "49152-65535", "0xc000 - 0xffff", "50001", "1", "32768-65535", "65534-65535"] {
            assert!(UdpSourcePorts::read(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_refused_names_two_ranges_that_work() {
        for (text, one, other) in [
            ("50000-50127", "49920-50047", "50048-50175"),
            ("50000-50099", "50016-50047", "49920-50047"),
            ("50000-50200", "50048-50175", "49920-50175"),
            ("1-65535", "16384-32767", "32768-65535"),
            ("65000-65511", "64512-65023", "65024-65535"),
            ("1-2", "2-3", "4-5"),
            ("3-65534", "16384-32767", "32768-65535"),
            ("100-32867", "16384-32767", "32768-65535"),
        ] {
            let error = UdpSourcePorts::read(text).unwrap_err();
            assert!(error.contains(&format!("write {one} or {other}")), "{error}");
            for range in [one, other] {
                assert!(UdpSourcePorts::read(range).is_ok(), "{text}: {range}");
            }
        }
        for text in ["0-1023", "65536", "50000-70000", "0"] {
            assert!(UdpSourcePorts::read(text).unwrap_err().contains("no range of UDP ports"), "{text}");
        }
    }
}
