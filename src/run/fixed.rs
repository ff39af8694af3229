//! What cannot change while a gateway runs: what is opened once, ports and threads and the table's memory.

use crate::compile::Plan;
use crate::config::{At, Config, Problem, Span};

/// What a file wants otherwise than the running plan and cannot have without a restart, in the file's order.
#[must_use]
pub fn check(before: &Plan, config: &Config, plan: &Plan) -> Vec<Problem> {
    let mut problems = settings(before, config, plan);
    problems.extend(plan.ports.iter().filter_map(|port| {
        let message = match before.ports.iter().find(|old| old.id == port.id) {
            None => format!("port `{}` is new, and ports are opened at the start", port.name),
            Some(old) if old.backend != port.backend => {
                format!("`device` and `io` of port `{}` cannot change at run time", port.name)
            }
            Some(old) if before.tenant_device(old).is_some() && plan.has_endpoints(port.id) => format!(
                "port `{}` had tenants only, and the kernel drops what arrives there for the machine itself",
                port.name
            ),
            Some(_) => return None,
        };
        Some(restart(plan, port.span, message))
    }));
    let gone = before.ports.iter().filter(|old| plan.ports.iter().all(|port| port.id != old.id));
    problems.extend(gone.map(|old| {
        restart(plan, Span::default(), format!("port `{}` is gone, and ports are closed at the end", old.name))
    }));
    problems.sort_by_key(Problem::span);
    problems
}

fn settings(before: &Plan, config: &Config, plan: &Plan) -> Vec<Problem> {
    let file = &config.file;
    let (old, new) = (&before.settings, &plan.settings);
    let span = |at: Option<Span>| at.unwrap_or_default();
    let checks = [
        (
            new.workers != old.workers,
            span(file.workers.as_ref().map(|at| at.span)),
            "the number of workers cannot change while they run",
        ),
        (
            new.polling != old.polling,
            span(file.polling.as_ref().map(|at| at.span)),
            "how workers wait for frames (`polling`) cannot change while they run",
        ),
        (
            new.fdb_capacity != old.fdb_capacity,
            span(file.fdb.capacity.as_ref().map(|at| at.span)),
            "the size of the MAC table (fdb.capacity) cannot change while it is in use",
        ),
        (
            new.admin != old.admin,
            span(file.admin.as_ref().map(|at: &At<_>| at.span)),
            "the admin socket cannot change while it is open",
        ),
        (
            new.user != old.user,
            span(file.user.as_ref().map(|at| at.span)),
            "the user cannot change at run time: the right to become another was given up at the start",
        ),
        (
            new.seccomp != old.seccomp,
            span(file.seccomp.as_ref().map(|at| at.span)),
            "`seccomp` cannot change at run time",
        ),
    ];
    let changed = checks.into_iter().filter(|(is_changed, ..)| *is_changed);
    changed.map(|(_, span, message)| restart(plan, span, message.to_owned())).collect()
}

fn restart(plan: &Plan, span: Span, message: String) -> Problem {
    Problem::error(&plan.source, span, message).help("restart transload to apply it")
}
