//! The rows of frames that were dropped, with the time of the day.

use std::collections::HashMap;

use transload_encaps::{Common, DropReason};

use super::rows::DropSampleRow;
use super::state::GatewayState;
use crate::logging::utc;
use crate::rib::drop_samples::NamedSample;

impl GatewayState<'_> {
    /// The last dropped frames that came from a peer, or by a port's tags, the latest first.
    #[must_use]
    pub fn samples_from(&self, via: &str) -> Vec<DropSampleRow> {
        self.rows_of(self.samples(|sample| sample.via.as_deref() == Some(via)))
    }

    /// The last dropped frames of a tenant, the latest first.
    #[must_use]
    pub fn samples_of_tenant(&self, tenant: &str) -> Vec<DropSampleRow> {
        self.rows_of(self.samples(|sample| sample.tenant.as_ref().is_some_and(|[name, _]| name == tenant)))
    }

    /// The last frame that was dropped for this reason.
    pub(super) fn last_sample_of(&self, reason: DropReason) -> Option<DropSampleRow> {
        self.samples(|sample| sample.seen.reason == reason).first().map(|sample| self.sample_row(sample))
    }

    /// Of the last minute, the last frame that a peer sent to the address of an endpoint and not in its VLAN, and that VLAN.
    pub(super) fn last_astray(&self) -> Option<(DropSampleRow, Option<u16>)> {
        let tables = self.shared.forwarding.load();
        let vlan_of = |sample: &NamedSample| {
            let to = sample.via.as_ref().and(sample.seen.outer)?.dst;
            let port = tables.ports.get(sample.seen.port)?;
            let mut endpoints = port.endpoints.iter().filter_map(|id| tables.endpoints.get(*id));
            Some(endpoints.find(|endpoint| endpoint.address == to)?.vlan)
        };
        let samples = self.samples(|sample| sample.seen.reason == Common::NotForUs.into());
        let (sample, vlan) = samples.into_iter().find_map(|sample| Some((sample, vlan_of(sample)?)))?;
        Some((self.sample_row(sample), vlan)).filter(|(row, _)| row.ago <= 60)
    }

    /// All, by their reason; of each the latest first.
    pub(super) fn samples_by_reason(&self) -> HashMap<DropReason, Vec<DropSampleRow>> {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for sample in self.samples(|_| true) {
            all.entry(sample.seen.reason).or_default().push(self.sample_row(sample));
        }
        all
    }

    fn samples(&self, is_asked_for: impl Fn(&NamedSample) -> bool) -> Vec<&NamedSample> {
        let mut samples: Vec<_> = self.drop_samples.iter().filter(|sample| is_asked_for(sample)).collect();
        samples.sort_by(|a, b| b.seen.at.cmp(&a.seen.at).then_with(|| (&a.port, &a.via).cmp(&(&b.port, &b.via))));
        samples
    }

    fn rows_of(&self, samples: Vec<&NamedSample>) -> Vec<DropSampleRow> {
        samples.into_iter().map(|sample| self.sample_row(sample)).collect()
    }

    fn sample_row(&self, sample: &NamedSample) -> DropSampleRow {
        let NamedSample { seen, wall, port, via, id, tenant, mapping } = sample.clone();
        let [tenant, attachment] = tenant.map_or([None, None], |names| names.map(Some));
        let [to, from] = seen.macs.map_or([None, None], |macs| macs.map(|mac| Some(mac.to_string())));
        DropSampleRow {
            reason: seen.reason.label().into(),
            at: utc(wall),
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
