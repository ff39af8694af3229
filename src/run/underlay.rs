//! What the underlay says: hands ICMP errors about tunnel packets to the RIB.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::gateway::Gateway;
use super::opening::heard_addresses;
use crate::kernel::icmp::IcmpListener;

/// How often errors are looked at: a flood of them costs no more than so many looks.
const PERIOD: Duration = Duration::from_millis(100);

/// Listens until the task is dropped.
pub(super) async fn listen(gateway: &Gateway) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listener = IcmpListener::default();
    loop {
        period.tick().await;
        listener.listen(&heard_addresses(gateway.rib().plan()));
        let errors = listener.hear();
        if errors.is_empty() {
            continue;
        }
        let now = gateway.clock.now();
        gateway.change(|rib| errors.iter().for_each(|error| rib.reported(error, now)));
    }
}
