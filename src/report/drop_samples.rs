//! The rows of frames that were dropped, with the time of the day.

use transload_encaps::DropReason;

use super::rows::DropSampleRow;
use super::state::GatewayState;
use super::wall::utc;
use crate::rib::drop_samples::NamedSample;

impl GatewayState<'_> {
    /// The last dropped frames, the latest first: of all, or of a peer and a tenant of these names.
    #[must_use]
    pub fn drop_samples(&self, peer: Option<&str>, tenant: Option<&str>) -> Vec<DropSampleRow> {
        self.samples(|sample| {
            let is_from = |peer| sample.via.as_deref() == Some(peer);
            let is_of = |tenant| sample.tenant.as_ref().is_some_and(|[name, _]| name == tenant);
            peer.is_none_or(is_from) && tenant.is_none_or(is_of)
        })
    }

    pub(super) fn samples_of(&self, reason: DropReason) -> Vec<DropSampleRow> {
        self.samples(|sample| sample.seen.reason == reason)
    }

    fn samples(&self, is_asked_for: impl Fn(&NamedSample) -> bool) -> Vec<DropSampleRow> {
        let mut samples: Vec<_> = self.drop_samples.iter().filter(|sample| is_asked_for(sample)).collect();
        samples.sort_by(|a, b| b.seen.at.cmp(&a.seen.at).then_with(|| (&a.port, &a.via).cmp(&(&b.port, &b.via))));
        samples.into_iter().map(|sample| self.sample_row(sample)).collect()
    }

    fn sample_row(&self, sample: &NamedSample) -> DropSampleRow {
        let NamedSample { seen, port, via, id, tenant, mapping } = sample.clone();
        let [tenant, attachment] = tenant.map_or([None, None], |names| names.map(Some));
        let [to, from] = seen.macs.map_or([None, None], |macs| macs.map(|mac| Some(mac.to_string())));
        DropSampleRow {
            reason: seen.reason.label().into(),
            at: utc(self.wall.saturating_sub(self.now.nanos.saturating_sub(seen.at))),
            ago: self.seconds_since(seen.at),
            port,
            via,
            source: seen.outer.map(|outer| outer.src.to_string()),
            destination: seen.outer.map(|outer| outer.dst.to_string()),
            carrier: seen.outer.and_then(|outer| outer.carrier).map(|carrier| carrier.to_string()),
            id,
            tenant,
            attachment,
            mapping,
            source_mac: from,
            destination_mac: to,
            vlan: seen.vlan,
            len: seen.len,
        }
    }
}
