//! Mappings in words: where both sides lead, and how each writes the IDs, in one spelling for all that mean the same.

use std::fmt::Write as _;

use transload_encaps::{IdForm, Segment};

use crate::compile::Names;
use crate::forwarding::{Connection, End, FileTables};
use crate::mapping::{Field, Mapping};

/// One side of a mapping in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideText {
    /// `peer leaf-9`, `port access`.
    pub to: String,
    /// By ID field: the range that it has on the `from` side, or the bits that make it on the other.
    pub fields: Vec<(&'static str, String)>,
}

/// `peer leaf-9, vni 0x100000-0x1fffff`
impl std::fmt::Display for SideText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to)?;
        self.fields.iter().try_for_each(|(name, text)| write!(f, ", {name} {text}"))
    }
}

/// Both sides of a mapping, `from` first.
#[must_use]
pub fn sides(connection: &Connection, tables: &FileTables, names: &Names) -> [SideText; 2] {
    [0, 1].map(|side| text(&connection.ids, side, &connection.ends[side], tables, names))
}

fn text(ids: &Mapping, side: usize, end: &End, tables: &FileTables, names: &Names) -> SideText {
    let name = names.peer(end.peer);
    let Some(kind) = tables.peer(end.peer).map(|peer| peer.compiled.kind()) else {
        return SideText { to: name.into_owned(), fields: Vec::new() };
    };
    let to = if kind.has_peers() { format!("peer {name}") } else { format!("port {name}") };
    let stated = kind.ids(Segment(ids.sides[side].outline(ids.fixed)));
    let mut numbers = ids.sides[side].fields.iter();
    let fields = kind.info().ids.iter().filter(|known| stated.get(known.name).is_some()).map(|known| {
        let text = match known.form {
            IdForm::Flag => "true".to_owned(),
            IdForm::Number { .. } if side == 0 => numbers.next().map_or_else(String::new, range),
            IdForm::Number { .. } => numbers.next().map_or_else(String::new, bits),
        };
        (known.name, text)
    });
    SideText { to, fields: fields.collect() }
}

fn range(field: &Field) -> String {
    if field.first == field.last {
        format!("{:#x}", field.first)
    } else {
        format!("{:#x}-{:#x}", field.first, field.last)
    }
}

/// `id[23:12]`, `{id[11:0], 4'0x5, id[23:16]} + 0x1000`: as the configuration has it.
fn bits(field: &Field) -> String {
    let mut moves: Vec<_> =
        field.moves.iter().map(|step| (step.mask.rotate_left(step.left).trailing_zeros(), step.mask)).collect();
    moves.sort_unstable();
    let (mut pieces, mut low) = (Vec::new(), 0);
    let constant = |low: u32, high: u32| {
        let width = high - low;
        let value = field.constant >> low & (1_u64.checked_shl(width).map_or(u64::MAX, |bit| bit - 1));
        (width > 0).then(|| format!("{width}'{value:#x}"))
    };
    for (at, mask) in moves {
        pieces.extend(constant(low, at));
        let (first, width) = (mask.trailing_zeros(), mask.count_ones());
        let last = first + width.max(1) - 1;
        pieces.push(if first == last { format!("id[{first}]") } else { format!("id[{last}:{first}]") });
        low = at + width;
    }
    pieces.extend(constant(low, (u64::BITS - field.constant.leading_zeros()).max(low)));
    let add = field.add.cast_signed();
    let mut text = match &mut pieces[..] {
        [] => return format!("{add:#x}"),
        [piece] => std::mem::take(piece),
        _ => {
            pieces.reverse();
            format!("{{{}}}", pieces.join(", "))
        }
    };
    if add != 0 {
        // Writing into a string does not fail.
        let _ = write!(text, " {} {:#x}", if add < 0 { '-' } else { '+' }, add.unsigned_abs());
    }
    text
}
