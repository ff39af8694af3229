//! A frame in hexadecimal, as people have it: bare digits, or the dump of a tool.
//!
//! A dump is rows of an offset, bytes, and perhaps the bytes as text. Nothing in it is guessed: the offsets have to count
//! the bytes before them, text has to be that of the bytes beside it, and whatever does not fit is refused.

use transload_encaps::{checksum, ethernet, ip};

/// Digits that an offset may have: before a colon, and without one.
const BEFORE_COLON: std::ops::RangeInclusive<usize> = 2..=16;
const PLAIN: std::ops::RangeInclusive<usize> = 4..=8;
/// Offsets of most tools are hexadecimal; `xxd -d` and `od -Ad` write decimal ones, `od` octal ones.
const RADIXES: [u32; 3] = [16, 10, 8];
/// What ARP over Ethernet begins with (RFC 826).
const ARP: [u8; 6] = [0, 1, 8, 0, 6, 4];
const NO_LINK_HEADER: &str = "this is a packet without its Ethernet header, which `tcpdump -x` and `-X` leave out: give \
                              the frame from the destination MAC on, as `tcpdump -xx` prints it";

/// The bytes that a text means.
///
/// # Errors
/// Why it cannot be a frame, and what to give instead.
pub(super) fn read(text: &str) -> Result<Vec<u8>, String> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines: Vec<_> = lines.filter(|(_, line)| !is_underline(line)).collect();
    let is_dump = lines.first().is_some_and(|(_, line)| RowOffset::of(line).is_some())
        || lines.iter().any(|(_, line)| RowOffset::of(line).is_some_and(|offset| offset.is_marked))
        || count_up(&lines);
    let bytes = if is_dump { dumped(&lines)? } else { bare(text)? };
    if bytes.is_empty() {
        return Err("there are no bytes".to_owned());
    }
    if is_ip_packet(&bytes) || bytes.starts_with(&ARP) {
        return Err(NO_LINK_HEADER.to_owned());
    }
    Ok(bytes)
}

/// Blank lines, and the marks that `explain` puts below bytes.
fn is_underline(line: &str) -> bool {
    line.chars().all(|c| c == '^' || c.is_whitespace())
}

/// Digits that stand for nothing but bytes, however they are grouped; of an array of C, what is between its braces.
fn bare(text: &str) -> Result<Vec<u8>, String> {
    let array = text.find('{').zip(text.rfind('}')).and_then(|(from, to)| text.get(from + 1..to));
    let words = array.unwrap_or(text).split(|c: char| c.is_whitespace() || matches!(c, ':' | '-' | ','));
    let digits: String = words.map(|word| word.strip_prefix("0x").unwrap_or(word)).collect();
    if let Some(wrong) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(format!("`{wrong}` is no hexadecimal digit"));
    }
    if !digits.len().is_multiple_of(2) {
        return Err(format!("{} hexadecimal digits are no whole number of bytes", digits.len()));
    }
    Ok(pairs(&digits))
}

fn pairs(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()
}

/// The offset that a row begins with.
struct RowOffset<'t> {
    digits: &'t str,
    /// Whether a colon is behind it, or only it begins with `0x`. Tools that write so keep the bytes in their order.
    is_marked: bool,
    rest: &'t str,
}

impl<'t> RowOffset<'t> {
    /// That of a line, if it begins with one: marked as such, or by another number of digits than the group behind it.
    fn of(line: &'t str) -> Option<Self> {
        let offset = Self::any(line)?;
        let next = offset.rest.split_whitespace().next().filter(|next| is_hex(next));
        let (digits, next) = (offset.digits, next.map(str::len));
        let is_before_bytes = next == Some(2);
        let is_before_words = digits.bytes().all(|digit| digit == b'0') && next.is_some_and(|len| len != digits.len());
        let is_marked = offset.is_marked && !offset.rest.is_empty();
        (is_marked || is_before_bytes || is_before_words).then_some(offset)
    }

    /// The first word of a line that is in a dump, if it may be an offset.
    fn any(line: &'t str) -> Option<Self> {
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim_start();
        let (plain, has_colon) = first.strip_suffix(':').map_or((first, false), |digits| (digits, true));
        let digits = plain.strip_prefix("0x").unwrap_or(plain);
        let is_marked = has_colon || digits.len() < plain.len() && !rest.starts_with("0x");
        let may_have = if has_colon { BEFORE_COLON } else { PLAIN };
        (is_hex(digits) && may_have.contains(&digits.len())).then_some(Self { digits, is_marked, rest })
    }
}

/// Whether the first group of every line counts the bytes of the others, as an offset of as many digits as they have.
fn count_up(lines: &[(usize, &str)]) -> bool {
    let mut before = 0;
    let is_counted = |&(_, line): &(usize, &str)| {
        let Some(RowOffset { digits, rest, .. }) = RowOffset::any(line) else { return false };
        let is_count = !rest.is_empty() && usize::from_str_radix(digits, 16) == Ok(before);
        before += rest.chars().filter(char::is_ascii_hexdigit).count() / 2;
        is_count
    };
    lines.len() > 1 && lines.iter().all(is_counted)
}

fn is_hex(word: &str) -> bool {
    word.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// A row, and whether a `*` before it stands for more of the row before that.
struct DumpRow<'t> {
    line: usize,
    offset: &'t str,
    bytes: Vec<u8>,
    is_repeating: bool,
}

fn dumped(lines: &[(usize, &str)]) -> Result<Vec<u8>, String> {
    let (mut rows, mut is_repeating) = (Vec::new(), false);
    for &(line, text) in lines {
        if text == "*" {
            is_repeating = true;
            continue;
        }
        let Some(offset) = RowOffset::any(text) else {
            return Err(format!("line {line} is no row of a dump: give the rows of one frame, and nothing else"));
        };
        let bytes = bytes_of(&offset).map_err(|why| format!("line {line}: {why}"))?;
        rows.push(DumpRow { line, offset: offset.digits, bytes, is_repeating: std::mem::take(&mut is_repeating) });
    }
    let mut by_radix = RADIXES.map(|radix| joined(&rows, radix));
    let best = by_radix.iter().position(Result::is_ok).unwrap_or(0);
    std::mem::replace(&mut by_radix[best], Ok(Vec::new()))
}

/// The bytes of all rows, if their offsets count them.
fn joined(rows: &[DumpRow<'_>], radix: u32) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    let mut before: &[u8] = &[];
    for DumpRow { line, offset, bytes, is_repeating } in rows {
        let at = usize::from_str_radix(offset, radix).unwrap_or(usize::MAX);
        if *is_repeating && !before.is_empty() && at < usize::from(u16::MAX) * 2 {
            let missing = at.saturating_sub(all.len());
            all.extend(before.iter().cycle().take(missing));
        }
        if at != all.len() {
            let count = all.len();
            return Err(match (count, at) {
                (0, _) => {
                    format!("line {line}: the dump begins at offset {offset}; give the frame from its first byte on")
                }
                (_, 0) => format!("line {line} begins at offset 0 again; give one frame"),
                _ => format!("line {line} has offset {offset}, but {count} bytes stand before it"),
            });
        }
        all.extend(bytes);
        before = bytes;
    }
    Ok(all)
}

/// The bytes of a row: the groups behind the offset, up to where the text begins.
///
/// Two or more blanks are in the middle of the bytes, or between bytes and text. Where the text looks like bytes, too,
/// it is what spells the bytes before it.
fn bytes_of(row: &RowOffset<'_>) -> Result<Vec<u8>, String> {
    let (mut found, mut bytes, mut rest) = (None, Vec::new(), row.rest);
    loop {
        let (part, text) = rest.split_at(rest.find("  ").unwrap_or(rest.len()));
        let text = text.trim();
        match groups(part, row.is_marked) {
            Ok(more) => bytes.extend(more),
            Err(why) if bytes.is_empty() => return Err(why),
            Err(_) => break,
        }
        if spells(text, &bytes) {
            found = Some(bytes);
            break;
        }
        if text.is_empty() {
            return Ok(bytes);
        }
        rest = text;
    }
    found.ok_or_else(|| {
        "the text beside the bytes is not theirs: are they words in the machine's byte order? Dump single bytes, as \
         `xxd -g1` or `od -Ax -tx1` do"
            .to_owned()
    })
}

/// The bytes of some groups; behind an offset that is not marked only single ones, since tools that write so have words
/// in the machine's byte order.
fn groups(part: &str, is_marked: bool) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for group in part.split_whitespace() {
        if !is_hex(group) {
            return Err(format!("`{group}` is no byte in hexadecimal"));
        }
        if !group.len().is_multiple_of(2) || (!is_marked && group.len() != 2) {
            return Err(format!(
                "`{group}` is no single byte, and words may be in the machine's byte order: dump single bytes, as \
                 `xxd -g1` or `od -Ax -tx1` do"
            ));
        }
        bytes.extend(pairs(group));
    }
    Ok(bytes)
}

/// Whether this is what tools write beside these bytes: a character each, a dot for what cannot be printed, perhaps
/// between bars. Blanks at either end may be lost.
fn spells(text: &str, bytes: &[u8]) -> bool {
    let inside = |open, close| text.strip_prefix(open).and_then(|text| text.strip_suffix(close));
    let is = |text: &str| {
        let chars: Vec<char> = text.chars().collect();
        let fits = |(&byte, &shown): (&u8, &char)| match byte {
            b' ' => matches!(shown, ' ' | '.'),
            b'!'..=b'~' => shown == char::from(byte),
            _ => !shown.is_ascii_graphic() || shown == '.',
        };
        let lost = bytes.len().checked_sub(chars.len());
        lost.filter(|_| !chars.is_empty()).is_some_and(|lost| {
            (0..=lost).any(|at| {
                let (before, shown) = bytes.split_at(at);
                let (shown, behind) = shown.split_at(chars.len());
                shown.iter().zip(&chars).all(fits) && before.iter().chain(behind).all(|&byte| byte == b' ')
            })
        })
    };
    is(text) || inside('|', '|').is_some_and(is) || inside('>', '<').is_some_and(is)
}

/// Whether bytes are an IP packet and no frame: a whole one, or one whose header checksum is right.
fn is_ip_packet(bytes: &[u8]) -> bool {
    let states =
        |at, len: usize| ethernet::be16(bytes, at).is_some_and(|stated| usize::from(stated) + len == bytes.len());
    match bytes.first().map_or(0, |first| first >> 4) {
        4 => {
            let header_len = bytes.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
            let header = bytes.get(..header_len).filter(|header| header.len() >= ip::IPV4_LEN);
            header.is_some_and(|header| checksum::of(header) == 0 || states(2, 0))
        }
        6 => states(4, ip::IPV6_LEN),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frame that all dumps in `tests/dumps` are of.
    fn frame() -> Vec<u8> {
        bare(&dump("read/xxd-p.txt")).unwrap()
    }

    fn dump(name: &str) -> String {
        std::fs::read_to_string(format!("{}/tests/dumps/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn dumps(folder: &str) -> Vec<String> {
        let files = std::fs::read_dir(format!("{}/tests/dumps/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        files.map(|file| format!("{folder}/{}", file.unwrap().file_name().display())).collect()
    }

    #[test]
    fn digits_are_bytes_however_they_are_grouped() {
        for text in ["02bb0a", "02:bb:0a", "02 BB\n0a", "0x02bb0a", "02-bb-0a", "0x02, 0xbb, 0x0a"] {
            assert_eq!(read(text).unwrap(), [0x02, 0xbb, 0x0a], "{text}");
        }
        assert_eq!(read("0000 0000\n0a").unwrap(), [0, 0, 0, 0, 10]);
        assert!(read("02b").unwrap_err().contains("3 hexadecimal digits"));
        assert!(read("02bg").unwrap_err().contains("`g`"));
        assert!(read(" \n").unwrap_err().contains("no bytes"));
    }

    #[test]
    fn every_dump_of_single_bytes_is_the_frame() {
        for name in dumps("read") {
            let text = dump(&name);
            assert_eq!(read(&text), Ok(frame()), "{name}");
            assert_eq!(read(text.trim_end()), Ok(frame()), "{name}, as the shell hands it over");
            assert_eq!(read(&text.replace('\n', "\r\n")), Ok(frame()), "{name}");
        }
    }

    #[test]
    fn what_is_no_dump_of_one_whole_frame_is_refused_by_name() {
        let expected = [
            ("a-row-is-missing", "line 3 has offset 0030, but 32 bytes stand before it"),
            ("from-the-second-row", "the dump begins at offset 0010"),
            ("hexdump", "words may be in the machine's byte order"),
            ("od", "no single byte"),
            ("od-Ax-tx2", "words may be in the machine's byte order"),
            ("od-tx4", "words may be in the machine's byte order"),
            ("od-x", "words may be in the machine's byte order"),
            ("tcpdump-with-its-line", "line 1 is no row of a dump"),
            ("tcpdump-x", "-xx"),
            ("tcpdump-x-text", "-xx"),
            ("two-frames", "begins at offset 0 again"),
            ("words-behind-offsets-of-their-length", "words may be in the machine's byte order"),
            ("xxd-b", "the text beside the bytes is not theirs"),
            ("xxd-e", "the text beside the bytes is not theirs"),
            ("xxd-ebcdic", "the text beside the bytes is not theirs"),
        ];
        assert_eq!(dumps("refused").len(), expected.len());
        for (name, why) in expected {
            let error = read(&dump(&format!("refused/{name}.txt"))).unwrap_err();
            assert!(error.contains(why), "{name}: {error}");
        }
        assert_eq!(read("0001 0800 0604 0001 0200 0000 0002"), Err(NO_LINK_HEADER.to_owned()));
    }

    #[test]
    fn rows_that_a_dump_leaves_out_as_repeated_are_put_back() {
        let text = "000000 61 62\n*\n000006 63\n000007";
        assert_eq!(read(text).unwrap(), b"abababc");
    }

    #[test]
    fn text_that_looks_like_bytes_is_text() {
        assert_eq!(read("0000  61 62 63 64  abcd").unwrap(), b"abcd");
        assert_eq!(read("00000000: 6120 2062 2020  a  b").unwrap(), b"a  b  ");
        assert_eq!(read("0000  61 62 63 64  65 66").unwrap(), b"abcdef");
        assert_eq!(read("00000000  7c 20 20 7c  ||  ||").unwrap(), b"|  |");
    }
}
