//! Attachments: which tenant ID of which peer, group or port, and whether it can be meant.

use transload_encaps::{Ids, Kind, Segment};

use super::report::Report;
use super::sides::Side;
use super::specs;
use crate::config::{At, Attachment, InnerTags, Name};

/// The segment that an attachment's ID fields name there; what is wrong with them is reported.
pub(super) fn segment(name: Name<'_>, config: &Attachment, side: &Side, report: &mut Report) -> Option<Segment> {
    let info = side.kind.info();
    let mut ids = Vec::with_capacity(config.ids.len());
    let mut all_good = true;
    for (field, value) in &config.ids {
        let Some(known) = info.ids.iter().find(|known| known.name == *field) else {
            wrong_field(field, value, side, report);
            all_good = false;
            continue;
        };
        let Some(number) = value.value() else {
            all_good = false;
            continue;
        };
        match known.refuse(number) {
            Some((message, help)) => {
                report.error(value.span, message, help);
                all_good = false;
            }
            None => ids.push((*field, number)),
        }
    }
    if !all_good {
        return None;
    }
    side.kind.segment(&Ids::of(&ids)).map_err(|error| specs::tell(name.span, &error, report)).ok()
}

trait Limits {
    /// Why this value cannot be meant, and what to write instead.
    fn refuse(&self, value: u64) -> Option<(String, String)>;
}

impl Limits for transload_encaps::IdField {
    fn refuse(&self, value: u64) -> Option<(String, String)> {
        use transload_encaps::IdForm;
        let name = self.name;
        if let IdForm::Number { max } = self.form
            && value > max
        {
            return Some((format!("{name} {value} is out of range"), format!("write {}", self.about)));
        }
        let (_, why) = self.reserved.iter().find(|(range, _)| range.contains(&value))?;
        let what = match self.form {
            IdForm::Number { .. } => format!("{name} {value}"),
            IdForm::Flag => format!("{name}: {}", value != 0),
        };
        Some((format!("{what} cannot be used: {why}"), format!("write {}", self.about)))
    }
}

/// An ID of another encapsulation: says whose it is, and names the right one.
fn wrong_field(field: &str, value: &At<u64>, side: &Side, report: &mut Report) {
    let info = side.kind.info();
    let right: Vec<_> = info.ids.iter().map(|id| format!("`{}`", id.name)).collect();
    let whose = Kind::ALL.iter().find(|kind| kind.info().ids.iter().any(|id| id.name == field));
    let message = format!("{} speaks {}, whose tenant ID is {}", side.label, info.title, right.join(", "));
    let help = match (info.ids, whose) {
        ([only], Some(_)) => format!("write `{}` instead of `{field}`", only.name),
        _ => format!("write one of {} instead of `{field}`", right.join(", ")),
    };
    report.error(value.span, message, help);
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
