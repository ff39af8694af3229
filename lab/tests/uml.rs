//! User-Mode Linux on a processor with AMX (simulated), and one that dies at its start.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use transload_lab::need;
use transload_lab::uml::{Launch, UmlFailure, UmlProcess};

/// `tests/simulated/amx.rs`, compiled.
const AMX: &str = concat!(env!("OUT_DIR"), "/amx.so");
const PRELOAD: &str = "LD_PRELOAD";
const BOOT: Duration = Duration::from_mins(1);
/// What one prints whose registers the kernel does not take.
const WORDS: &str = "userspace - ptrace set fp regs failed, errno = 14";

/// Ready to start, with a first program that counts in floating point, so that its registers are seen to survive
/// switches of processes.
fn launch() -> Launch {
    let mut launch = Launch::new().unwrap();
    let init = launch.directory().join("init.sh");
    let script = "#!/bin/sh\nfor n in 1 2 3 4 5; do /usr/bin/awk 'BEGIN { x = 0.5; for (i = 0; i < 1e5; i++) x += 0.25; \
                  print \"@SUM\", x }' & done\nwait\necho @DONE\nread line\n";
    fs::write(&init, script).unwrap();
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).unwrap();
    launch.arg("mem=64M").arg(&format!("init={}", init.display()));
    launch
}

/// Started with these objects preloaded: what [`Launch`] has, and others.
fn started(with_ours: bool, others: &str) -> UmlProcess {
    let spawn = |command: &mut Command| {
        let ours = command.get_envs().find(|(name, _)| *name == PRELOAD).and_then(|(_, value)| value);
        let ours = ours.filter(|_| with_ours).map(|ours| format!("{}:", ours.to_str().unwrap())).unwrap_or_default();
        command.env(PRELOAD, ours + others).spawn()
    };
    launch().start(spawn).unwrap()
}

#[test]
fn one_runs_on_a_processor_with_amx() {
    need!(uml);
    if is_elsewhere() {
        return;
    }
    let (sums, _) = started(true, AMX).until("@DONE", BOOT).unwrap();
    let sums: Vec<_> = sums.iter().filter_map(|line| Some(line.split_once("@SUM ")?.1)).collect();
    assert_eq!(sums, ["25000.5"; 5]);
}

#[test]
fn without_the_object_it_would_die_there_and_say_why() {
    need!(uml);
    if is_elsewhere() {
        return;
    }
    let begun = Instant::now();
    let error = started(false, AMX).until("@DONE", BOOT).unwrap_err();
    assert!(begun.elapsed() < BOOT, "its end is seen at once");
    let failure = error.get_ref().unwrap().downcast_ref::<UmlFailure>().unwrap();
    assert_eq!(failure.last_words.last().unwrap(), WORDS);
    assert!(failure.reason.unwrap().contains("AMX"), "{failure}");
    let output = failure.output.clone().unwrap();
    assert!(fs::read_to_string(&output).unwrap().contains("Kernel panic"));
    for text in [failure.to_string(), failure.in_one_line()] {
        assert!(text.contains(WORDS) && text.contains(output.to_str().unwrap()), "{text}");
    }
    fs::remove_file(output).unwrap();
}

/// Whether this is a machine for which the objects are not made.
fn is_elsewhere() -> bool {
    fs::metadata(AMX).unwrap().len() == 0
}

/// A directory with a `linux.uml` that dies as on a processor with AMX, always the same one.
fn dying() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dying-uml");
    fs::create_dir_all(&directory).unwrap();
    let program = directory.join("linux.uml");
    fs::write(&program, format!("#!/bin/sh\necho '{WORDS}'\nkill -ABRT $$\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

#[test]
fn what_dies_at_its_start_is_found_out_once_and_its_tests_are_skipped_with_its_last_words() {
    let directory = dying();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
    // This program again, where the first `linux.uml` on the path is that one.
    let skipped = || {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "one_runs_on_a_processor_with_amx"]).env("PATH", &path);
        let output = again.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let line = skipped();
    assert!(
        line.starts_with(
            "SKIPPED: uml::one_runs_on_a_processor_with_amx: a User-Mode Linux that starts: it has ended by"
        ),
        "{line}"
    );
    assert!(line.contains(WORDS) && line.contains("AMX"), "{line}");
    let file = line.trim().split_once("its output is in ").unwrap().1;
    assert_eq!(fs::read_to_string(file).unwrap().trim(), WORDS);
    // The second process reads what the first has written down.
    let written = fs::metadata(file).unwrap().modified().unwrap();
    assert_eq!(skipped(), line);
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), written);
}
