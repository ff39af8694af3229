//! A parent for whoever builds worlds: whatever its child leaves behind, however it ends, is ended.
//!
//! Orphans of a child subreaper become its children, so that everything that was ever started below can be found.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, wait};
use transload_lab::interrupt;

/// How long the child has to clean up by itself once it is asked to end.
const PATIENCE: Duration = Duration::from_secs(45);
const GLANCE: Duration = Duration::from_millis(50);

/// Runs a program to its end, forwards the wish to end, and leaves none of its descendants behind. Returns its
/// exit code.
///
/// # Errors
/// When it cannot be started.
pub fn run(command: &mut Command) -> io::Result<u8> {
    set_child_subreaper(Some(rustix::process::getpid()))?;
    interrupt::watch()?;
    let mut child = command.spawn()?;
    let status = until_it_ends(&mut child)?;
    end_descendants();
    Ok(match status.code() {
        Some(code) => u8::try_from(code).unwrap_or(1),
        None => 128 | u8::try_from(status.signal().unwrap_or(0)).unwrap_or(0),
    })
}

fn until_it_ends(child: &mut Child) -> io::Result<ExitStatus> {
    let mut asked = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if interrupt::is_asked() {
            let since = *asked.get_or_insert_with(|| {
                // From a terminal it has heard already; asked twice it still ends once.
                let _ = kill_process(Pid::from_child(child), Signal::TERM);
                Instant::now()
            });
            if since.elapsed() > PATIENCE {
                child.kill()?;
            }
        }
        thread::sleep(GLANCE);
    }
}

/// Ends all that is left: first asked, then made to.
fn end_descendants() {
    for signal in [Signal::TERM, Signal::KILL, Signal::KILL] {
        let end = Instant::now() + Duration::from_secs(2);
        for pid in descendants() {
            let _ = kill_process(pid, signal);
        }
        while Instant::now() < end {
            match wait(WaitOptions::NOHANG) {
                Err(_) => return,
                Ok(Some(_)) => {}
                Ok(None) => thread::sleep(GLANCE),
            }
        }
    }
}

/// Everyone below this process.
fn descendants() -> Vec<Pid> {
    let mut parents: Vec<(i32, i32)> = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // proc_pid_stat(5): the name is in brackets and may hold anything; behind it come state and parent.
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
        parents.extend(parent.map(|parent| (pid, parent)));
    }
    let mut found = vec![rustix::process::getpid().as_raw_nonzero().get()];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.into_iter().skip(1).filter_map(Pid::from_raw).collect()
}
