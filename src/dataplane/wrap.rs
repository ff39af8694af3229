//! Wrap: the headers of one path in front of a frame, or the reason why they cannot be.

use std::sync::atomic::Ordering;

use transload_encaps::underlay::Underlay;
use transload_encaps::{Checksum, Common, DropReason, Frame, flow};

use super::egress::Egress;
use super::mss::Syn;
use super::path::{EgressPath, IngressSide, longest};
use super::trace::Tracer;
use super::{inner_tags, offload};
use crate::forwarding::{Exit, MssClamp, PortId};

/// Why a frame does not go a path.
pub(super) enum Obstacle {
    /// It is longer than this, in bytes, the tenant's tags included.
    TooBig {
        most: usize,
    },
    Other(DropReason),
}

impl<R: Into<DropReason>> From<R> for Obstacle {
    fn from(reason: R) -> Self {
        Self::Other(reason.into())
    }
}

impl<'a, 'mem, T: Tracer> Egress<'a, 'mem, T> {
    /// Puts the headers of one path in front of a frame, or leaves it as it is when it is too big; returns the port
    /// it leaves by.
    #[inline]
    pub(super) fn wrap(
        &mut self,
        frame: &mut Frame<'mem>,
        side: &IngressSide<'a>,
        path: &EgressPath<'a>,
    ) -> Result<PortId, Obstacle> {
        let stripped = inner_tags::stripped(path.inner_tags, frame.bytes())?;
        if let Some(clamp) = side.mss_clamp() {
            self.clamp(frame, side, path, clamp);
        }
        match &path.peer.exit {
            Exit::Tunnel(underlay) => self.wrap_in_ip(frame, path, underlay, stripped),
            Exit::Port(port) => self.wrap_in_tags(frame, path, *port, stripped),
        }
    }

    /// Does what the port cannot do by itself with a frame that is going to leave by it. Tags that it may not have
    /// were refused before.
    #[inline]
    fn prepare(&self, frame: &mut Frame<'mem>, path: &EgressPath<'a>) -> Result<(), DropReason> {
        if inner_tags::applies(path.inner_tags, frame) {
            inner_tags::strip(frame)?;
        }
        if matches!(frame.meta.checksum, Checksum::Partial { .. }) && !self.caps(path).checksum {
            offload::finish(frame)?;
        }
        Ok(())
    }

    #[inline]
    fn wrap_in_ip(
        &mut self,
        frame: &mut Frame<'mem>,
        path: &EgressPath<'a>,
        underlay: &Underlay,
        stripped: usize,
    ) -> Result<PortId, Obstacle> {
        let (entropy, class) = flow::inner(frame.bytes());
        let hop = path.hop(entropy).ok_or(Common::NoNextHop)?;
        self.tracer.hop(hop, path.hops.len());
        if let Some(mtu) = hop.mtu {
            let most = path.room_in_ip(mtu, underlay) + stripped;
            if frame.len() > most {
                return Err(Obstacle::TooBig { most });
            }
        }
        self.prepare(frame, path)?;
        path.peer.compiled.encap(frame, path.segment, entropy)?;
        underlay.stamp(frame, hop.link, entropy, class, self.ports.summing(hop.port, underlay))?;
        if let Some(ids) = &path.peer.ids {
            underlay.identify(frame, ids.fetch_add(1, Ordering::Relaxed));
        }
        Ok(hop.port)
    }

    #[inline]
    fn wrap_in_tags(
        &self,
        frame: &mut Frame<'mem>,
        path: &EgressPath<'a>,
        port: PortId,
        stripped: usize,
    ) -> Result<PortId, Obstacle> {
        let out = self.tables.ports.get(port);
        if out.is_some_and(|out| out.is_down) {
            return Err(Common::PortDown.into());
        }
        if let Some(mtu) = out.and_then(|out| out.mtu) {
            let most = path.room_in_tags(mtu, frame, stripped) + stripped;
            if frame.len() > most && longest(frame) > most {
                return Err(Obstacle::TooBig { most });
            }
        }
        self.prepare(frame, path)?;
        path.peer.compiled.encap(frame, path.segment, 0)?;
        Ok(port)
    }

    /// Lowers the MSS of a SYN to what its tenant wants.
    #[cold]
    fn clamp(&self, frame: &mut Frame<'mem>, side: &IngressSide<'a>, path: &EgressPath<'a>, clamp: MssClamp) {
        let Some(syn) = Syn::of(frame.bytes()) else { return };
        let most = match clamp {
            MssClamp::Bytes(bytes) => bytes,
            MssClamp::Path => {
                let stripped = inner_tags::stripped(path.inner_tags, frame.bytes()).unwrap_or(0);
                let back = self.path_back(*side).and_then(|back| self.room(&back, frame, 0));
                let out = self.room(path, frame, stripped).map(|room| room + stripped);
                syn.payload(out.into_iter().chain(back).min().unwrap_or(usize::MAX))
            }
        };
        // `None` is a SYN cut short, which its receiver will not take either.
        let _ = syn.clamp(frame, most);
    }
}
