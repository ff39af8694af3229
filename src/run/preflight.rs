//! What keeps a gateway from starting on this machine, looked for before anything is opened: `run` refuses with it, and
//! `check --host` tells it beforehand.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use rustix::thread::{CapabilitySet, capabilities};

use super::backends::{self, Choices};
use super::exclusive::Exclusive;
use super::filters::filter;
use super::opening;
use super::serving;
use crate::admin::socket::{AdminSocket, AdminSocketError};
use crate::compile::{Plan, PortPlan};
use crate::config::{Config, Problem, Span};
use crate::io::Backend;
use crate::io::af_xdp::{self, SetupError};
use crate::io::unix::UnixPort;
use crate::kernel::host::{Machine, check_routes};
use crate::rights::Account;

/// Everything about this machine that a configuration may trip over, for `check --host`.
///
/// # Errors
/// When the kernel will not say what it has.
pub fn look(config: &Config, plan: &mut Plan) -> io::Result<Vec<Problem>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let machine = Machine::read().await?;
        let admin = plan.settings.admin.clone();
        let mut problems = examine(&machine, config, plan, admin.as_deref());
        problems.extend(check_routes(plan).await?);
        // Whoever runs has the port, which a reload keeps.
        if served_by_others(plan).is_empty() {
            problems.extend(serving::examine(plan));
        }
        problems.extend(rivals(config, plan));
        problems.extend(permissions(plan));
        problems.sort_by_key(Problem::span);
        Ok(problems)
    })
}

/// What stands in the way of a gateway that starts, and what it takes from the machine, in the order of the file. `admin`
/// is where the file has its admin socket, if that counts. The plan then names devices as the kernel does.
pub fn examine(machine: &Machine, config: &Config, plan: &mut Plan, admin: Option<&Path>) -> Vec<Problem> {
    machine.name_devices(plan, None);
    let mut problems = machine.problems(config, plan);
    problems.extend(admin.and_then(|path| admin_socket(config, plan, path)));
    problems.extend(account(config, plan));
    problems.extend(plan.ports.iter().filter_map(|port| socket(plan, port)));
    if served_by_others(plan).is_empty() {
        problems.extend(machine.held_by_others(plan));
    }
    let choices = backends::choose(plan);
    problems.extend(machine.unusable_taps(config, plan, choices.workers));
    problems.extend(without_xdp(plan, &choices));
    problems.sort_by_key(Problem::span);
    problems
}

fn admin_socket(config: &Config, plan: &Plan, path: &Path) -> Option<Problem> {
    match AdminSocket::examine(path) {
        // Whoever answers there is a gateway.
        Ok(()) | Err(AdminSocketError::Live(_)) => None,
        Err(error) => Some(Problem::error(&plan.source, admin_span(config), error.to_string())),
    }
}

fn admin_span(config: &Config) -> Span {
    config.file.admin.as_ref().map_or_else(Span::default, |admin| admin.span)
}

fn account(config: &Config, plan: &Plan) -> Option<Problem> {
    let error = Account::find(plan.settings.user.as_deref()?).err()?;
    let span = config.file.user.as_ref().map_or_else(Span::default, |user| user.span);
    let problem = Problem::error(&plan.source, span, error.to_string());
    Some(problem.help("name one of /etc/passwd, or make it (`useradd --system NAME`)"))
}

fn socket(plan: &Plan, port: &PortPlan) -> Option<Problem> {
    let Backend::Unix { local, .. } = &port.backend else { return None };
    match UnixPort::examine(local) {
        Ok(()) => None,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => None,
        Err(error) => {
            let message = format!("port {}: cannot open the socket {}: {error}", port.name, local.display());
            Some(Problem::error(&plan.source, port.span, message))
        }
    }
}

/// Ports that must be on XDP sockets, where nobody gets them.
fn without_xdp(plan: &Plan, choices: &Choices) -> Vec<Problem> {
    let frags = choices.layout().frags();
    let problem = |port: &PortPlan| {
        let Backend::AfXdp { device } = &port.backend else { return None };
        match af_xdp::examine(device, &filter(&plan.tables, port.id, port.mac), frags) {
            // Somebody else may have the rights.
            Ok(()) | Err(SetupError::Capabilities(_)) => None,
            Err(fault) => {
                let message = format!("cannot use XDP sockets on {device}: {fault}");
                let help = "`io: af_packet` works on every device";
                Some(Problem::error(&plan.source, port.span, message).help(help))
            }
        }
    };
    plan.ports.iter().filter_map(problem).collect()
}

/// What another gateway holds: this file may be meant for its reload, so that it is no error.
fn rivals(config: &Config, plan: &Plan) -> Vec<Problem> {
    const HELP: &str = "`run` would refuse while it does; `transload reload` may be meant";
    let mut problems = Vec::new();
    if let Some(path) = &plan.settings.admin
        && let Err(live @ AdminSocketError::Live(_)) = AdminSocket::examine(path)
    {
        problems.push(Problem::warning(&plan.source, admin_span(config), live.to_string()).help(HELP));
    }
    for port in &plan.ports {
        if let Backend::Unix { local, .. } = &port.backend
            && let Err(error) = UnixPort::examine(local)
            && error.kind() == io::ErrorKind::AddrInUse
        {
            problems.push(Problem::warning(&plan.source, port.span, error.to_string()).help(HELP));
        }
    }
    for what in served_by_others(plan) {
        let message = format!("another transload on this machine serves {what} already");
        problems.push(Problem::warning(&plan.source, Span::default(), message).help(HELP));
    }
    problems
}

/// What of a plan another gateway serves.
fn served_by_others(plan: &Plan) -> Vec<String> {
    opening::claims(plan).into_iter().filter(|what| Exclusive::is_claimed(what)).collect()
}

/// Rights that `run` needs and whoever asks does not have.
fn permissions(plan: &Plan) -> Option<Problem> {
    let have = capabilities(None).ok()?.effective;
    let on_devices = plan.ports.iter().any(|port| port.backend.network_device().is_some());
    let on_xdp = plan.ports.iter().any(|port| matches!(port.backend, Backend::AfXdp { .. }));
    let administers = |port: &PortPlan| {
        plan.tenant_device(port).is_some() || matches!(port.backend, Backend::Tap { .. } | Backend::AfXdp { .. })
    };
    let user = plan.settings.user.as_deref().and_then(|user| Account::find(user).ok());
    let changes_user = user.is_some_and(|user| !user.is_in_force());
    let wanted = [
        (changes_user, CapabilitySet::SETUID, "CAP_SETUID"),
        (changes_user, CapabilitySet::SETGID, "CAP_SETGID"),
        (on_devices, CapabilitySet::NET_RAW, "CAP_NET_RAW"),
        (plan.ports.iter().any(administers), CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
    ];
    let missing = wanted.into_iter().filter(|(is_wanted, right, _)| *is_wanted && !have.contains(*right));
    let for_xdp = if on_xdp { af_xdp::missing(true) } else { Vec::new() };
    let names: BTreeSet<_> = missing.map(|(.., name)| name).chain(for_xdp).collect();
    let names = Vec::from_iter(names);
    let message = format!("`run` needs {}, which this user does not have", names.join(" and "));
    (!names.is_empty()).then(|| Problem::warning(&plan.source, Span::default(), message).help("run it as root"))
}
