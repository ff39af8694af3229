//! Attachments: which tenant ID of which peer, group or port, and whether it can be meant.

use transload_encaps::{IdField, IdForm, Ids, Segment};

use super::drafts::Way;
use super::report::Report;
use super::sides::Side;
use super::specs;
use crate::config::{At, Attachment, Id, InnerTags, L2cp, Offset};

/// A number as it is written: as itself, or as an offset to that of a pattern's tenant.
pub(super) trait Number {
    /// For the tenant with this number; `None` when it falls below 0.
    fn at(&self, n: u64) -> Option<u64>;
}

impl Number for u64 {
    fn at(&self, _: u64) -> Option<u64> {
        Some(*self)
    }
}

impl Number for Offset {
    fn at(&self, n: u64) -> Option<u64> {
        self.at(n)
    }
}

/// The ID fields that an attachment gives; those of another encapsulation are reported.
pub(super) fn fields<'c, V>(
    config: &'c Attachment<V>,
    side: &Side,
    report: &mut Report,
) -> Option<Vec<(&'static IdField, &'c At<V>)>> {
    let info = side.kind.info();
    let mut fields = Vec::with_capacity(config.ids.len());
    let mut all_good = true;
    for id in &config.ids {
        match info.ids.iter().find(|known| known.name == id.name) {
            None => wrong_field(id, side, report),
            Some(known) if id.value.get().is_some() => {
                fields.push((known, &id.value));
                continue;
            }
            Some(_) => {}
        }
        all_good = false;
    }
    all_good.then_some(fields)
}

/// The segment that an attachment's ID fields name there; what is wrong with them is reported.
pub(super) fn segment<V: Number>(way: &Way<'_, '_, V>, n: u64, report: &mut Report) -> Option<Segment> {
    let mut ids = Ids::default();
    let mut all_good = true;
    for &(known, at) in &way.fields {
        match at
            .get()?
            .at(n)
            .ok_or_else(|| format!("{} is negative", known.name))
            .and_then(|value| usable(known, value))
        {
            Ok(number) => ids.set(known.name, number),
            Err(why) => {
                report.error(at.span, why, format!("`{}`: {}", known.name, known.about));
                all_good = false;
            }
        }
    }
    if !all_good {
        return None;
    }
    let segment = way.side.kind.segment(&ids);
    if let Err(error) = &segment
        && !report.has_errors_in(way.name.extent)
    {
        specs::tell(way.name.span, error, report);
    }
    segment.ok()
}

/// The value, if the field can have it; else why not.
pub(super) fn usable(field: &IdField, value: u64) -> Result<u64, String> {
    refused(field, value).map_or(Ok(value), Err)
}

/// Why a field cannot have this value.
fn refused(field: &IdField, value: u64) -> Option<String> {
    let name = field.name;
    if let IdForm::Number { max } = field.form
        && value > max
    {
        return Some(format!("{name} {value} is out of range"));
    }
    let (_, why) = field.reserved.iter().find(|(range, _)| range.contains(&value))?;
    Some(match field.form {
        IdForm::Number { .. } => format!("{name} {value} cannot be used: {why}"),
        IdForm::Flag => format!("{name} cannot be {}: {why}", value != 0),
    })
}

/// An ID of another encapsulation: names the right one.
fn wrong_field<V>(id: &Id<V>, side: &Side, report: &mut Report) {
    let info = side.kind.info();
    let right: Vec<_> = info.ids.iter().map(|field| format!("`{}`", field.name)).collect();
    let (ids, be) = if right.len() == 1 { ("ID", "is") } else { ("IDs", "are") };
    let message = format!("{} speaks {}, whose tenant {ids} {be} {}", side.label, info.title, right.join(", "));
    let help = match right.as_slice() {
        [only] => format!("write {only} instead of `{}`", id.name),
        _ => format!("write one of them instead of `{}`", id.name),
    };
    report.error(id.span, message, help);
}

/// What happens to tags inside the tenant's frames: as the attachment says, else as its encapsulation does.
pub(super) fn inner_tags<V>(config: &Attachment<V>, side: &Side, report: &mut Report) -> transload_encaps::InnerTags {
    let info = side.kind.info();
    let Some((at, stated)) = config.inner_tags.as_ref().and_then(|at| Some((at, at.value()?))) else {
        return info.inner_tags;
    };
    match stated {
        InnerTags::Keep if !info.can_keep_tags => {
            let message = format!("{} cannot carry a VLAN tag inside ({})", info.title, info.standard);
            report.error(at.span, message, "write `strip` or `drop`");
            info.inner_tags
        }
        InnerTags::Keep => transload_encaps::InnerTags::Keep,
        InnerTags::Strip => transload_encaps::InnerTags::Strip,
        InnerTags::Drop => transload_encaps::InnerTags::Drop,
    }
}

/// Whether bridges' control frames pass. IEEE 802.1Q §8.6.3 has every bridge keep them to one link, and so do we
/// unless told otherwise.
pub(super) fn tunnels_l2cp<V>(config: &Attachment<V>) -> bool {
    config.l2cp.as_ref().and_then(At::value) == Some(L2cp::Tunnel)
}
