//! Our own binary, started as an operator would: `transload run FILE`, and stopped by SIGTERM.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::Namespace;
use crate::host::{failed, output, output_within};
use crate::programs;
use crate::waiting::PATIENCE;

const START: Duration = PATIENCE;
const STOP: Duration = Duration::from_mins(1);
const BUILD: Duration = Duration::from_mins(20);

/// A running gateway, and a directory for its file and sockets.
#[derive(Debug)]
pub struct Gateway {
    process: Child,
    directory: TempDir,
}

impl Gateway {
    /// Starts one in a namespace, and waits until it says that it is ready. In the file's text, `DIR` stands
    /// for a directory of its own, in which `unix` ports can have their sockets.
    ///
    /// # Errors
    /// When it ends at once or does not get ready; the error shows what it printed.
    pub fn start(namespace: &Namespace, file: &str) -> io::Result<Self> {
        Self::spawn(Command::new(binary()?), file, |command| namespace.spawn(command))
    }

    /// Starts one where the test is and without any capability, for worlds that are wired by `unix` ports alone.
    ///
    /// # Errors
    /// When it ends at once or does not get ready; the error shows what it printed.
    pub fn start_unprivileged(file: &str) -> io::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Self::spawn(Command::new(binary()?), file, Command::spawn);
        }
        let mut bounded = Command::new("setpriv");
        bounded.arg("--bounding-set=-all").arg("--no-new-privs").arg(binary()?);
        Self::spawn(bounded, file, Command::spawn)
    }

    /// Starts one in a namespace as nobody with these capabilities, such as `net_raw`, and no others.
    ///
    /// # Errors
    /// When it ends at once or does not get ready; the error shows what it printed.
    pub fn start_with(namespace: &Namespace, file: &str, capabilities: &[&str]) -> io::Result<Self> {
        let list: String = capabilities.iter().flat_map(|capability| [",+", capability]).collect();
        let mut nobody = Command::new("setpriv");
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]);
        for set in ["inh-caps", "ambient-caps", "bounding-set"] {
            nobody.arg(format!("--{set}=-all{list}"));
        }
        nobody.arg(binary()?);
        Self::spawn(nobody, file, |command| namespace.spawn(command))
    }

    fn spawn(
        mut command: Command,
        file: &str,
        spawn: impl FnOnce(&mut Command) -> io::Result<Child>,
    ) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("gw-").tempdir()?;
        let place = directory.path();
        // Some gateways run as somebody else.
        fs::set_permissions(place, fs::Permissions::from_mode(0o777))?;
        write(place, file)?;
        let log = fs::File::create(place.join("log"))?;
        command.arg("run").arg(place.join("gateway.yaml")).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log).process_group(0);
        let mut gateway = Self { process: spawn(&mut command)?, directory };
        gateway.wait_until_ready()?;
        Ok(gateway)
    }

    /// Where a `unix` port's socket is, if the file calls it `DIR/name`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What it printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Writes another file in the place of the gateway's.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &str) -> io::Result<()> {
        write(self.directory.path(), file)
    }

    /// Runs `transload reload`. Returns what it prints.
    ///
    /// # Errors
    /// When the file is refused; the error shows what it printed.
    pub fn reload(&self) -> io::Result<String> {
        output(Command::new(binary()?).args(["reload", "--socket"]).arg(self.path("admin.sock")))
    }

    /// Asks it by SIGHUP to read its file again, and waits until it has said so this often.
    ///
    /// # Errors
    /// When it does not say so.
    pub fn hang_up(&self, times: usize) -> io::Result<()> {
        kill_process(Pid::from_child(&self.process), Signal::HUP)?;
        let end = Instant::now() + STOP;
        while self.log().matches("reloaded: ").count() < times {
            if Instant::now() > end {
                return Err(failed("it does not reload", &self.log()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// `transload show WHAT --json`.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub fn show(&self, what: &str) -> io::Result<Value> {
        let socket = self.path("admin.sock");
        let text = output(Command::new(binary()?).args(["show", what, "--json", "--socket"]).arg(socket))?;
        serde_json::from_str(&text).map_err(io::Error::other)
    }

    /// The number of its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// Whether its process is there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Asks it to end as a service manager does, and waits. Peers with a socket in its directory are gone by then.
    ///
    /// # Errors
    /// When it does not end, ends with anything but 0, or leaves a socket behind.
    pub fn stop(self) -> io::Result<()> {
        self.end(Signal::TERM)
    }

    /// Asks it to end as Ctrl-C does, and waits.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn interrupt(self) -> io::Result<()> {
        self.end(Signal::INT)
    }

    /// Kills it, which it cannot see coming.
    ///
    /// # Errors
    /// When it has ended before.
    pub fn kill(mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }

    fn end(mut self, signal: Signal) -> io::Result<()> {
        kill_process(Pid::from_child(&self.process), signal)?;
        let status = self.ended(STOP)?.ok_or_else(|| failed(&format!("{signal:?} does not stop it"), &self.log()))?;
        if !status.success() {
            return Err(failed(&format!("it ended with {status}"), &self.log()));
        }
        let left: Vec<_> = fs::read_dir(self.directory.path())?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<_>>()?;
        let ours = ["gateway.yaml", "log", "admin.sock.state"];
        let left: Vec<_> = left.iter().filter(|name| !ours.iter().any(|own| name == own)).collect();
        if left.is_empty() { Ok(()) } else { Err(failed("it left behind", &format!("{left:?}"))) }
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let end = Instant::now() + START;
        // Its admin socket is no sign: that is taken first, so that no second gateway starts on the same ports.
        while !self.log().contains("ready: ") {
            if !self.is_running() || Instant::now() > end {
                return Err(failed("the gateway does not come up", &self.log()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn ended(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let end = Instant::now() + patience;
        loop {
            match self.process.try_wait()? {
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
                status => return Ok(status),
            }
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if self.is_running() && std::thread::panicking() {
            let [drops, ports] = ["drops", "ports"].map(|what| self.show(what).unwrap_or_default());
            eprintln!("what the gateway dropped: {drops:#}\nits ports: {ports:#}\n{}", self.log());
        }
        if self.is_running() {
            // Only after a test has failed, or one that let it run: it should still clean up.
            let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
            let _ = self.ended(STOP);
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

fn write(directory: &Path, file: &str) -> io::Result<()> {
    let text = format!("{file}\nadmin: DIR/admin.sock\n").replace("DIR", &directory.display().to_string());
    fs::write(directory.join("gateway.yaml"), text)
}

/// The gateway's program: `TRANSLOAD_BIN`, or what cargo builds beside the tests.
///
/// # Errors
/// When it cannot be built.
pub fn binary() -> io::Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = BINARY.get_or_init(|| match std::env::var_os("TRANSLOAD_BIN") {
        Some(path) => Ok(path.into()),
        None => build().map_err(|error| error.to_string()),
    });
    found.as_deref().map_err(|error| io::Error::other(error.clone()))
}

fn build() -> io::Result<PathBuf> {
    let profile = programs::directory()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "transload", "--bin", "transload"]);
    if profile.file_name().is_some_and(|name| name == "release") {
        cargo.arg("--release");
    }
    output_within(cargo.current_dir(env!("CARGO_MANIFEST_DIR")), BUILD)?;
    Ok(profile.join("transload"))
}
