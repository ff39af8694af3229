//! When the gateway's file was read, and what came of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::config::SourceText;
use crate::logging::cut_to_keep;
use crate::report::rows::{ReloadResult, ReloadRow};

/// What became of the gateway's file so far.
#[derive(Debug)]
pub struct FileRecord {
    /// When the gateway started, in seconds since 1970.
    pub started: u64,
    history: Mutex<FileHistory>,
}

/// The file that is in force, and the reloads since the start.
#[derive(Debug, Clone)]
pub(super) struct FileHistory {
    /// Its name.
    pub(super) file: String,
    /// The hash of its text.
    pub(super) sha256: String,
    /// When it was loaded, in seconds since 1970.
    pub(super) loaded: u64,
    /// The last reload, if there was one.
    pub(super) last: Option<ReloadRow>,
    /// How many reloads were done, and how many rejected.
    pub(super) done: u64,
    pub(super) rejected: u64,
}

impl FileRecord {
    /// That of a gateway that starts now with this file.
    #[must_use]
    pub fn start(source: &SourceText) -> Self {
        let now = unix_seconds();
        let history = FileHistory {
            file: source.name().to_owned(),
            sha256: source.sha256(),
            loaded: now,
            last: None,
            done: 0,
            rejected: 0,
        };
        Self { started: now, history: Mutex::new(history) }
    }

    /// A reload took the file in; its text has this hash.
    pub(super) fn loaded(&self, sha256: String) {
        let (mut history, now) = (self.lock(), unix_seconds());
        history.sha256 = sha256;
        history.loaded = now;
        history.done += 1;
        history.last = Some(ReloadRow { when: now, result: ReloadResult::Done, why: None });
    }

    /// A reload was rejected, and why; of many reasons the first are kept.
    pub(super) fn rejected(&self, mut why: String) {
        cut_to_keep(&mut why);
        let mut history = self.lock();
        history.rejected += 1;
        history.last = Some(ReloadRow { when: unix_seconds(), result: ReloadResult::Rejected, why: Some(why) });
    }

    /// What is known now.
    pub(super) fn history(&self) -> FileHistory {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, FileHistory> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds since 1970.
pub(super) fn unix_seconds() -> u64 {
    // A clock before 1970 is not set yet.
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
