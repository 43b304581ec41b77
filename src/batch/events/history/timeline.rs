//! What happened when, in constant memory: a fixed number of buckets of time, all of one width. When
//! time outgrows them the width doubles, and each two neighbours become one.

use std::time::Duration;

/// How many buckets there are at most. Once time has outgrown the first ones, at least half as many.
const BUCKETS: usize = 512;

/// The width to begin with, in nanoseconds: a 64th of a second, so that the sixth doubling makes it a
/// whole one.
const NARROWEST: u64 = 1_000_000_000 / 64;

/// What is kept of a stretch of time.
pub(in crate::batch) trait Bucket: Clone + Default {
    /// Takes in the bucket that follows, as the two become one.
    fn merge(&mut self, later: Self);

    /// What the bucket that follows begins with. Default: nothing.
    fn following(&self) -> Self {
        Self::default()
    }
}

/// Buckets from the beginning of a run up to the last thing that happened.
#[derive(Debug, Clone)]
pub(in crate::batch) struct Timeline<B> {
    width: u64,
    buckets: Vec<B>,
}

impl<B> Default for Timeline<B> {
    fn default() -> Self {
        Self {
            width: NARROWEST,
            buckets: Vec::new(),
        }
    }
}

impl<B: Bucket> Timeline<B> {
    /// The bucket of a time since the beginning.
    pub(super) fn at(&mut self, at: Duration) -> &mut B {
        let index = self.reach(at);
        &mut self.buckets[index]
    }

    /// The bucket of a time, or the last one if that is later: threads may come late with what they
    /// have to tell.
    pub(super) fn latest(&mut self, at: Duration) -> &mut B {
        let index = self.reach(at).max(self.buckets.len() - 1);
        &mut self.buckets[index]
    }

    /// The buckets that a stretch of time touches.
    pub(super) fn between(&mut self, from: Duration, to: Duration) -> &mut [B] {
        let last = self.reach(to);
        let first = self.reach(from.min(to));
        &mut self.buckets[first..=last]
    }

    /// Makes the buckets reach to a time, and tells which one is its.
    fn reach(&mut self, at: Duration) -> usize {
        let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let index = loop {
            match usize::try_from(nanos / self.width) {
                Ok(index) if index < BUCKETS => break index,
                _ => self.double(),
            }
        };
        while self.buckets.len() <= index {
            let next = self.buckets.last().map(Bucket::following);
            self.buckets.push(next.unwrap_or_default());
        }
        index
    }

    fn double(&mut self) {
        self.width = self.width.saturating_mul(2);
        let mut each = std::mem::take(&mut self.buckets).into_iter();
        while let Some(mut bucket) = each.next() {
            if let Some(later) = each.next() {
                bucket.merge(later);
            }
            self.buckets.push(bucket);
        }
    }

    /// The same with about this many buckets at most, each several of these.
    pub(in crate::batch) fn coarse(&self, most: usize) -> Self {
        let mut coarse = self.clone();
        while coarse.buckets.len() > most.max(1) {
            coarse.double();
        }
        coarse
    }
}

impl<B> Timeline<B> {
    /// How long each bucket is.
    pub(in crate::batch) fn width(&self) -> Duration {
        Duration::from_nanos(self.width)
    }

    pub(in crate::batch) fn buckets(&self) -> &[B] {
        &self.buckets
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Bucket for u64 {
        fn merge(&mut self, later: Self) {
            *self += later;
        }
    }

    #[derive(Debug, Clone, Default, PartialEq)]
    struct Last(u64);

    impl Bucket for Last {
        fn merge(&mut self, later: Self) {
            *self = later;
        }

        fn following(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn ten_seconds_and_ten_hours_both_fit() {
        for (seconds, width) in [(7, 1.0 / 64.0), (10, 1.0 / 32.0), (36_000, 128.0)] {
            let mut line = Timeline::<u64>::default();
            for second in 0..=seconds {
                *line.at(Duration::from_secs(second)) += 1;
            }
            assert_eq!(line.width().as_secs_f64(), width, "{seconds}");
            assert!(line.buckets().len() <= BUCKETS, "{seconds}");
            assert!(line.buckets().len() > BUCKETS / 2, "{seconds}");
            assert_eq!(line.buckets().iter().sum::<u64>(), seconds + 1);
        }
    }

    #[test]
    fn the_longest_time_that_there_is_has_a_bucket() {
        let mut line = Timeline::<u64>::default();
        *line.at(Duration::ZERO) += 1;
        *line.at(Duration::MAX) += 1;
        assert_eq!(line.buckets().first(), Some(&1));
        assert_eq!(line.buckets().iter().sum::<u64>(), 2);
    }

    #[test]
    fn what_lasts_goes_on_through_buckets_in_which_nothing_happens() {
        let mut line = Timeline::<Last>::default();
        *line.latest(Duration::ZERO) = Last(7);
        *line.latest(Duration::from_secs(1)) = Last(9);
        assert_eq!(line.buckets()[63], Last(7));
        // One that comes late changes what is now.
        *line.latest(Duration::ZERO) = Last(8);
        assert_eq!(line.buckets()[64], Last(8));
        assert_eq!(line.buckets()[0], Last(7));
        line.at(Duration::from_secs(100));
        assert_eq!(line.buckets().last(), Some(&Last(8)));
    }

    #[test]
    fn a_stretch_of_time_is_every_bucket_that_it_touches() {
        let mut line = Timeline::<u64>::default();
        for (from, to) in [(0, 0), (100, 900), (900, 100), (2_000, 50_000)] {
            let [from, to] = [from, to].map(Duration::from_millis);
            line.between(from, to).iter_mut().for_each(|it| *it = 1);
            assert_eq!(*line.at(from.min(to)), 1);
            assert_eq!(*line.at(to), 1);
        }
        let mut one = Timeline::<u64>::default();
        assert_eq!(one.between(Duration::ZERO, Duration::ZERO).len(), 1);
    }

    proptest! {
        #[test]
        fn sums_stay_through_every_doubling_and_no_event_moves_far(
            times in prop::collection::vec(0_u64..200_000_000, 1..200),
        ) {
            let mut line = Timeline::<u64>::default();
            for (count, micros) in times.iter().enumerate() {
                *line.at(Duration::from_micros(*micros)) += 1;
                prop_assert_eq!(line.buckets().iter().sum::<u64>(), count as u64 + 1);
                prop_assert!(line.buckets().len() <= BUCKETS);
            }
            for line in [line.coarse(60), line] {
                let width = line.width().as_micros();
                for (index, bucket) in line.buckets().iter().enumerate() {
                    let inside = |micros: &&u64| {
                        u128::from(**micros) * 1_000 / line.width().as_nanos() == index as u128
                    };
                    let expected = times.iter().filter(inside).count() as u64;
                    prop_assert_eq!(*bucket, expected, "bucket {} of {} µs", index, width);
                }
            }
        }
    }
}
