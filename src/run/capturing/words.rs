//! What is known of a frame at a point, in words: the comment beside its bytes.

use crate::compile::Names;
use crate::dataplane::tap::{TapPoint, TapRecord};
use crate::dataplane::{Decision, FrameKind, Verdict};
use crate::forwarding::Forwarding;

/// Records in words.
pub(super) struct RecordWords<'a> {
    pub(super) names: &'a Names,
    pub(super) tables: &'a Forwarding,
}

impl RecordWords<'_> {
    /// `frame 17 from leaf; tenant blue (leaf); dropped: too_big`
    pub(super) fn of(&self, record: &TapRecord) -> String {
        let mut parts = vec![self.origin(record)];
        parts.extend(self.owner(record));
        match record.point {
            TapPoint::Receive => parts.push(outcome(record.verdict)),
            TapPoint::Decap => {}
            TapPoint::Bridge => parts.push(self.decision(record.decision)),
            TapPoint::Transmit if record.is_answer => parts.push("the gateway's ICMP error to its sender".to_owned()),
            TapPoint::Transmit => parts.extend(self.to(record)),
            TapPoint::Drop => {
                parts.extend(self.to(record));
                parts.extend(record.reason.map(|reason| {
                    let info = reason.info();
                    format!("dropped: {}: {} Responsible: {}", info.label, info.meaning, info.fault.word())
                }));
            }
        }
        parts.join("; ")
    }

    fn origin(&self, record: &TapRecord) -> String {
        let number = record.frame & 0xffff_ffff_ffff;
        let worker = match record.frame >> 48 {
            0 => String::new(),
            worker => format!(" of worker {worker}"),
        };
        let port = self.names.port(record.port);
        match self.tables.peer(record.peer) {
            Some(_) => format!("frame {number}{worker} from {} by {port}", self.names.peer(record.peer)),
            None => format!("frame {number}{worker} by {port}"),
        }
    }

    fn owner(&self, record: &TapRecord) -> Option<String> {
        match record.kind {
            FrameKind::Unopened => None,
            FrameKind::Refused(segment) => {
                let kind = self.tables.peer(record.peer)?.compiled.kind();
                Some(kind.ids(segment).to_string())
            }
            FrameKind::Tenant(claim) => {
                let attachment = self.names.attachment(claim.domain, claim.attachment);
                Some(format!("tenant {} ({attachment})", self.names.domain(claim.domain)))
            }
            FrameKind::Mapping(crossing) => Some(format!("mapping {}", self.names.mapping(crossing.mapping))),
        }
    }

    fn to(&self, record: &TapRecord) -> Option<String> {
        let (domain, target) = record.to?;
        let attachment = self.names.attachment(domain, target.attachment);
        Some(format!("to {attachment} ({})", self.names.peer(target.peer)))
    }

    fn decision(&self, decision: Decision) -> String {
        match decision {
            Decision::Undecided => "to nobody".to_owned(),
            Decision::To { domain, target } => {
                let attachment = self.names.attachment(domain, target.attachment);
                format!("to {attachment} ({})", self.names.peer(target.peer))
            }
            Decision::Flood { .. } => "to everyone".to_owned(),
            Decision::FloodControl { .. } => "to everyone whom such control frames pass to".to_owned(),
        }
    }
}

fn outcome(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pending => "on its way".to_owned(),
        Verdict::Sent => "sent".to_owned(),
        Verdict::Waiting => "waits for its copies, or for other fragments".to_owned(),
        Verdict::Dropped(reason) => format!("dropped: {}", reason.label()),
    }
}
