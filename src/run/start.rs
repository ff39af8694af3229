//! `run`: from a file to a gateway that moves frames, and back to nothing.
//!
//! Read and compile; look at the machine; take the admin socket and claim what the plan serves; open the ports; resolve next
//! hops; keep the kernel quiet; restore what was known; give up the rights that were only needed for that; start the
//! workers. A gateway that replaces another has that end before it keeps the kernel quiet, and takes socket and claims then
//! (`replace`). Whatever fails, everything before it is undone by being dropped.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use thiserror::Error;
use tokio::runtime::Runtime;
use transload_encaps::Mac;

use crate::admin::socket::{AdminSocket, AdminSocketError};
use crate::compile::{Numbers, Plan, compile};
use crate::config::{self, At, Config, Polling, Problem, Problems};
use crate::dataplane::thread::{Pulse, pin, work};
use crate::dataplane::{Now, Worker};
use crate::events;
use crate::kernel::devices::devices as kernel_devices;
use crate::kernel::host::Machine;
use crate::kernel::resolver::Resolver;
use crate::logging::LogEvent;
use crate::rib::facts::{PortLink, Tunnel};
use crate::rights::{Account, AccountError, EarlyThread, user_changes};
use crate::run::backends;
use crate::run::confine::confine;
use crate::run::exclusive::Exclusive;
use crate::run::gateway::Gateway;
use crate::run::host_names;
use crate::run::opening::{self, Opening, OpeningError};
use crate::run::preflight;
use crate::run::remembering::StateKeeper;
use crate::run::replace::Predecessor;
use crate::run::service_manager::ServiceManager;
use crate::run::serving::{self, MetricsPort};
use crate::run::signals::{Signals, StopSignals};
use crate::run::supervise::Supervision;

/// Events a worker may be ahead of the control plane.
const EVENTS: usize = 16_384;
/// How long neighbours have to answer before the gateway says it is ready.
const FIRST_ANSWERS: Duration = Duration::from_millis(500);

/// For so long, in nanoseconds, tenants may send more unknown unicast than their limits: what is silent has to be flooded.
const STARTING: u64 = 10_000_000_000;

/// The arguments of `run`.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// The gateway's file.
    pub file: PathBuf,
    /// The admin socket, if not the file's or the usual one.
    pub admin: Option<PathBuf>,
    /// Whether to take the place of the gateway that runs.
    pub replace: bool,
    /// Whether to stop when standard input is closed: for those who start gateways of their own.
    pub attended: bool,
}

/// Why the gateway does not run.
#[derive(Debug, Error)]
pub enum StartError {
    /// The file is wrong, whatever machine it is for.
    #[error(transparent)]
    File(Problems),
    /// The file asks for what this machine does not have.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// A port cannot be opened.
    #[error(transparent)]
    Opening(#[from] OpeningError),
    /// There is no admin socket.
    #[error(transparent)]
    Admin(#[from] AdminSocketError),
    /// More static addresses than the table holds.
    #[error("the MAC table has no room for the static address {0}: raise `fdb: {{ capacity: .. }}`")]
    Full(Mac),
    /// The gateway that runs stays.
    #[error("cannot replace the running gateway: {0}")]
    NotReplaced(String),
    /// Somebody has said so. There is nothing wrong.
    #[error("stopped before it was ready")]
    Stopped,
    /// The system refuses something.
    #[error("{0}: {1}")]
    System(&'static str, #[source] io::Error),
    /// It cannot become the user whom the file names.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A worker ended on its own.
    #[error("a worker thread has died; this is a fault in transload")]
    WorkerDied,
}

fn while_doing(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |error| StartError::System(what, error)
}

/// Runs a gateway until a signal ends it.
///
/// # Errors
/// When it cannot start. Nothing is left of it then.
pub fn run(orders: &Orders) -> Result<(), StartError> {
    // Threads that ask for names may be started before rights are given up.
    let early = || drop(EarlyThread::begin());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().on_thread_start(early).build();
    let runtime = runtime.map_err(while_doing("cannot start"))?;
    let result = match run_on(&runtime, orders) {
        Err(StartError::Stopped) => Ok(()),
        result => result,
    };
    // A resolver that does not answer keeps nobody waiting.
    runtime.shutdown_background();
    result
}

fn run_on(runtime: &Runtime, orders: &Orders) -> Result<(), StartError> {
    let mut signals = Signals::listen(runtime).map_err(while_doing("cannot listen for signals"))?;
    let manager = ServiceManager::find();
    let stop = &mut signals.stop;
    let (config, mut plan) = read(runtime, stop, &orders.file)?;
    let machine = look_at_the_machine(runtime, stop, &config, &mut plan, orders)?;
    let named = orders.admin.clone().or_else(|| plan.settings.admin.clone());
    let bind = || named.as_deref().map_or_else(AdminSocket::bind_usual, AdminSocket::bind);
    let user = plan.settings.user.as_deref().and_then(|user| Some(Account::find(user).ok()?.numbers().0));
    let predecessor = if orders.replace { Predecessor::find(named.as_deref(), user)? } else { None };
    let mut admin = predecessor.is_none().then(bind);
    if let Some(Err(AdminSocketError::Live(path))) = admin {
        return Err(AdminSocketError::Live(path).into());
    }
    let choices = backends::choose(&plan);
    choices.fewer.iter().for_each(|why| LogEvent::FewerWorkers { why }.tell());
    let mut exclusive = Exclusive::default();
    match &predecessor {
        Some(_) => choices.can_be_shared(&plan).map_err(StartError::NotReplaced)?,
        None => opening::claim(&plan, &mut exclusive)?,
    }
    let (threads, layout, polling) = (choices.workers, choices.layout(), plan.settings.polling);
    let mut arenas: Vec<_> = (0..threads).map(|_| layout.arena()).collect();
    let (mut pools, umems): (Vec<_>, Vec<_>) = arenas.iter_mut().map(|arena| layout.cut(arena)).unzip();
    let umems: Vec<_> = umems.into_iter().flatten().collect();
    let mut opening = opening::open(&plan, &choices, &umems)?;
    let listening = opening::listeners(&plan, machine.kernel());
    // What arrives from here on waits for the workers.
    opening.start(&mut pools)?;
    let resolver = runtime.block_on(stop.unless_told(resolve(&plan))).ok_or(StartError::Stopped)?;
    let mut resolver = resolver.map_err(while_doing("cannot read the kernel's routes"))?;
    if let Some(predecessor) = &predecessor {
        let ending = predecessor.end(&plan, &mut exclusive, &manager, || opening.discard(&mut pools));
        runtime.block_on(stop.unless_told(ending)).ok_or(StartError::Stopped)??;
    }
    opening::keep_quiet(&plan, machine.kernel(), &mut opening.quiet)?;
    // Who may not open ports may often not make the socket either; the ports say better what is missing.
    let (admin, listener) = admin.take().unwrap_or_else(bind)?;
    Exclusive::remove_abandoned();
    let metrics_port = serving::open_first(&plan);
    let Opening { workers: ports, reopeners, backends, devices, quiet } = opening;
    let crews = ports.iter().map(|ports| ports.iter().map(|(id, _)| *id).collect()).collect();
    let (gateway, requests) = Gateway::new(plan, devices, backends, crews, manager)?;
    let gateway = Arc::new(gateway);
    let keeper = Arc::new(StateKeeper::new(&orders.file, named.as_deref()));
    keeper.restore(&gateway, user);
    tell_first(&gateway, &mut resolver);
    // Before there are threads that would have to do the same.
    let on_xdp = |port| choices.of(port).is_some_and(|choice| choice.xdp);
    let state = keeper.path(gateway.rib().plan());
    let open_port = metrics_port.as_ref().and_then(|opened| opened.as_ref().ok());
    let given_up = confine(gateway.rib().plan(), &config, &admin, open_port, state.as_deref(), on_xdp)?;

    let stop = AtomicBool::new(false);
    let (working, rested) = mpsc::channel::<()>();
    let result = thread::scope(|scope| {
        let leaving = Leaving(&stop);
        let mut crew = Vec::new();
        let (mut rings, mut pulses) = (Vec::new(), Vec::new());
        let counters = gateway.rib().counters().to_vec();
        for ((pool, ports), counters) in pools.into_iter().zip(ports).zip(counters) {
            let (sender, ring) = events::ring(EVENTS);
            let mut worker = Worker::new(gateway.shared.clone(), pool, ports, counters, sender);
            let (number, clock, stop, working) = (crew.len(), gateway.clock, &stop, working.clone());
            let pulse = Pulse::at(clock.now());
            rings.push(ring);
            pulses.push(pulse.clone());
            let thread = thread::Builder::new().name(format!("worker-{number}")).spawn_scoped(scope, move || {
                keep_in_place(number);
                work(&mut worker, clock, polling == Polling::Adaptive, &pulse, stop);
                drop(working);
            });
            crew.push(thread.map_err(while_doing("cannot start a worker"))?);
        }
        let metrics = MetricsPort::start(&gateway, metrics_port).map_err(while_doing("cannot serve metrics"))?;
        tell_that_it_is_ready(&gateway, &admin);
        let (gateway, file) = (&gateway, orders.file.clone());
        let supervision = Supervision {
            gateway,
            resolver,
            reopeners,
            quiet,
            listening,
            rings,
            pulses,
            admin,
            listener,
            signals,
            requests,
            file,
            config,
            exclusive,
            given_up,
            keeper,
            metrics,
        };
        let alive = || crew.iter().all(|worker| !worker.is_finished());
        let (result, exclusive) = runtime.block_on(supervision.run(orders.attended, alive));
        drop((leaving, working));
        // It takes longer until the ports are closed, but nothing is moved from here on: whoever waits for our place may
        // have it.
        let _ = rested.recv();
        drop(exclusive);
        result
    });
    result.inspect(|()| LogEvent::Stopped {}.tell())
}

/// Keeps a worker, on its own thread, on one processor. Where that is not allowed it wanders.
fn keep_in_place(worker: usize) {
    if let Err(error) = pin(worker) {
        LogEvent::WorkerNotPinned { worker, why: &error.to_string() }.tell();
    }
}

/// Tells the RIB what the kernel knows so far.
fn tell_first(gateway: &Gateway, resolver: &mut Resolver) {
    gateway.change(|rib| {
        rib.starts_until(Now { nanos: gateway.clock.now().nanos + STARTING });
        rib.devices(kernel_devices(resolver.ports(), resolver.kernel()));
        rib.resolved(resolver.news());
    });
}

/// Has the workers stop when control leaves them, however it does.
struct Leaving<'s>(&'s AtomicBool);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn tell_that_it_is_ready(gateway: &Gateway, admin: &AdminSocket) {
    let summary = gateway.summary();
    LogEvent::Started { summary: &summary, socket: &admin.path().display().to_string() }.tell();
    gateway.manager.is_ready(summary);
}

fn read(runtime: &Runtime, stop: &mut StopSignals, file: &Path) -> Result<(Config, Plan), StartError> {
    let mut config = config::load(file).map_err(StartError::File)?;
    let user = config.file.user.as_ref().and_then(At::get).and_then(|user| Account::find(user).ok());
    user_changes(user.is_some_and(|user| !user.is_in_force()));
    if config.problems.is_empty() {
        let asking = host_names::ask(config.host_names(), BTreeMap::new);
        config.answers = runtime.block_on(stop.unless_told(asking)).ok_or(StartError::Stopped)?;
    }
    let plan = compile(&config, &Numbers::default(), None).map_err(StartError::File)?;
    plan.warnings.iter().for_each(warn);
    host_names::tell(&[], &plan.named);
    Ok((config, plan))
}

fn look_at_the_machine(
    runtime: &Runtime,
    stop: &mut StopSignals,
    config: &Config,
    plan: &mut Plan,
    orders: &Orders,
) -> Result<Machine, StartError> {
    let machine = runtime.block_on(stop.unless_told(Machine::read())).ok_or(StartError::Stopped)?;
    let machine = machine.map_err(while_doing("cannot ask the kernel for its devices"))?;
    let admin = plan.settings.admin.clone().filter(|_| orders.admin.is_none());
    let problems = Problems(preflight::examine(&machine, config, plan, admin.as_deref()));
    if problems.has_errors() {
        return Err(problems.into());
    }
    problems.0.iter().for_each(warn);
    Ok(machine)
}

/// Logs a warning with its place, and what to do about it.
fn warn(problem: &Problem) {
    let help = problem.help.as_ref().map_or_else(String::new, |help| format!("; {help}"));
    LogEvent::Warning { why: &format!("{}{problem}{help}", problem.place()) }.tell();
}

async fn resolve(plan: &Plan) -> io::Result<Resolver> {
    let mut resolver = Resolver::start(Tunnel::all_of(plan), PortLink::all_of(plan)).await?;
    resolver.settle(FIRST_ANSWERS).await;
    Ok(resolver)
}
