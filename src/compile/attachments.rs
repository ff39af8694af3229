//! Attachments: a tenant ID of a peer, a group or a port, checked against what the encapsulation allows.

use transload_encaps::{IdField, IdForm, Ids, Segment};

use super::findings::Findings;
use super::horizons::Horizons;
use super::sides::{FarSide, FarSides};
use super::specs;
use crate::config::{At, Attachment, Id, IdNumbers, InnerTags, L2cp, Name, Offset, Range, Span};

/// A number as the file states it: as itself, or as an offset to that of a pattern's tenant.
pub(super) trait TenantNumber {
    /// For the tenant with this number; `None` when it falls below 0.
    fn at(&self, n: u64) -> Option<u64>;
}

/// The numbers of an ID field as the file states them.
pub(super) trait StatedNumber {
    /// For the tenant with this number.
    fn at(&self, n: u64) -> Stated<'_>;
}

/// The numbers of an ID field of one tenant.
pub(super) enum Stated<'c> {
    /// One; `None` when it falls below 0.
    Number(Option<u64>),
    /// All of these.
    Ranges(&'c [At<Range>]),
}

impl<V: TenantNumber> StatedNumber for IdNumbers<V> {
    fn at(&self, n: u64) -> Stated<'_> {
        match self {
            Self::One(number) => Stated::Number(number.at(n)),
            Self::Ranges(ranges) => Stated::Ranges(ranges),
        }
    }
}

impl TenantNumber for u64 {
    fn at(&self, _: u64) -> Option<u64> {
        Some(*self)
    }
}

impl TenantNumber for Offset {
    fn at(&self, n: u64) -> Option<u64> {
        self.at(n)
    }
}

/// ID fields, as they are written.
type IdFields<'c, V> = Vec<(&'static IdField, &'c At<V>)>;

/// An attachment without the number of its ID: what is the same for all tenants of a pattern.
pub(super) struct AttachmentDraft<'p, 'c, V> {
    pub(super) name: Name<'c>,
    pub(super) config: &'c Attachment<V>,
    pub(super) side: &'p FarSide,
    /// The ID fields, as they are written.
    fields: IdFields<'c, V>,
    /// Those of what is sent, where they are others.
    sent_fields: Option<IdFields<'c, V>>,
    pub(super) inner_tags: transload_encaps::InnerTags,
    /// What the file says of bridges' control frames.
    pub(super) l2cp: Option<L2cp>,
    /// The split horizon, by number.
    pub(super) horizon: u16,
    /// Its name and what it leads to: an FDB entry must not follow it to another peer.
    pub(super) identity: String,
    /// Where its ID stands.
    pub(super) span: Span,
    /// Set once a number of a pattern is wrong: further wrong ones are counted, not reported one by one.
    pub(super) broken: Option<Broken>,
}

/// An attachment that could not be compiled.
pub(super) struct Broken {
    /// The number of the finding that says so; none where the file's value could not be read.
    finding: Option<usize>,
    /// How many further tenants of the pattern have it broken.
    more: u64,
}

impl Broken {
    /// Whether a number is wrong, so that the next tenant's may be right; else nothing about the attachment can be.
    pub(super) const fn is_of_a_number(&self) -> bool {
        self.finding.is_some()
    }
}

impl<'p, 'c, V> AttachmentDraft<'p, 'c, V> {
    /// Looks up what an attachment leads to; what is wrong with it is reported.
    pub(super) fn new(
        name: Name<'c>,
        config: &'c Attachment<V>,
        sides: FarSides<'p, 'c>,
        horizons: &mut Horizons<'c>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let side = sides.find(name, config, findings)?;
        let inner_tags = inner_tags(config, side, findings);
        let fields = fields(config, side, findings)?;
        if !may_be_apart(config, side, findings) {
            return None;
        }
        let sent_fields = sent_fields(config, &fields);
        let span = config.ids.first().map_or(name.span, |id| id.value.span);
        let identity = format!("{} {}", name.text, side.label);
        let l2cp = config.l2cp.as_ref().and_then(At::value);
        let (horizon, broken) = (horizons.number(config), None);
        Some(Self { name, config, side, fields, sent_fields, inner_tags, l2cp, horizon, identity, span, broken })
    }
}

impl<V> AttachmentDraft<'_, '_, V> {
    /// Notes that a tenant cannot have it. The first time, the finding that says why is the one at `findings_before`.
    pub(super) fn fails(&mut self, findings_before: usize, findings: &Findings) {
        if let Some(broken) = &mut self.broken {
            broken.more += 1;
        } else {
            let finding = Some(findings_before).filter(|before| *before < findings.count());
            self.broken = Some(Broken { finding, more: 0 });
        }
    }

    /// Says how many further tenants cannot have it.
    pub(super) fn tell_more(&self, findings: &mut Findings) {
        if let Some(Broken { finding: Some(finding), more }) = self.broken {
            findings.and_more(finding, more);
        }
    }
}

impl<V: StatedNumber> AttachmentDraft<'_, '_, V> {
    /// The segments for the tenant with this number: all that are received, at least one, and the one that is sent.
    /// What is wrong with them is reported.
    pub(super) fn segments(&self, n: u64, findings: &mut Findings) -> Option<(Vec<Segment>, Segment)> {
        let received = self.segments_of(&self.fields, n, findings)?;
        let sent = match &self.sent_fields {
            Some(fields) => *self.segments_of(fields, n, findings)?.first()?,
            None => *received.first()?,
        };
        Some((received, sent))
    }

    /// Where the ID of what is sent stands.
    pub(super) fn sent_span(&self) -> Span {
        let sent = self.config.ids.iter().find_map(|id| id.sent.as_ref());
        sent.map_or(self.span, |at| at.span)
    }

    /// The segments with these fields.
    fn segments_of(
        &self,
        fields: &[(&'static IdField, &At<V>)],
        n: u64,
        findings: &mut Findings,
    ) -> Option<Vec<Segment>> {
        let (mut ids, mut ranges) = (Ids::default(), None);
        let mut all_good = true;
        for &(known, at) in fields {
            let number = match at.get()?.at(n) {
                Stated::Number(number) => number.ok_or_else(|| format!("{} is negative", known.name)),
                Stated::Ranges(stated) => {
                    let usable = self.ranges(known, (stated, at.span), findings);
                    all_good &= usable.is_some();
                    ranges = usable.map(|ranges| (known.name, ranges));
                    continue;
                }
            };
            match number.and_then(|value| usable(known, value)) {
                Ok(number) => ids.set(known.name, number),
                Err(why) => {
                    findings.error(at.span, why, format!("`{}`: {}", known.name, known.about));
                    all_good = false;
                }
            }
        }
        if !all_good {
            return None;
        }
        let Some((name, ranges)) = ranges else { return self.named(&ids, findings).map(|segment| vec![segment]) };
        let with = |range: Range| {
            let mut ids = ids;
            ids.set_range(name, range.first..=range.last);
            ids
        };
        ranges.into_iter().map(|range| self.named(&with(range), findings)).collect()
    }

    /// The segment with these IDs.
    fn named(&self, ids: &Ids, findings: &mut Findings) -> Option<Segment> {
        let segment = self.side.kind.segment(ids);
        if let Err(error) = &segment
            && !findings.has_errors_in(self.name.extent)
        {
            specs::report(self.name.span, error, findings);
        }
        segment.ok()
    }

    /// The ranges of a field, in order, if the attachment can have them.
    fn ranges(
        &self,
        known: &IdField,
        (stated, whole): (&[At<Range>], Span),
        findings: &mut Findings,
    ) -> Option<Vec<Range>> {
        let mut all = Vec::with_capacity(stated.len());
        let about = || format!("`{}`: {}", known.name, known.about);
        for at in stated {
            let range = *at.get()?;
            let place = if at.span == Span::default() { whole } else { at.span };
            if let Some(why) = [range.first, range.last].into_iter().find_map(|value| refused(known, value)) {
                findings.error(place, why, about());
                return None;
            }
            all.push(range);
        }
        if all.is_empty() {
            findings.error(whole, format!("the list of `{}` is empty", known.name), about());
            return None;
        }
        if let Some(stated) = self.config.inner_tags.as_ref()
            && self.inner_tags != transload_encaps::InnerTags::Keep
        {
            let message =
                format!("with a range of `{}` the tag stays in the frame, so that it must be kept", known.name);
            findings.error(stated.span, message, "write `keep` or remove it; at other attachments it may be stripped");
            return None;
        }
        all.sort_unstable_by_key(|range| range.first);
        Some(all)
    }
}

/// The ID fields that an attachment gives; those of another encapsulation are reported.
pub(super) fn fields<'c, V>(
    config: &'c Attachment<V>,
    side: &FarSide,
    findings: &mut Findings,
) -> Option<IdFields<'c, V>> {
    let info = side.kind.info();
    let mut fields = Vec::with_capacity(config.ids.len());
    let mut all_good = true;
    for id in &config.ids {
        match info.ids.iter().find(|known| known.name == id.name) {
            None => wrong_field(id, side, findings),
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

/// Whether an attachment may give one ID for what is received and another for what is sent, if it does; reported if not.
fn may_be_apart<V>(config: &Attachment<V>, side: &FarSide, findings: &mut Findings) -> bool {
    let apart = config.ids.iter().find(|id| id.sent.is_some());
    let Some(id) = apart.filter(|_| !side.kind.has_peers()) else { return true };
    findings.error(
        id.value.span,
        format!("the tags of {} are the same in both directions", side.label),
        format!("write one `{}`; `receive` and `send` are for the IDs of peers and groups", id.name),
    );
    false
}

/// The ID fields of what is sent, where an attachment gives others for it than these.
fn sent_fields<'c, V>(config: &'c Attachment<V>, fields: &IdFields<'c, V>) -> Option<IdFields<'c, V>> {
    let sent = config.ids.iter().zip(fields).map(|(id, &(known, at))| (known, id.sent.as_ref().unwrap_or(at)));
    config.ids.iter().any(|id| id.sent.is_some()).then(|| sent.collect())
}

/// Returns the value, or the reason why the field cannot have it.
pub(super) fn usable(field: &IdField, value: u64) -> Result<u64, String> {
    refused(field, value).map_or(Ok(value), Err)
}

/// The reason why a field cannot have this value.
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

/// Reports an ID of another encapsulation, and names the right one.
fn wrong_field<V>(id: &Id<V>, side: &FarSide, findings: &mut Findings) {
    let info = side.kind.info();
    let right: Vec<_> = info.ids.iter().map(|field| format!("`{}`", field.name)).collect();
    let (ids, be) = if right.len() == 1 { ("ID", "is") } else { ("IDs", "are") };
    let message = format!("{} speaks {}, whose tenant {ids} {be} {}", side.label, info.title, right.join(", "));
    let help = match right.as_slice() {
        [only] => format!("write {only} instead of `{}`", id.name),
        _ => format!("write one of them instead of `{}`", id.name),
    };
    findings.error(id.span, message, help);
}

/// What happens to tags inside the tenant's frames: as the attachment says, else as its encapsulation does.
pub(super) fn inner_tags<V>(
    config: &Attachment<V>,
    side: &FarSide,
    findings: &mut Findings,
) -> transload_encaps::InnerTags {
    let info = side.kind.info();
    let Some((at, stated)) = config.inner_tags.as_ref().and_then(|at| Some((at, at.value()?))) else {
        return info.inner_tags;
    };
    match stated {
        InnerTags::Keep if !info.can_keep_tags => {
            let message = format!("{} cannot carry a VLAN tag inside ({})", info.title, info.standard);
            findings.error(at.span, message, "write `strip` or `drop`");
            info.inner_tags
        }
        InnerTags::Keep => transload_encaps::InnerTags::Keep,
        InnerTags::Strip => transload_encaps::InnerTags::Strip,
        InnerTags::Drop => transload_encaps::InnerTags::Drop,
    }
}
