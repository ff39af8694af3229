//! Gives up what the gateway does not go on to need, once its ports are open, and says what is left.

use std::path::Path;

use rustix::fs::{Access, access};
use rustix::thread::CapabilitySet;
use transload_encaps::Carrier;

use super::opening::is_heard;
use super::serving::OpenPort;
use super::start::StartError;
use crate::admin::socket::AdminSocket;
use crate::compile::Plan;
use crate::config::{Config, Problem, Seccomp, Span};
use crate::forwarding::PortId;
use crate::io::Backend;
use crate::io::rights::{rights_of, rights_of_udp};
use crate::logging::{self, LogEvent};
use crate::rights::{Account, Call, Rights, allow_only, in_words, keep, leave_none_to_programs, of_a_process};
use crate::{admin, kernel};

/// What asking for the names of peers takes of libc.
const NAMES: [Call; 12] = [
    Call::socket(libc::AF_INET),
    Call::socket(libc::AF_INET6),
    Call::socket(libc::AF_NETLINK),
    Call::socket(libc::AF_UNIX),
    Call::Any(libc::SYS_bind),
    Call::Any(libc::SYS_connect),
    Call::Any(libc::SYS_getpeername),
    Call::Any(libc::SYS_getsockname),
    Call::Any(libc::SYS_recvfrom),
    Call::Any(libc::SYS_recvmsg),
    Call::Any(libc::SYS_sendmmsg),
    Call::Any(libc::SYS_sendto),
];

/// What a gateway goes on to need for this plan.
#[must_use]
pub fn rights(plan: &Plan, is_on_xdp: impl Fn(PortId) -> bool) -> Rights {
    let always = [
        admin::rights::rights(),
        kernel::rights::rights(),
        logging::rights::rights(),
        Rights::calls(NAMES.into_iter().chain(of_a_process())),
    ];
    let ports = plan.ports.iter().map(|port| rights_of(&port.backend, is_on_xdp(port.id)));
    let heard = plan.tables.endpoints.iter().filter(|(id, _)| is_heard(plan, *id));
    let listening = heard.flat_map(|(_, endpoint)| &endpoint.carriers).filter_map(|carrier| match carrier {
        Carrier::Udp(port) => Some(rights_of_udp(*port)),
        Carrier::Ip(_) | Carrier::Port => None,
    });
    always.into_iter().chain(ports).chain(listening).collect()
}

/// Becomes the user whom the file names, and gives up every right that this plan does not go on to need: for this thread
/// and those that it starts. Tells what of its files is out of reach then, among them the one for its `state`. Returns the
/// capabilities that the process had and has no more.
///
/// # Errors
/// When it cannot become that user, or the kernel does not let it give something up.
pub fn confine(
    plan: &Plan,
    config: &Config,
    admin: &AdminSocket,
    metrics: Option<&OpenPort>,
    state: Option<&Path>,
    is_on_xdp: impl Fn(PortId) -> bool,
) -> Result<CapabilitySet, StartError> {
    let refused = |error| StartError::System("cannot give up capabilities", error);
    let rights = rights(plan, is_on_xdp);
    let user = plan.settings.user.as_deref().map(Account::find).transpose()?;
    if let Some(user) = &user {
        let (uid, gid) = user.numbers();
        if let Err(error) = admin.hand_over(uid, gid) {
            let socket = admin.path().display().to_string();
            out_of_reach(&socket, &format!("cannot give {socket} to user {}: {error}", user.name()));
        }
        if let Some(Err(error)) = metrics.map(|port| port.hand_over(uid, gid)) {
            let why =
                format!("a reload cannot move the TCP port of metrics to an address that covers its own: {error}");
            LogEvent::Warning { why: &why }.tell();
        }
        leave_none_to_programs();
        user.take_over()?;
    }
    let kept = keep(rights.capabilities()).map_err(refused)?;
    let calls = match plan.settings.seccomp {
        Seccomp::Off => "every system call (seccomp: off)".to_owned(),
        Seccomp::On => match allow_only(&rights.calls) {
            Ok(count) => format!("{count} system calls (seccomp)"),
            Err(error) => {
                LogEvent::SystemCallsUnrestricted { why: &error.to_string() }.tell();
                "every system call".to_owned()
            }
        },
    };
    let user = user.as_ref().map(Account::name);
    LogEvent::RightsKept { user, capabilities: &in_words(kept.kept), calls: &calls }.tell();
    warn_of_files(plan, config, admin.path(), state);
    Ok(kept.given_up)
}

/// Tells what of the file system is out of reach now.
fn warn_of_files(plan: &Plan, config: &Config, admin: &Path, state: Option<&Path>) {
    let who = match &plan.settings.user {
        Some(user) => format!("user {user}"),
        None => "whoever started transload".to_owned(),
    };
    for file in config.source.names().filter(|name| *name != "-") {
        if access(file, Access::READ_OK).is_err() {
            let why = format!("a reload will be refused: {file} cannot be read any more; let {who} read it");
            out_of_reach(file, &why);
        }
    }
    let local = plan.ports.iter().filter_map(|port| match &port.backend {
        Backend::Unix { local, .. } => Some(local.as_path()),
        _ => None,
    });
    for socket in local.chain([admin]) {
        if let Some(directory) = fixed_directory(socket) {
            let (socket, directory) = (&*socket.display().to_string(), directory.display());
            let why = format!("{socket} will be left behind at the end: {directory} is not for {who} to change");
            out_of_reach(socket, &why);
        }
    }
    if let Some((state, directory)) = state.and_then(|state| Some((state.display(), fixed_directory(state)?.display())))
    {
        let (state, why) = (&*state.to_string(), format!("let {who} change {directory}, or name another place"));
        out_of_reach(state, &format!("the state file {state} cannot be written: {why}"));
    }
}

fn out_of_reach(file: &str, why: &str) {
    LogEvent::FileOutOfReach { file, why }.tell();
}

/// The directory of a file, if we may neither make nor remove files there.
fn fixed_directory(file: &Path) -> Option<&Path> {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    access(directory, Access::WRITE_OK | Access::EXEC_OK).is_err().then_some(directory)
}

/// Why this plan cannot have what it needs: it was given up at the start.
#[must_use]
pub fn missing(given_up: CapabilitySet, plan: &Plan) -> Vec<Problem> {
    // The ports are those of the start.
    let needs = rights(plan, |_| false).needs.into_iter();
    let missing = needs.filter(|need| given_up.intersects(need.capabilities));
    let problem = |need: crate::rights::Need| {
        let lacks = in_words(need.capabilities & given_up);
        let message = format!("{} needs {lacks}, which was given up at the start", need.what);
        Problem::error(&plan.source, Span::default(), message).help("restart transload to apply it")
    };
    missing.map(problem).collect()
}
