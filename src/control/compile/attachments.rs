//! Attachments: which tenant ID of which peer, group or port, and whether it can be meant.

use transload_encaps::{IdField, IdForm, Ids, Segment};

use super::report::Report;
use super::sides::Side;
use super::specs;
use crate::config::{At, Attachment, Id, InnerTags, L2cp, Name};

/// The segment that an attachment's ID fields name there; what is wrong with them is reported.
pub(super) fn segment(name: Name<'_>, config: &Attachment, side: &Side, report: &mut Report) -> Option<Segment> {
    let info = side.kind.info();
    let mut ids = Vec::with_capacity(config.ids.len());
    let mut all_good = true;
    for id in &config.ids {
        let Some(known) = info.ids.iter().find(|known| known.name == id.name) else {
            wrong_field(id, side, report);
            all_good = false;
            continue;
        };
        let Some(number) = id.value.value() else {
            all_good = false;
            continue;
        };
        if let Some(why) = refused(known, number) {
            report.error(id.value.span, why, format!("`{}`: {}", known.name, known.about));
            all_good = false;
        } else {
            ids.push((known.name, number));
        }
    }
    if !all_good {
        return None;
    }
    let segment = side.kind.segment(&Ids::of(&ids));
    if let Err(error) = &segment
        && !report.has_errors_in(name.extent)
    {
        specs::tell(name.span, error, report);
    }
    segment.ok()
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
fn wrong_field(id: &Id, side: &Side, report: &mut Report) {
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
pub(super) fn inner_tags(config: &Attachment, side: &Side, report: &mut Report) -> transload_encaps::InnerTags {
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
pub(super) fn tunnels_l2cp(config: &Attachment) -> bool {
    config.l2cp.as_ref().and_then(At::value) == Some(L2cp::Tunnel)
}
