//! A redirect program on its device: loaded, attached by a link, exchanged when the configuration changes.
//!
//! The link is a descriptor: the kernel detaches the program when this process ends, however it does.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

use super::filter::{Claims, Filter, Tags};
use super::program::{self, Maps, OUTER, PASS, SINGLE};
use crate::bpf::{AttachedProgram, Hook, Map, MapKind, Program, ProgramKind};
use crate::io::ethtool::Unstripped;

/// VLAN IDs there are.
const VIDS: u32 = 4096;

/// A redirect program on its device.
#[derive(Debug)]
pub struct Redirect {
    link: AttachedProgram,
    sockets: Map<u32>,
    /// The filter that is in force. The kernel holds the program's map of tags.
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
        let sockets = Map::new(MapKind::Sockets, queues)?;
        let program = load(&filter, &sockets, frags)?;
        let (link, hook, refusal) = match program.attach(ifindex, Hook::Native) {
            Ok(link) => (link, Hook::Native, None),
            Err(error) if may_be_generic && is_unsupported(&error) => {
                (program.attach(ifindex, Hook::Generic)?, Hook::Generic, Some(error))
            }
            Err(error) => return Err(error),
        };
        Ok((Self { link, sockets, filter: Mutex::new(filter), frags, hook, _unstripped: unstripped }, refusal))
    }

    /// Whether the kernel takes the program for a filter. It is attached to nothing.
    pub(super) fn examine(filter: &Filter, frags: bool) -> io::Result<()> {
        load(filter, &Map::new(MapKind::Sockets, 1)?, frags).map(drop)
    }

    /// Where the program runs.
    #[must_use]
    pub const fn hook(&self) -> Hook {
        self.hook
    }

    /// Has the frames of a queue go to this socket.
    pub(super) fn aim(&self, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.sockets.set(queue, &socket.as_raw_fd().cast_unsigned())
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
        self.link.exchange(&load(filter, &self.sockets, self.frags)?)?;
        current.clone_from(filter);
        Ok(())
    }
}

/// Whether a device cannot do this, rather than may not now.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::OPNOTSUPP | Errno::INVAL | Errno::RANGE))
}

fn load(filter: &Filter, sockets: &Map<u32>, frags: bool) -> io::Result<Program> {
    let tags = match &filter.tags {
        Tags::Some(claims) => Some(map_of(claims)?),
        Tags::None | Tags::Tagged(_) | Tags::All => None,
    };
    let maps = Maps { sockets, tags: tags.as_ref() };
    let kind = if frags { ProgramKind::XdpFrags } else { ProgramKind::Xdp };
    Program::load(&program::assemble(filter, maps, PASS)?, kind)
}

/// The map of tags: by VLAN ID, what it is claimed as.
pub(super) fn map_of(claims: &Claims) -> io::Result<Map<u32>> {
    let map = Map::new(MapKind::Array, VIDS)?;
    for vid in 0..VIDS {
        let has = |vids: &[u16]| vids.iter().any(|&claimed| u32::from(claimed) == vid);
        let outer = if has(&claims.outer) { OUTER } else { 0 };
        let single = if has(&claims.single) { SINGLE } else { 0 };
        if outer | single != 0 {
            map.set(vid, &(outer | single))?;
        }
    }
    Ok(map)
}
