//! One answer at a time: which limit it speaks of, and what comes of that.

use std::time::Duration;

use super::super::period::{DAY, MINUTE};
use super::super::{Consequence, Estimator, SentRequest};
use crate::cost::Cost;
use crate::limiter::bucket::{Bucket, Tick};
use crate::observation::{LimitStatus, Observation, Refusal, Scope};
use crate::quota::{Limits, LimitsBuilder};
use crate::unit::Unit;

/// What is heard, with its levels. No time passes.
struct Ear {
    estimator: Estimator,
    levels: Vec<Bucket>,
}

const NOW: Tick = Tick(0);

impl Ear {
    fn new(limits: LimitsBuilder) -> Self {
        let limits = limits.build().unwrap();
        let (estimator, levels) = Estimator::new(&limits, Duration::ZERO, NOW);
        Self { estimator, levels }
    }

    fn grant(&mut self, cost: Cost) -> SentRequest {
        for level in &mut self.levels {
            level.take(cost.amount(level.unit()));
        }
        self.estimator.granted(cost, &mut self.levels, NOW);
        SentRequest {
            unsure: Cost::default(),
            cost,
            at: NOW,
            spent: self.estimator.spent(),
        }
    }

    /// Grants a request without tokens, and hears its answer.
    fn observe(&mut self, observation: &Observation) -> Consequence {
        let request = self.grant(Cost::tokens(0));
        self.estimator
            .observe(request, observation, &mut self.levels, NOW)
    }

    fn find(&mut self, report: &LimitStatus) -> Option<usize> {
        let cost = Cost::tokens(0);
        self.estimator
            .find(report, cost, None, &mut self.levels, NOW)
    }

    fn refused_by(&self, refusal: &Refusal, spoken_of: &[(usize, &LimitStatus)]) -> Option<usize> {
        self.estimator.refused_by(refusal, spoken_of, &self.levels)
    }

    /// The amounts and periods that are known.
    fn quotas(&self) -> Vec<(u64, Duration)> {
        let entries = self.estimator.entries.iter();
        let quotas = entries.map(|entry| entry.limit_estimator.quota());
        quotas.map(|it| (it.amount(), it.period())).collect()
    }

    /// How many times as fast as the rate what is there may be spent.
    fn speed(&self, index: usize) -> f64 {
        let index = self.estimator.entries[index].ramp_level.unwrap();
        let mut level = self.levels[index].clone();
        level.set_units(0.0);
        let half_a_second = level.quota().amount() / 120;
        let time = level.due(half_a_second).since(NOW);
        (0.5 / time.as_secs_f64()).round()
    }
}

/// A report that says all that there is to say.
fn report(unit: Unit, limit: u64, remaining: u64, reset: Duration) -> LimitStatus {
    let mut report = LimitStatus::of(unit);
    report.limit = Some(limit);
    report.remaining = Some(remaining);
    report.reset = Some(reset);
    report
}

fn both() -> LimitsBuilder {
    Limits::builder()
        .tokens_per_minute(60_000)
        .requests_per_minute(600)
}

#[test]
fn a_limit_is_another_one_once() {
    let mut ear = Ear::new(both());
    let half = report(Unit::Tokens, 30_000, 29_000, Duration::from_secs(2));
    let answer = Observation::admitted().with(half);
    assert!(ear.observe(&answer).limits_changed);
    let confirmed = ear.observe(&answer).limits_changed;
    assert!(
        confirmed,
        "from the second one on it refuses what is above it"
    );
    assert!(!ear.observe(&answer).limits_changed);
}

#[test]
fn a_refusal_is_for_the_limit_that_it_fits_and_of_which_least_is_left() {
    let mut ear = Ear::new(both().per_day(Unit::Requests, 10_000));
    let [tokens, requests, day] = [0, 1, 2];
    let left = |ear: &mut Ear, amounts: [f64; 3]| {
        for (index, amount) in amounts.into_iter().enumerate() {
            let level = ear.estimator.entries[index].level;
            ear.levels[level].set_units(amount);
        }
    };
    let of = |unit: Option<Unit>, period: Option<Duration>| Refusal {
        unit,
        period,
        ..Refusal::default()
    };
    let any = of(None, None);
    // Requests, 10 seconds' worth; tokens, 3.5; of the day a quarter of one.
    left(&mut ear, [3_500.0, 105.0, 0.03]);
    let table = [
        (any, day),
        (of(Some(Unit::Tokens), None), tokens),
        (of(Some(Unit::Requests), None), day),
        (of(Some(Unit::Requests), Some(MINUTE)), requests),
        (of(None, Some(MINUTE)), tokens),
        (of(None, Some(DAY)), day),
    ];
    for (step, (refusal, index)) in table.into_iter().enumerate() {
        assert_eq!(ear.refused_by(&refusal, &[]), Some(index), "step {step}");
    }
    assert_eq!(
        ear.refused_by(&of(Some(Unit::InputTokens), None), &[]),
        None
    );

    // What was just said goes before what is believed.
    let mut said = LimitStatus::of(Unit::Requests);
    said.remaining = Some(20);
    let minute = of(None, Some(MINUTE));
    assert_eq!(
        ear.refused_by(&minute, &[(requests, &said)]),
        Some(requests)
    );
    assert_eq!(ear.refused_by(&minute, &[(day, &said)]), Some(tokens));
    ear.estimator.entries[day].is_removed = true;
    assert_eq!(
        ear.refused_by(&any, &[]),
        Some(tokens),
        "it holds no longer"
    );
}

#[test]
fn a_refusal_slows_down_what_it_names_and_an_answer_without_a_word_nothing() {
    let mut ear = Ear::new(both());
    let speeds = |ear: &Ear| [ear.speed(0), ear.speed(1)];
    ear.observe(&Observation::default());
    assert_eq!(speeds(&ear), [1.0, 1.0], "of the limits it says nothing");
    let left = |unit| report(unit, 6_000, 3_000, Duration::from_secs(30));
    let said = Observation::default()
        .with(left(Unit::Tokens))
        .with(left(Unit::Requests));
    ear.observe(&said);
    assert_eq!(speeds(&ear), [30.0, 30.0]);
    ear.observe(&Observation::refused(Refusal {
        unit: Some(Unit::Tokens),
        ..Refusal::default()
    }));
    assert_eq!(speeds(&ear), [1.0, 30.0]);
    ear.observe(&Observation::refused(Refusal::default()));
    assert_eq!(speeds(&ear), [1.0, 1.0], "it may be for any");
}

#[test]
fn a_limit_of_a_day_has_no_careful_start() {
    let mut ear = Ear::new(Limits::builder().per_day(Unit::Requests, 10_000));
    for _ in 0..100 {
        assert!(ear.levels.iter().all(|level| level.covers(1)));
        ear.grant(Cost::tokens(1));
    }
}

#[test]
fn numbers_that_fit_a_minute_and_a_day_are_those_of_the_limit_that_is_known() {
    let whole = |limit| report(Unit::Requests, limit, limit, Duration::ZERO);
    let mut ear = Ear::new(both());
    let used = report(Unit::Requests, 10_000, 9_990, Duration::from_millis(86_400));
    ear.observe(&Observation::admitted().with(used));
    assert_eq!(ear.quotas()[2], (10_000, DAY));
    assert_eq!(ear.find(&whole(10_000)), Some(2));
    assert_eq!(ear.find(&whole(500)), None, "of either");
    assert_eq!(
        ear.find(&whole(600)),
        None,
        "nobody has said that it is a minute's"
    );
    let mut of_tokens = whole(10_000);
    of_tokens.unit = Unit::Tokens;
    assert_eq!(ear.find(&of_tokens), None);
}

#[test]
fn half_a_report_is_of_a_minute() {
    let mut ear = Ear::new(both().per_day(Unit::Requests, 10_000));
    let mut report = LimitStatus::of(Unit::Requests);
    report.remaining = Some(500);
    assert_eq!(ear.find(&report), Some(1));
    report.limit = Some(600);
    assert_eq!(ear.find(&report), Some(1));
    (report.limit, report.reset) = (None, Some(MINUTE));
    assert_eq!(ear.find(&report), Some(1));
}

#[test]
fn what_the_user_states_is_the_account_s_and_what_is_used_stays_used() {
    let mut ear = Ear::new(Limits::builder().tokens_per_minute(6_000));
    let mut project = report(Unit::Tokens, 3_000, 2_900, Duration::from_secs(2));
    project.scope = Scope::Project;
    ear.observe(&Observation::admitted().with(project));
    ear.grant(Cost::tokens(1_000));
    let stated = Limits::tokens_per_minute(9_000).unwrap();
    ear.estimator.restate(&stated, &mut ear.levels, NOW);
    assert_eq!(ear.quotas(), [(9_000, MINUTE), (3_000, MINUTE)]);
    let left = ear.levels[ear.estimator.entries[0].level].available();
    assert_eq!(left, 7_999, "one is held back for rounding");
    let entries = ear.estimator.entries.iter();
    let ceilings = entries.map(|entry| entry.limit_estimator.stated().map(|quota| quota.amount()));
    assert_eq!(ceilings.collect::<Vec<_>>(), [Some(9_000), None]);
}

#[test]
fn a_day_s_limit_that_a_short_wait_contradicts_is_a_minute_s() {
    // One sample of a guide, which servers for tests send as it is.
    let guide = report(Unit::Tokens, 150_000, 0, Duration::from_secs(360));
    let day = report(Unit::Tokens, 150_000, 0, DAY);
    for (step, (said, wait, period)) in [
        (guide, Some(1), MINUTE),
        (guide, None, MINUTE),
        (day, Some(1), MINUTE),
        (day, None, DAY),
    ]
    .into_iter()
    .enumerate()
    {
        let mut ear = Ear::new(Limits::builder().requests_per_minute(600));
        let refused = Observation::refused(Refusal {
            wait: wait.map(Duration::from_secs),
            ..Refusal::default()
        });
        let request = ear.grant(Cost::tokens(30));
        ear.estimator
            .observe(request, &refused.with(said), &mut ear.levels, NOW);
        assert_eq!(ear.quotas()[1], (150_000, period), "step {step}");
    }
}

#[test]
fn one_word_alone_makes_no_request_impossible_and_a_limit_of_zero_is_none() {
    let mut ear = Ear::new(both());
    let answer = |limit| {
        let said = report(Unit::Tokens, limit, 0, Duration::from_secs(1));
        Observation::admitted().with(said)
    };
    let amount = |ear: &Ear| ear.quotas()[0].0;
    let mut hear = |limit| {
        let request = ear.grant(Cost::tokens(500));
        ear.estimator
            .observe(request, &answer(limit), &mut ear.levels, NOW);
        amount(&ear)
    };
    assert_eq!(hear(0), 60_000, "none");
    assert_eq!(hear(1), 60_000, "heard once");
    assert_eq!(hear(50_000), 50_000);
    assert_eq!(hear(2), 50_000, "another one");
    assert_eq!(hear(2), 2, "heard twice");
}

#[test]
fn a_limit_that_a_refusal_names_and_nobody_knew_is_added() {
    let second = Duration::from_secs(1);
    let hour = second * 3_600;
    for (step, period) in [second, MINUTE, hour, DAY].into_iter().enumerate() {
        let mut ear = Ear::new(Limits::builder().tokens_per_minute(60_000));
        let refused = |limit| {
            Observation::refused(Refusal {
                unit: Some(Unit::Requests),
                period: Some(period),
                limit: Some(limit),
                ..Refusal::default()
            })
        };
        ear.observe(&refused(20));
        assert_eq!(ear.quotas()[1..], [(20, period)], "step {step}");
        ear.observe(&refused(30));
        assert_eq!(ear.quotas()[1..], [(30, period)], "step {step}");
    }
}

#[test]
fn a_limit_that_was_heard_of_once_is_a_place_to_begin() {
    let guess = crate::quota::Quota::per_minute(Unit::Requests, 600).unwrap();
    let mut ear = Ear::new(Limits::builder().quota(guess.provisional()));
    let once = report(Unit::Requests, 60, 30, Duration::from_secs(30));
    ear.observe(&Observation::admitted().with(once));
    let is_on = |ear: &mut Ear| ear.estimator.entries[0].search_mut().map(|it| it.rate());
    for step in 0..5 {
        assert_eq!(is_on(&mut ear), None, "step {step}");
        ear.observe(&Observation::admitted());
    }
    assert_eq!(is_on(&mut ear), Some(1.0), "units a second");
    ear.observe(&Observation::admitted().with(once));
    for _ in 0..9 {
        ear.observe(&Observation::admitted());
    }
    assert_eq!(is_on(&mut ear), None, "it was said again");
}
