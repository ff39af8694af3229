//! Where and what was measured: processor, kernel, versions, commit.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// What belongs beside every figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, and how many of them.
    pub processor: String,
    /// Bytes of memory.
    pub memory: u64,
    /// The kernel's release.
    pub kernel: String,
    /// Open vSwitch's version, if it is installed.
    pub open_vswitch: Option<String>,
    /// The compiler.
    pub rustc: String,
    /// The commit, with a plus if files were changed since.
    pub commit: String,
    /// When: UTC.
    pub date: String,
    /// The machine's load (one minute) before measuring began: others' work is noise.
    pub load: String,
}

impl Machine {
    /// This one, now.
    #[must_use]
    pub fn here() -> Self {
        let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let (cpu, memory) = (text("/proc/cpuinfo"), text("/proc/meminfo"));
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split(':').nth(1)?.trim().to_owned())
        };
        let megahertz = field(&cpu, "cpu MHz").and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        let model = field(&cpu, "model name").unwrap_or_default();
        let processors = cpu.lines().filter(|line| line.starts_with("processor")).count();
        let kilobytes = field(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        let changed =
            said("git", &["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
        let commit = said("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".into());
        Self {
            processor: format!("{processors} × {model}, {:.1} GHz", megahertz / 1000.0),
            memory: kilobytes.unwrap_or(0) * 1024,
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            open_vswitch: said("ovs-vsctl", &["--version"])
                .and_then(|text| Some(text.lines().next()?.split_whitespace().last()?.to_owned())),
            rustc: said("rustc", &["--version"]).unwrap_or_else(|| "unknown".into()),
            commit: commit + if changed { "+" } else { "" },
            date: said("date", &["-u", "+%Y-%m-%d %H:%M"]).unwrap_or_default(),
            load: text("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
