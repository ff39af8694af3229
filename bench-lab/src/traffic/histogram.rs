//! Times in buckets: one for every number up to 31, above that sixteen for every doubling, so that none is off by more
//! than a sixteenth.

/// How many there are; enough for a minute in nanoseconds.
pub(super) const BUCKETS: usize = 1024;
const PER_DOUBLING: u64 = 16;

/// How often each time was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram(Vec<u64>);

impl Histogram {
    /// Of these counts, bucket by bucket.
    #[must_use]
    pub fn from_buckets(counts: &[u64]) -> Self {
        Self(counts.to_vec())
    }

    /// The time that this share (0 to 1) of all are not above; none if nothing was seen.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let all: u64 = self.0.iter().sum();
        let wanted = (all as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.0.iter().enumerate().find_map(|(bucket, count)| {
            seen += count;
            (seen >= wanted).then(|| middle(bucket as u64))
        })
    }
}

/// The time in the middle of a bucket.
fn middle(bucket: u64) -> u64 {
    if bucket < 2 * PER_DOUBLING {
        return bucket;
    }
    let halvings = bucket / PER_DOUBLING - 1;
    let low = (bucket - halvings * PER_DOUBLING) << halvings;
    low + (1 << halvings >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the sink's program does it.
    fn bucket(time: u64) -> usize {
        let (mut left, mut index) = (time, 0);
        while left >= 32 {
            left >>= 1;
            index += 16;
        }
        (index + left) as usize
    }

    #[test]
    fn a_time_is_found_again_within_a_sixteenth() {
        for time in [0, 1, 15, 16, 31, 32, 33, 100, 999, 12_345, 1_000_000, 59_999_999_999] {
            let found = middle(bucket(time) as u64);
            assert!(found.abs_diff(time) <= time / 16, "{time} was read as {found}");
            assert!(bucket(time) < BUCKETS);
        }
    }

    #[test]
    fn a_quantile_is_the_time_that_so_many_do_not_exceed() {
        let mut counts = vec![0; BUCKETS];
        counts[5] = 98;
        counts[20] = 2;
        let histogram = Histogram::from_buckets(&counts);
        assert_eq!(histogram.quantile(0.5), Some(5));
        assert_eq!(histogram.quantile(0.98), Some(5));
        assert_eq!(histogram.quantile(0.99), Some(20));
        assert_eq!(Histogram::from_buckets(&[0; BUCKETS]).quantile(0.5), None);
    }
}
