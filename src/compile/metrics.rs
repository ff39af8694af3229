//! Metrics: where they are served, and the tenants that have none of their own.

use super::findings::Findings;
use super::names::Names;
use super::plan::{MetricsPlan, Serving};
use crate::config::{At, File};

/// What the file says of metrics.
pub(super) fn of(file: &File, names: &Names, findings: &mut Findings) -> MetricsPlan {
    let serving = file.metrics.listen.as_ref().and_then(|at| Some(Serving { at: at.value()?.0, span: at.span }));
    if let Some(Serving { at, span }) = serving.filter(|serving| !serving.at.ip().is_loopback()) {
        let message = format!("whoever reaches {at} can read the names and counters of all tenants");
        findings.warning(span, message, "let a firewall keep others away, or listen on 127.0.0.1");
    }
    let left_out = file.metrics.tenants.leave_out.as_ref();
    if let Some((span, patterns)) = left_out.and_then(|at| Some((at.span, at.get()?))) {
        let tenants: Vec<_> = names.domains().map(|(_, name)| name).collect();
        for pattern in patterns.unfit(&tenants) {
            let help = "`*` stands for any letters, and `?` for one; a pattern fits whole names";
            findings.warning(span, format!("there is no tenant `{pattern}` to leave out"), help);
        }
    }
    MetricsPlan { serving, leave_out: left_out.and_then(At::get).cloned().unwrap_or_default() }
}
