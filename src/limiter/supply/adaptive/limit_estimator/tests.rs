//! One word of the server's at a time, with what has to come of it.

use super::*;
use crate::cost::Cost;

const SECOND: Duration = Duration::from_secs(1);
/// Units a second.
const RATE: f64 = 1_000.0;
/// One unit is held back for rounding.
const FULL: f64 = 59_999.0;

/// A limit of which a thousand tokens come in each second, with its level.
struct Limit {
    limit_estimator: LimitEstimator,
    level: Bucket,
    spent: Spent,
}

fn tokens(per_minute: u64) -> Quota {
    Quota::per_minute(Unit::Tokens, per_minute).unwrap()
}

fn at(seconds: f64) -> Tick {
    Tick::default().after(Duration::from_secs_f64(seconds))
}

fn stated() -> Limit {
    Limit::of(tokens(60_000), Duration::ZERO)
}

fn guessed() -> Limit {
    Limit::of(tokens(60_000).provisional(), Duration::ZERO)
}

impl Limit {
    fn of(quota: Quota, jitter: Duration) -> Self {
        let (now, spent) = (Tick::default(), Spent::default());
        let limit_estimator = LimitEstimator::new(quota, Scope::Account, jitter, now, spent);
        Self {
            level: Bucket::starting(limit_estimator.bucket(), now),
            limit_estimator,
            spent,
        }
    }

    /// Advances to a time in seconds, at which a request of this many tokens is granted.
    fn grants(&mut self, seconds: f64, amount: u64) -> Moment {
        self.level.refill(at(seconds));
        self.level.take(amount);
        self.spent = self.spent.and(Cost::tokens(amount));
        self.limit_estimator.granted(amount);
        self.limit_estimator
            .advance(at(seconds), self.spent, &mut self.level);
        Moment {
            at: at(seconds),
            spent: self.spent,
            near: 0,
        }
    }

    fn hears_limit(&mut self, limit: u64, left: Option<f64>, then: Moment) {
        self.limit_estimator
            .observe_limit(limit, left, then, &mut self.level);
    }

    fn hears_bucket(&mut self, units: f64, then: Moment) {
        self.limit_estimator
            .observe_bucket(units, true, then, &mut self.level);
    }

    fn hears_left(&mut self, units: f64, then: Moment) {
        self.limit_estimator
            .observe_left(units, then, &mut self.level);
    }

    /// What is held back of the level, in seconds of the rate: until that has come in, nothing is
    /// due.
    fn reserve(&mut self) -> f64 {
        self.limit_estimator.set_reserve(&mut self.level);
        let mut empty = self.level.clone();
        empty.set_units(0.0);
        empty.due(0).since(self.limit_estimator.at).as_secs_f64()
    }
}

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    let error = (found - expected).abs();
    assert!(
        error <= 0.001 * expected.abs().max(1.0),
        "{found}, not {expected}"
    );
}

#[test]
fn a_charge_is_known_when_answers_have_shown_it() {
    let mut requests = Limit::of(
        Quota::per_minute(Unit::Requests, 60).unwrap(),
        Duration::ZERO,
    );
    assert_eq!(
        requests.limit_estimator.known_ratio(),
        None,
        "nothing is heard yet"
    );
    let first = requests.grants(0.0, 1);
    requests.hears_left(50.0, first);
    assert_eq!(
        requests.limit_estimator.known_ratio(),
        Some(1.0),
        "one is one"
    );

    let mut limit = stated();
    let first = limit.grants(0.0, 1_000);
    assert_eq!(limit.limit_estimator.known_ratio(), None);
    limit.hears_left(50_000.0, first);
    assert_eq!(
        limit.limit_estimator.known_ratio(),
        None,
        "it shows no charge"
    );
    for spent in 1..40 {
        let next = limit.grants(0.0, 1_000);
        limit.hears_left(50_000.0 - f64::from(spent) * RATE, next);
    }
    let known = limit.limit_estimator.known_ratio();
    assert!(
        known.is_some_and(|known| (known - 1.0).abs() < 0.02),
        "{known:?}"
    );
}

#[test]
fn the_first_answer_is_what_is_left_and_what_came_and_went_since() {
    let mut limit = stated();
    let then = limit.grants(1.0, 700);
    limit.grants(3.0, 500);
    limit.hears_left(30_000.0, then);
    assert_near(limit.level.units(), 30_000.0 + 2.0 * RATE - 500.0);
}

#[test]
fn an_answer_counts_as_far_as_the_way_its_neighbours_rounding_and_its_age_let_it() {
    // the limit, its bucket, units beside it, how old it is, the variance
    let table = [
        (60_000, 60.0, 0, 0.0, TIMING * TIMING),
        (60_000, 60.0, 6_000, 0.0, TIMING * TIMING + 36.0 / 6.0),
        (6, 60.0, 0, 0.0, TIMING * TIMING + 100.0 / 12.0),
        // A bucket of a second has forgotten the other four.
        (60_000, 1.0, 0, 5.0, TIMING * TIMING + 16.0),
    ];
    for (step, (amount, bucket, near, age, variance)) in table.into_iter().enumerate() {
        let quota = tokens(amount).with_burst_duration(Duration::from_secs_f64(bucket));
        let mut limit = Limit::of(quota, Duration::ZERO);
        limit.limit_estimator.filter.forget_foreign(); // what others took meanwhile adds to it
        let mut then = limit.grants(0.0, 0);
        then.near = near;
        limit.grants(age, 0);
        limit.hears_left(0.0, then);
        let found = limit.limit_estimator.filter.level_deviation().powi(2);
        let error = (found - variance).abs();
        assert!(
            error < 0.02 * variance,
            "step {step}: {found}, not {variance}"
        );
    }
}

#[test]
fn of_a_new_limit_what_is_left_is_known_to_a_hundredth_of_its_period() {
    let mut limit = guessed();
    let then = limit.grants(0.0, 0);
    limit.hears_limit(30_000, Some(20_000.0), then);
    assert_near(limit.level.units(), 20_000.0);
    assert_near(limit.limit_estimator.filter.level_deviation(), 0.6);
}

#[test]
fn of_requests_that_left_together_whichever_is_heard_last_counts() {
    let mut limit = stated();
    let then = limit.grants(1.0, 0);
    limit.hears_limit(30_000, None, then);
    limit.hears_limit(20_000, None, then);
    assert_eq!(limit.limit_estimator.quota().amount(), 20_000);
    limit.hears_left(7_000.0, then);
    assert_near(limit.level.units(), 7_000.0);
}

#[test]
fn a_bucket_is_as_large_as_it_was_ever_seen_since_the_limit_is_another_one() {
    let mut limit = stated();
    let old = limit.grants(0.0, 0);
    let then = limit.grants(1.0, 0);
    limit.hears_limit(30_000, None, then);
    let mut burst_after = |units, then| {
        limit.hears_bucket(units, then);
        limit.limit_estimator.bucket().burst()
    };
    assert_eq!(burst_after(500.0, then), 499);
    assert_eq!(burst_after(1_500.0, old), 499, "that was another limit");
    assert_eq!(burst_after(1_000.0, then), 999);
    assert_eq!(burst_after(500.0, then), 999);
}

#[test]
fn what_the_user_lets_go_at_once_is_the_bucket_where_it_is_smaller() {
    let mut limit = stated();
    let cases = [
        (tokens(60_000).with_burst(1_000), 999),
        (tokens(60_000), 59_999),
        (tokens(60_000).with_burst(90_000), 59_999),
        (tokens(30_000).with_burst(1_000), 999),
    ];
    for (step, (quota, burst)) in cases.into_iter().enumerate() {
        limit.limit_estimator.restate(Some(quota), &mut limit.level);
        assert_eq!(limit.limit_estimator.bucket().burst(), burst, "step {step}");
        let fresh = Limit::of(quota, Duration::ZERO);
        assert_eq!(fresh.limit_estimator.bucket().burst(), burst, "step {step}");
    }
}

#[test]
fn of_a_small_bucket_no_more_than_half_is_held_back_for_jitter() {
    for (burst, held_back) in [(60_000, 2.0), (1_000, 0.5)] {
        let limit = Limit::of(tokens(60_000).with_burst(burst), 2 * SECOND);
        assert_eq!(limit.limit_estimator.held_back(), held_back, "of {burst}");
    }
}

#[test]
fn what_is_held_back_grows_with_what_no_answer_has_shown() {
    // the level's deviation, tokens that no answer has shown, the reserve
    let table = [
        (0.05, 0, 0.15),
        (10.0, 0, MOST_RESERVE),
        (10.0, 2_000, MOST_RESERVE + 3.0 * 0.35 * 2.0),
    ];
    for (deviation, unseen, reserve) in table {
        let mut limit = stated();
        limit.limit_estimator.heard_of = Some(Spent::default());
        limit.grants(0.0, unseen);
        limit.limit_estimator.filter.set_level(deviation);
        assert_near(limit.reserve(), reserve);
    }
}

#[test]
fn an_older_answer_makes_nothing_unheard() {
    let mut limit = stated();
    let old = limit.grants(0.0, 1_000);
    let new = limit.grants(1.0, 1_000);
    limit.hears_left(50_000.0, old);
    assert_eq!(limit.limit_estimator.heard_of, Some(old.spent));
    limit.hears_left(50_000.0, new);
    assert_eq!(limit.limit_estimator.heard_of, Some(new.spent));
    limit.hears_left(50_000.0, old);
    assert_eq!(limit.limit_estimator.heard_of, Some(new.spent));
}

#[test]
fn a_guess_is_raised_by_what_is_left_and_not_lowered() {
    let mut limit = guessed();
    let then = limit.grants(0.0, 0);
    limit.hears_left(30_000.0, then);
    assert_eq!(limit.limit_estimator.quota().amount(), 60_000);
    limit.hears_left(90_000.0, then);
    assert_eq!(limit.limit_estimator.quota(), tokens(90_000).provisional());
    let mut limit = stated();
    limit.hears_left(90_000.0, then);
    assert_eq!(
        limit.limit_estimator.quota(),
        tokens(60_000),
        "it is no guess"
    );
}

#[test]
fn more_than_our_own_bucket_teaches_nothing() {
    let mut limit = Limit::of(tokens(60_000).with_burst(1_000), Duration::ZERO);
    let first = limit.grants(0.0, 500);
    limit.hears_left(50_000.0, first);
    limit.limit_estimator.external_use = 0.4;
    let next = limit.grants(0.1, 300);
    let (left, deviation) = (
        limit.level.units(),
        limit.limit_estimator.filter.level_deviation(),
    );
    limit.hears_left(50_000.0, next);
    assert_eq!(
        (
            limit.limit_estimator.count_error,
            limit.limit_estimator.external_use
        ),
        (0.0, 0.4)
    );
    assert_eq!(limit.level.units(), left);
    assert_eq!(limit.limit_estimator.filter.level_deviation(), deviation);
}

#[test]
fn much_more_than_was_believed_is_a_new_window() {
    // how many seconds more, of a bucket of 60, and the share of others then
    for (more, external_use) in [(11.0, 0.4), (13.0, 0.0)] {
        let mut limit = stated();
        let then = limit.grants(0.0, 30_000);
        limit.limit_estimator.external_use = 0.4;
        limit.hears_left(FULL - 30_000.0 + more * RATE, then);
        assert_eq!(limit.limit_estimator.external_use, external_use, "{more} s");
    }
}

#[test]
fn a_limit_that_is_certain_has_nobody_who_adds_to_it() {
    let told = |mut limit: Limit| {
        let then = limit.grants(0.0, 0);
        limit.hears_limit(60_000, None, then);
        limit
    };
    let table = [
        (guessed(), -0.5..=-0.3),
        (told(guessed()), 0.0..=0.0),
        (stated(), 0.0..=0.0),
        (told(stated()), 0.0..=0.0),
    ];
    for (step, (mut limit, expected)) in table.into_iter().enumerate() {
        limit.grants(0.0, 40_000);
        limit.limit_estimator.filter.set_level(0.0);
        let then = limit.grants(10.0, 0);
        // Five seconds' worth more than came in.
        limit.hears_left(limit.level.units() + 5.0 * RATE, then);
        let external_use = limit.limit_estimator.external_use;
        assert!(
            expected.contains(&external_use),
            "step {step}: {external_use}"
        );
    }
}

#[test]
fn what_refusals_have_taught_fades_and_what_answers_say_stays() {
    let mut limit = stated();
    limit.limit_estimator.external_use = 0.4;
    limit.grants(FORGETTING, 0);
    assert_near(limit.limit_estimator.external_use, 0.2);
    let then = limit.grants(FORGETTING, 30_000);
    limit.hears_left(FULL - 30_000.0, then);
    let heard = limit.limit_estimator.external_use;
    assert!(heard > 0.0, "they are still there");
    limit.grants(3.0 * FORGETTING, 0);
    assert_eq!(limit.limit_estimator.external_use, heard);
}

#[test]
fn after_a_refusal_s_wait_its_request_fits_and_nothing_more() {
    let wait = |requested| Refusal {
        requested,
        wait: Some(2 * SECOND),
        ..Refusal::default()
    };
    // Others take half of what comes in, and 1.3 times what is reserved is charged.
    for (requested, left) in [(Some(1_000), 0.0), (None, 300.0)] {
        let mut limit = stated();
        let then = limit.grants(0.0, 0);
        (
            limit.limit_estimator.count_error,
            limit.limit_estimator.external_use,
        ) = (0.3, 0.5);
        let told =
            limit
                .limit_estimator
                .observe_refusal(&wait(requested), 1_000, then, &mut limit.level);
        assert_eq!(told, 2 * SECOND);
        assert_near(limit.level.units(), left);
        limit.level.refill(at(2.0));
        assert_near(limit.level.units(), left + RATE);
    }
}
