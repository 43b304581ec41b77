//! How durations are spread: counts in bins that are equally wide on a logarithmic scale, so the
//! error of a quantile is bounded by a share of it, whatever its size.

use std::time::Duration;

/// Bins for each doubling: each is 4.4 % wide, so its middle is off by 2.2 % at most.
const PER_DOUBLING: f64 = 16.0;

/// Doublings of a microsecond: 25 days. What is longer counts as that.
const DOUBLINGS: usize = 41;

const BINS: usize = DOUBLINGS * 16;

/// Counts of durations. Those below a microsecond count as none at all.
#[derive(Debug, Clone, Default)]
pub(in crate::batch) struct Histogram {
    /// Empty until there is something to count.
    bins: Vec<u64>,
    none: u64,
    total: u64,
    longest: Duration,
}

/// Durations from one up to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::batch) struct Bin {
    /// In seconds.
    pub(in crate::batch) from: f64,
    /// In seconds.
    pub(in crate::batch) to: f64,
    pub(in crate::batch) count: u64,
}

impl Histogram {
    pub(super) fn add(&mut self, duration: Duration) {
        self.total += 1;
        self.longest = self.longest.max(duration);
        let micros = duration.as_secs_f64() * 1e6;
        if micros < 1.0 {
            self.none += 1;
            return;
        }
        if self.bins.is_empty() {
            self.bins.resize(BINS, 0);
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 0, and above the last bin it is the last bin"
        )]
        let index = (micros.log2() * PER_DOUBLING) as usize;
        self.bins[index.min(BINS - 1)] += 1;
    }

    /// How many were counted.
    #[cfg(test)]
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// How many of them were no time at all.
    pub(in crate::batch) fn none(&self) -> u64 {
        self.none
    }

    /// The longest, exactly.
    pub(in crate::batch) fn longest(&self) -> Duration {
        self.longest
    }

    /// What `share` of them, 0 to 1, do not exceed: 2.2 % more or less. Nothing of nothing.
    pub(in crate::batch) fn quantile(&self, share: f64) -> Option<Duration> {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a rank between 1 and the total"
        )]
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        if self.total == 0 {
            return None;
        }
        if rank == self.total {
            return Some(self.longest);
        }
        let mut seen = self.none;
        if rank <= seen {
            return Some(Duration::ZERO);
        }
        for bin in self.bins(1) {
            seen += bin.count;
            if rank <= seen {
                let middle = Duration::try_from_secs_f64((bin.from * bin.to).sqrt());
                return Some(middle.unwrap_or_default().min(self.longest));
            }
        }
        Some(self.longest)
    }

    /// The bins from the first to the last one with something in it, each `several` of those kept.
    pub(in crate::batch) fn bins(&self, several: usize) -> Vec<Bin> {
        let several = several.max(1);
        let filled = |count: &u64| *count > 0;
        let first = self.bins.iter().position(filled).unwrap_or(0) / several;
        let end = self
            .bins
            .iter()
            .rposition(filled)
            .map_or(0, |last| last + 1);
        let chunks = self.bins[..end].chunks(several).enumerate().skip(first);
        let bin = |(index, counts): (usize, &[u64])| Bin {
            from: edge(index * several),
            to: edge((index + 1) * several),
            count: counts.iter().sum(),
        };
        chunks.map(bin).collect()
    }
}

/// Where a bin begins, in seconds.
#[allow(clippy::cast_precision_loss, reason = "hundreds")]
fn edge(index: usize) -> f64 {
    (index as f64 / PER_DOUBLING).exp2() / 1e6
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_nothing_there_is_no_quantile() {
        let none = Histogram::default();
        assert_eq!(none.quantile(0.5), None);
        assert_eq!(none.bins(4), []);
        assert_eq!((none.total(), none.longest()), (0, Duration::ZERO));
    }

    #[test]
    fn what_is_no_time_and_what_is_for_ever_have_their_place() {
        let mut histogram = Histogram::default();
        for duration in [Duration::ZERO, Duration::from_nanos(999), Duration::MAX] {
            histogram.add(duration);
        }
        assert_eq!((histogram.none(), histogram.total()), (2, 3));
        assert_eq!(histogram.quantile(0.5), Some(Duration::ZERO));
        assert_eq!(histogram.quantile(1.0), Some(Duration::MAX));
        assert_eq!(histogram.bins(1).len(), 1);
    }

    #[test]
    fn coarse_bins_begin_where_fine_ones_do() {
        let mut histogram = Histogram::default();
        for millis in [3, 40, 41, 500] {
            histogram.add(Duration::from_millis(millis));
        }
        for several in [1, 3, 8] {
            let bins = histogram.bins(several);
            assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), 4);
            assert!(bins.windows(2).all(|two| two[0].to == two[1].from));
            let (first, last) = (bins[0], bins[bins.len() - 1]);
            assert!(first.count == 1 && first.from <= 0.003 && 0.003 < first.to);
            assert!(last.count == 1 && last.from <= 0.5 && 0.5 < last.to);
        }
    }

    proptest! {
        #[test]
        fn quantiles_are_off_by_a_bounded_share(
            micros in prop::collection::vec(1_u64..10_000_000_000, 1..300),
            share in 0.0_f64..=1.0,
        ) {
            let mut histogram = Histogram::default();
            for micros in &micros {
                histogram.add(Duration::from_micros(*micros));
            }
            let mut sorted = micros.clone();
            sorted.sort_unstable();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let rank = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len());
            let exact = sorted[rank - 1] as f64 / 1e6;
            let found = histogram.quantile(share).unwrap().as_secs_f64();
            prop_assert!((found / exact - 1.0).abs() < 0.023, "{} for {}", found, exact);
        }
    }
}
