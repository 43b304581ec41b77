//! What others have spent, by the times up to which it was known.
//!
//! A grant is compared with what all had spent when it was made, and that is known up to the newest
//! reservation that has come. A process that holds a request back, for a careful start or a pause, uses its
//! reservation later. What others have sent meanwhile was not in the count, and would be taken for a wrong
//! ratio between the server's count and ours: four processes that had learned ratios of 0.5 within the first
//! second spent what was not there, were refused, paused, and began again all at once.

use std::collections::VecDeque;
use std::time::Duration;

use crate::cost::Cost;
use crate::limiter::bucket::Tick;

/// Requests that leave within this time of each other may arrive in another order, so a count that is older
/// by less is as good.
const SOON: Duration = Duration::from_millis(10);
/// Times that are remembered. A horizon has some tens of them, and later answers are worth little.
const KEPT: usize = 1_024;
/// Nothing is known.
const ALL: Cost = Cost {
    requests: u64::MAX,
    tokens: u64::MAX,
    input_tokens: u64::MAX,
    output_tokens: u64::MAX,
    custom: u64::MAX,
};

#[derive(Debug, Default)]
pub(super) struct Others {
    /// Up to when it was known, and how much was spent since the one before.
    known: VecDeque<(Tick, Cost)>,
    /// What has been counted since the last of them.
    spent: Cost,
}

impl Others {
    pub(super) fn spend(&mut self, cost: Cost) {
        self.spent = self.spent.saturating_add(cost);
    }

    /// All that was spent up to a time has been counted.
    pub(super) fn know_up_to(&mut self, at: Tick) {
        let spent = std::mem::take(&mut self.spent);
        match self.known.back_mut() {
            Some((last, sum)) if at <= *last => *sum = sum.saturating_add(spent),
            _ => {
                if self.known.len() == KEPT {
                    self.known.pop_front();
                }
                self.known.push_back((at, spent));
            }
        }
    }

    /// What others may have spent before a request of this process that was granted then, or after it. All
    /// there is, as long as the next count has not come.
    pub(super) fn unsure_at(&self, granted: Tick) -> Cost {
        let next = self.known.partition_point(|(known, _)| *known <= granted);
        let before = next.checked_sub(1).and_then(|index| self.known.get(index));
        match before {
            Some((known, _)) if granted.since(*known) > SOON => {
                self.known.get(next).map_or(ALL, |(_, spent)| *spent)
            }
            _ => Cost::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Tick {
        Tick(milliseconds * 1_000_000)
    }

    #[test]
    fn a_request_that_leaves_late_may_have_been_overtaken_by_what_the_next_count_shows() {
        let mut others = Others::default();
        assert_eq!(others.unsure_at(at(5)), Cost::default(), "none is known of");
        others.know_up_to(at(100));
        others.spend(Cost::tokens(30));
        others.spend(Cost::tokens(12));
        others.know_up_to(at(200));
        let table = [
            (50, 0),  // before any count
            (100, 0), // with a count
            (110, 0), // so soon after it that the order is not known anyway
            (111, 42),
            (199, 42),
            (200, 0),
            (211, u64::MAX), // nothing is known of after that
        ];
        for (granted, tokens) in table {
            let unsure = others.unsure_at(at(granted));
            assert_eq!(unsure.tokens, tokens, "{granted} ms");
        }
    }

    #[test]
    fn what_is_counted_for_one_time_is_added_and_the_oldest_is_forgotten() {
        let mut others = Others::default();
        others.know_up_to(at(0));
        for cost in [1, 2] {
            others.spend(Cost::tokens(cost));
            others.know_up_to(at(100));
        }
        assert_eq!(others.unsure_at(at(50)).tokens, 3);
        for next in 0..KEPT as u64 {
            others.know_up_to(at(200 + next));
        }
        assert_eq!(others.known.len(), KEPT);
        assert_eq!(others.unsure_at(at(50)), Cost::default());
    }
}
