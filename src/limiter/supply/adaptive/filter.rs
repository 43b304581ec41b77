//! How far the believed level may be from the server's, and how much an answer changes that.
//!
//! This is a Kalman filter over three numbers that explain why the two levels differ:
//!
//! - *level*: by how much ours is off now, for whatever reason;
//! - *count error*: what the server charges beyond what we reserve, as a share: 0.3 where it counts
//!   1.3 times our tokens;
//! - *external use*: what others take of the same limit, as a share of its rate.
//!
//! All amounts are in seconds of the limit's rate, so the same constants fit every limit. Spending
//! `s` and waiting `t` changes the difference by `−count_error · s − external_use · t`. An answer tells the
//! difference as it was when its request was admitted, `s` and `t` ago; so what has been spent
//! since needs no guess, and answers may come in any order.
//!
//! It is stable because its model is: without answers the three errors stay what they are, and
//! each answer takes a share between nothing and all of the error that it shows. The share is the
//! smaller the surer the level is against the answer, so noise is averaged and not followed.
//!
//! See R. E. Kalman, "A New Approach to Linear Filtering and Prediction Problems" (1960).

use crate::unit::Unit;

/// What is not known of the three numbers: the covariance of their errors.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    covariance: [[f64; 3]; 3],
    /// The variances that nothing makes larger: what was not known at first.
    most: [f64; 3],
}

/// The three numbers, or changes of them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct StateEstimate {
    pub(super) level: f64,
    pub(super) count_error: f64,
    pub(super) external_use: f64,
}

/// What an answer says of the level, and of when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measurement {
    /// How far the server's level was above the believed one.
    pub(super) error: f64,
    /// What was spent since, in seconds of the rate.
    pub(super) spent: f64,
    /// How long ago, in seconds.
    pub(super) time: f64,
    /// The variance of the error that comes from the way and from rounding.
    pub(super) noise: f64,
}

/// How much the numbers can change by themselves, as variances.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drift {
    /// Of the level, for each (second of the rate)² spent: sizes differ from request to request.
    pub(super) per_charge: f64,
    /// Of each number per second: others come and go, texts change.
    pub(super) per_second: StateEstimate,
}

impl Drift {
    /// Of a limit on this unit. A request is a request; how many tokens it is, is a matter of
    /// opinion.
    pub(super) fn of(unit: Unit) -> Self {
        let square = |deviation: f64| deviation * deviation;
        let sized = match unit {
            Unit::Requests | Unit::Custom(_) => 0.0,
            _ => 1.0,
        };
        Self {
            per_charge: sized * square(0.1),
            per_second: StateEstimate {
                level: square(0.01),
                count_error: sized * square(0.002),
                external_use: square(0.03),
            },
        }
    }
}

/// An error of this many times the expected one is not the usual noise: something happened.
const JUMP: f64 = 4.0;

impl Filter {
    /// Begins with the standard deviations of what is not known.
    pub(super) fn new(deviations: StateEstimate) -> Self {
        let StateEstimate {
            level,
            count_error,
            external_use,
        } = deviations;
        let most = [level, count_error, external_use].map(|deviation| deviation * deviation);
        let mut covariance = [[0.0; 3]; 3];
        for (index, variance) in most.into_iter().enumerate() {
            covariance[index][index] = variance;
        }
        Self { covariance, most }
    }

    /// Spends `spent`, in parts whose squares add up to `squares`, and lets `time` pass.
    pub(super) fn advance(&mut self, spent: f64, squares: f64, time: f64, drift: Drift) {
        let [level, count_error, external_use] = &mut self.covariance;
        for ((level, count_error), external_use) in
            level.iter_mut().zip(count_error).zip(external_use)
        {
            *level -= spent * *count_error + time * *external_use;
        }
        let rows = &mut self.covariance;
        for row in rows.iter_mut() {
            row[0] -= spent * row[1] + time * row[2];
        }
        rows[0][0] += squares * drift.per_charge;
        let StateEstimate {
            level,
            count_error,
            external_use,
        } = drift.per_second;
        for (index, variance) in [level, count_error, external_use].into_iter().enumerate() {
            rows[index][index] += time * variance;
        }
        self.keep_within_bounds();
    }

    /// What an answer changes.
    pub(super) fn correct(&mut self, seen: Measurement) -> StateEstimate {
        // The error then is the one now, and what has come of the other two since.
        let along = |row: &[f64; 3]| row[0] + row[1] * seen.spent + row[2] * seen.time;
        let mut shown = [0, 1, 2].map(|index| along(&self.covariance[index]));
        let mut expected = along(&shown) + seen.noise;
        let square = seen.error * seen.error;
        if square > JUMP * JUMP * expected {
            self.covariance[0][0] += square;
            shown[0] += square;
            expected += square;
        }
        if expected <= 0.0 {
            return StateEstimate::default();
        }
        for (row, shown_row) in self.covariance.iter_mut().zip(shown) {
            for (cell, shown_column) in row.iter_mut().zip(shown) {
                *cell -= shown_row * shown_column / expected;
            }
        }
        self.keep_within_bounds();
        let [level, count_error, external_use] = shown.map(|shown| shown / expected * seen.error);
        StateEstimate {
            level,
            count_error,
            external_use,
        }
    }

    /// Nothing is external use now, for sure, and what was is no guide.
    pub(super) fn forget_foreign(&mut self) {
        for index in 0..3 {
            self.covariance[2][index] = 0.0;
            self.covariance[index][2] = 0.0;
        }
    }

    /// The level has just been set, to this standard deviation.
    pub(super) fn set_level(&mut self, deviation: f64) {
        for index in 0..3 {
            self.covariance[0][index] = 0.0;
            self.covariance[index][0] = 0.0;
        }
        self.covariance[0][0] = deviation * deviation;
    }

    /// The standard deviation of the level's error.
    pub(super) fn level_deviation(&self) -> f64 {
        self.covariance[0][0].sqrt()
    }

    /// The standard deviation of the count error.
    pub(super) fn excess_deviation(&self) -> f64 {
        self.covariance[1][1].sqrt()
    }

    /// Nothing is less known than at first, and what rounding takes below zero was zero.
    fn keep_within_bounds(&mut self) {
        for index in 0..3 {
            let variance = self.covariance[index][index];
            let most = self.most[index];
            if variance > most {
                // Scaled as a whole, so that it stays a covariance.
                let scale = (most / variance).sqrt();
                for other in 0..3 {
                    self.covariance[index][other] *= scale;
                    self.covariance[other][index] *= scale;
                }
            }
            self.covariance[index][index] = self.covariance[index][index].max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOISE: f64 = 0.01;

    fn filter() -> Filter {
        Filter::new(StateEstimate {
            level: 1.0,
            count_error: 0.3,
            external_use: 0.2,
        })
    }

    fn seen(error: f64, spent: f64, time: f64) -> Measurement {
        Measurement {
            error,
            spent,
            time,
            noise: NOISE,
        }
    }

    #[test]
    fn an_answer_takes_a_share_of_what_it_shows_and_the_next_one_less() {
        let mut filter = filter();
        let first = filter.correct(seen(0.5, 0.0, 0.0)).level;
        let next = filter.correct(seen(0.5, 0.0, 0.0)).level;
        assert!(0.4 < first && first < 0.5, "{first}");
        assert!(0.0 < next && next < 0.3, "{next}");
    }

    #[test]
    fn spending_shows_the_charge_and_waiting_shows_others() {
        let drift = Drift {
            per_charge: 0.0,
            per_second: StateEstimate::default(),
        };
        for (spent, time) in [(5.0, 0.0), (0.0, 5.0)] {
            let mut filter = Filter::new(StateEstimate {
                level: 10.0,
                count_error: 0.3,
                external_use: 0.2,
            });
            filter.set_level(0.0);
            filter.advance(spent, spent * spent, time, drift);
            let change = filter.correct(seen(-0.5, 0.0, 0.0));
            let [shown, other] = match spent > time {
                true => [change.count_error, change.external_use],
                false => [change.external_use, change.count_error],
            };
            assert!((shown - 0.1).abs() < 0.01, "{change:?}");
            assert!(other.abs() < 1e-9, "{change:?}");
        }
    }

    #[test]
    fn an_answer_of_before_is_parted_by_what_was_spent_and_waited_since() {
        // Variances of 1 for the level, 0.09 · 5² for the charge, 0.04 · 3² for others and 0.01 of
        // noise are 3.62 together.
        let change = filter().correct(seen(0.362, 5.0, 3.0));
        let expected = [0.1, 0.045, 0.012];
        let found = [change.level, change.count_error, change.external_use];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{change:?}");
        }
    }

    #[test]
    fn after_a_jump_the_level_is_known_as_well_as_the_answer_is() {
        let mut filter = filter();
        filter.set_level(0.01);
        let change = filter.correct(seen(-30.0, 0.0, 0.0));
        assert!(change.level < -29.9, "{change:?}");
        let deviation = filter.level_deviation();
        assert!((deviation - NOISE.sqrt()).abs() < 0.01, "{deviation}");
    }

    #[test]
    fn a_level_that_has_just_been_set_is_known_as_well_as_it_is_said() {
        let mut filter = filter();
        filter.set_level(0.5);
        assert_eq!(filter.level_deviation(), 0.5);
        assert_eq!(
            filter.excess_deviation(),
            0.3,
            "of the charge it says nothing"
        );
    }

    #[test]
    fn a_request_is_one_whatever_is_spent_and_heard() {
        let drift = Drift::of(Unit::Requests);
        assert_eq!((drift.per_charge, drift.per_second.count_error), (0.0, 0.0));
        let mut filter = Filter::new(StateEstimate {
            level: 1.0,
            count_error: 0.0,
            external_use: 0.2,
        });
        filter.advance(5.0, 25.0, 5.0, drift);
        let change = filter.correct(seen(-0.5, 5.0, 5.0));
        assert_eq!(change.count_error, 0.0);
        assert!(
            change.level < 0.0 && change.external_use.is_finite(),
            "{change:?}"
        );
    }

    #[test]
    fn nothing_is_ever_less_known_than_at_first() {
        let mut filter = filter();
        let drift = Drift {
            per_charge: 1.0,
            per_second: StateEstimate {
                level: 1.0,
                count_error: 1.0,
                external_use: 1.0,
            },
        };
        for _ in 0..1_000 {
            filter.advance(100.0, 10_000.0, 3_600.0, drift);
        }
        assert!(filter.level_deviation() <= 1.0 + 1e-9);
        assert!(filter.excess_deviation() <= 0.3 + 1e-9);
    }
}
