//! A redirect program on its device: loaded, attached by a link, exchanged when the configuration changes.
//!
//! The link is a descriptor: the kernel detaches the program when this process ends, however it does.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

use super::filter::Filter;
use super::program::{self, CommonMaps, PASS};
use super::rows::{REASONS, TrafficRow};
use crate::bpf::{AttachedProgram, Hook, Program, ProgramKind};
use crate::io::Filtered;
use crate::io::ethtool::Unstripped;

/// A redirect program on its device.
#[derive(Debug)]
pub struct Redirect {
    link: AttachedProgram,
    shared: CommonMaps,
    /// The filter that is in force. The kernel holds the other maps of the program.
    filter: Mutex<Filter>,
    frags: bool,
    hook: Hook,
    /// Lets the device strip VLAN tags again when the program is gone.
    _unstripped: Option<Unstripped>,
}

impl Redirect {
    /// Attaches the program for a filter to a device of so many queues: in the driver if it can, else, if that is
    /// allowed, behind it. With `frags`, frames may come in several pieces.
    pub(super) fn attach(
        ifindex: u32,
        filter: Filter,
        queues: u32,
        frags: bool,
        may_be_generic: bool,
        unstripped: Option<Unstripped>,
    ) -> io::Result<(Self, Option<io::Error>)> {
        let shared = CommonMaps::new(queues)?;
        let program = load(&filter, &shared, frags)?;
        let (link, hook, refusal) = match program.attach(ifindex, Hook::Native) {
            Ok(link) => (link, Hook::Native, None),
            Err(error) if may_be_generic && is_unsupported(&error) => {
                (program.attach(ifindex, Hook::Generic)?, Hook::Generic, Some(error))
            }
            Err(error) => return Err(error),
        };
        Ok((Self { link, shared, filter: Mutex::new(filter), frags, hook, _unstripped: unstripped }, refusal))
    }

    /// Whether the kernel takes the program for a filter. It is attached to nothing.
    pub(super) fn examine(filter: &Filter, frags: bool) -> io::Result<()> {
        load(filter, &CommonMaps::new(1)?, frags).map(drop)
    }

    /// Where the program runs.
    #[must_use]
    pub const fn hook(&self) -> Hook {
        self.hook
    }

    /// Has the frames of a queue go to this socket.
    pub(super) fn aim(&self, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.shared.sockets.set(&queue, &socket.as_raw_fd().cast_unsigned())
    }

    /// Puts another filter in force, if it is another one. Every frame is judged by the one or the other.
    ///
    /// # Errors
    /// When the kernel takes no program any more; the old filter stays in force.
    pub fn replace(&self, filter: &Filter) -> io::Result<()> {
        let mut current = self.filter.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == *filter {
            return Ok(());
        }
        self.link.exchange(&load(filter, &self.shared, self.frags)?)?;
        current.clone_from(filter);
        Ok(())
    }
}

/// Whether a device cannot do this, rather than may not now.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::OPNOTSUPP | Errno::INVAL | Errno::RANGE))
}

fn load(filter: &Filter, shared: &CommonMaps, frags: bool) -> io::Result<Program> {
    let kind = if frags { ProgramKind::XdpFrags } else { ProgramKind::Xdp };
    program::load(filter, shared, kind, PASS)
}

/// What a port's program has not taken, as it was read last.
#[derive(Debug)]
pub(super) struct LeftCounts {
    before: [TrafficRow; REASONS.len()],
    /// Room for the counts of every CPU.
    by_cpu: Vec<TrafficRow>,
    fresh: [Filtered; REASONS.len()],
}

impl LeftCounts {
    /// Of a program that has not run yet.
    pub(super) fn new(redirect: &Redirect) -> Self {
        let fresh = REASONS.map(|reason| Filtered { reason, frames: 0, bytes: 0 });
        Self { before: [TrafficRow::default(); REASONS.len()], by_cpu: redirect.shared.left.room(), fresh }
    }

    /// What has come since the last time.
    pub(super) fn read(&mut self, redirect: &Redirect) -> &[Filtered] {
        for ((key, before), fresh) in (0..).zip(&mut self.before).zip(&mut self.fresh) {
            let mut now = *before;
            if redirect.shared.left.get_all(&key, &mut self.by_cpu).is_ok() {
                now = self.by_cpu.iter().fold(TrafficRow::default(), |sum, cpu| TrafficRow {
                    frames: sum.frames.wrapping_add(cpu.frames),
                    bytes: sum.bytes.wrapping_add(cpu.bytes),
                });
            }
            (fresh.frames, fresh.bytes) =
                (now.frames.wrapping_sub(before.frames), now.bytes.wrapping_sub(before.bytes));
            *before = now;
        }
        &self.fresh
    }
}
