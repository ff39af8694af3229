//! Rates: how often a tenant may do what costs others something.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Now;

const SECOND: u64 = 1_000_000_000;

/// Whether one more is within a rate of one every `interval` nanoseconds, 0 for no limit.
pub(super) fn within(due: &AtomicU64, interval: u64, now: Now) -> bool {
    are_within(due, interval, 1, now)
}

/// Whether so many more are: the generic cell rate algorithm with a bucket of one second's worth (ITU-T I.371 annex A).
/// Many at once may use up more than is left, and the next ones wait the longer. `due` is when the next one would be on
/// schedule.
pub(super) fn are_within(due: &AtomicU64, interval: u64, many: u64, now: Now) -> bool {
    let room = SECOND.saturating_sub(interval);
    let next = |due: u64| {
        let due = due.max(now.nanos);
        (due - now.nanos <= room).then(|| due.saturating_add(interval.saturating_mul(many)))
    };
    interval == 0 || due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_worth_may_come_at_once_and_then_the_rate() {
        let due = AtomicU64::default();
        let passed = |from: u64, frames: u64, gap: u64| {
            (0..frames).filter(|n| within(&due, SECOND / 10, Now { nanos: from + n * gap })).count()
        };
        assert_eq!(passed(5 * SECOND, 25, 0), 10);
        assert_eq!(passed(6 * SECOND, 100, SECOND / 100), 19, "ten saved up and one for each further tenth");
    }

    #[test]
    fn many_at_once_pass_while_anything_is_left_and_are_paid_for_afterwards() {
        let due = AtomicU64::default();
        let seconds = (0..40).filter(|second| are_within(&due, SECOND / 10, 50, Now { nanos: second * SECOND }));
        assert_eq!(
            seconds.collect::<Vec<_>>(),
            [0, 5, 10, 15, 20, 25, 30, 35],
            "50 every five seconds are 10 a second"
        );
    }

    #[test]
    fn no_limit_lets_everything_through() {
        assert!((0..10_000).all(|_| within(&AtomicU64::default(), 0, Now { nanos: 0 })));
    }
}
