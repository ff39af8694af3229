//! Open vSwitch with its userspace datapath, in a namespace, its state in a directory of its own.

use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

use crate::Namespace;
use crate::host::output;
use crate::programs::find;

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const START: Duration = Duration::from_secs(30);

/// A running switch.
#[derive(Debug)]
pub struct OpenVswitch {
    directory: TempDir,
    /// In the order they are ended.
    daemons: Vec<Child>,
}

impl OpenVswitch {
    /// Starts one whose bridges and ports are in this namespace. It looks at two VLAN tags.
    ///
    /// # Errors
    /// When a program is missing or does not come up.
    pub fn start(namespace: &Namespace) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("ovs-").tempdir()?;
        let mut switch = Self { directory, daemons: Vec::new() };
        output(Command::new("ovsdb-tool").arg("create").arg(switch.path("conf.db")).arg(SCHEMA))?;

        let remote = format!("--remote=punix:{}", switch.path("db.sock").display());
        switch.daemon(namespace, "ovsdb-server", switch.path("conf.db").into_os_string().into_string(), &[&remote])?;
        switch.wait_for("db.sock")?;
        switch.vsctl("--no-wait init -- set Open_vSwitch . other_config:vlan-limit=2")?;

        let database = format!("unix:{}", switch.path("db.sock").display());
        switch.daemon(namespace, "ovs-vswitchd", Ok(database), &[])?;
        switch.wait_for("ovs-vswitchd.ctl")?;
        Ok(switch)
    }

    /// `ovs-vsctl` with these words, which may hold several commands separated by ` -- `.
    ///
    /// # Errors
    /// When the switch refuses; the error shows why.
    pub fn vsctl(&self, words: &str) -> io::Result<String> {
        let database = format!("--db=unix:{}", self.path("db.sock").display());
        output(Command::new("ovs-vsctl").arg(database).arg("--timeout=10").args(words.split_whitespace()))
    }

    /// `ovs-appctl` with these words.
    ///
    /// # Errors
    /// When the switch refuses; the error shows why.
    pub fn appctl(&self, words: &str) -> io::Result<String> {
        let target = self.path("ovs-vswitchd.ctl");
        output(Command::new("ovs-appctl").arg("-t").arg(target).args(words.split_whitespace()))
    }

    /// Adds a flow to a bridge.
    ///
    /// # Errors
    /// When the switch refuses; the error shows why.
    pub fn add_flow(&self, bridge: &str, flow: &str) -> io::Result<()> {
        let socket = self.path(&format!("{bridge}.mgmt"));
        output(Command::new("ovs-ofctl").args(["-O", "OpenFlow13", "add-flow"]).arg(socket).arg(flow)).map(|_| ())
    }

    /// Whether all its processes are there.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.daemons.iter().all(|daemon| matches!(waitid(WaitId::Pid(Pid::from_child(daemon)), ended), Ok(None)))
    }

    /// The numbers of its processes, the switch itself first.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.daemons.iter().map(Child::id).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn daemon(
        &mut self,
        namespace: &Namespace,
        name: &str,
        argument: Result<String, std::ffi::OsString>,
        more: &[&str],
    ) -> io::Result<()> {
        let program = find(name).ok_or_else(|| io::Error::other(format!("{name} is not installed")))?;
        let argument = argument.map_err(|_| io::Error::other("the temporary directory's name is not text"))?;
        let mut command = Command::new(program);
        for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"] {
            command.env(variable, self.directory.path());
        }
        command
            .arg(argument)
            .args(more)
            .arg(format!("--unixctl={}", self.path(&format!("{name}.ctl")).display()))
            .args(["-vconsole:off", "-vsyslog:off"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let child = namespace.spawn(&mut command)?;
        self.daemons.insert(0, child);
        Ok(())
    }

    fn wait_for(&self, socket: &str) -> io::Result<()> {
        let end = Instant::now() + START;
        while let Err(error) = UnixStream::connect(self.path(socket)) {
            if Instant::now() > end {
                return Err(io::Error::other(format!("Open vSwitch does not come up: {socket}: {error}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for OpenVswitch {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            let _ = kill_process(Pid::from_child(daemon), Signal::TERM);
            let _ = daemon.wait();
        }
    }
}
