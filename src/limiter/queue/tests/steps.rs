//! What may happen to a line: random courses of events.
//!
//! Sizes and times are drawn in thousandths of the limits that hold when they are used, so that a
//! course keeps meaning something when limits change, and gets simpler piece by piece.

use super::*;

#[derive(Debug, Clone)]
pub(super) struct Course {
    pub(super) limits: Limits,
    pub(super) rules: Rules,
    /// Whether a request with a deadline asks first whether it can be met, as an acquire does. If not,
    /// more deadlines pass in the queue.
    pub(super) asks_first: bool,
    /// Whether limits and levels are left alone: a bucket's whole way is known only then.
    pub(super) is_steady: bool,
    pub(super) steps: Vec<Step>,
    pub(super) ends_closed: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// No request comes before the next alarm, or before this many nanoseconds after it.
    UntilAlarm {
        after: i64,
    },
    Pass {
        thousandths: u64,
        nanos: u64,
    },
    /// Time passes, and no alarm rings: the clock's thread gets no turn.
    Oversleep {
        thousandths: u64,
    },
    Come {
        size: Size,
        who: Who,
        patience: Patience,
    },
    /// Comes, and does not join the line.
    Try {
        size: Size,
        who: Who,
    },
    /// A permit ends, the `nth` that is out.
    End {
        nth: usize,
        how: End,
    },
    Pause {
        thousandths: u64,
    },
    Resume,
    /// The `nth` in line is called back.
    Leave {
        nth: usize,
    },
    SetLimits(NewLimits),
    /// So much is left of the `nth` quota, in thousandths of its burst.
    SetLevel {
        nth: usize,
        thousandths: i64,
    },
    /// Asks how it stands.
    Look,
}

/// A cost in thousandths of each unit's smallest amount, rounded up; apart for requests with
/// tokens and input with output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size(pub(super) [u64; 2]);

#[derive(Debug, Clone, Copy)]
pub(super) struct Who {
    pub(super) priority: Priority,
    /// Comes again at a place that it kept: the `nth` that is free.
    pub(super) kept: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    Endless,
    Thousandths(u64),
    /// Up to its predicted turn, give or take these nanoseconds.
    JustAbout(i64),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Drop,
    Settle(Size),
    Refund,
    /// Gives everything back, and stays in flight.
    GiveBack,
}

#[derive(Debug, Clone)]
pub(super) enum NewLimits {
    /// The `nth` quota gets another amount and burst, in thousandths of its amount.
    Resize {
        nth: usize,
        amount: u64,
        burst: u64,
    },
    MostInFlight(Option<u64>),
    Others(Limits),
}

const SECOND: u64 = 1_000_000_000;

fn quota() -> impl Strategy<Value = Quota> {
    let units = [
        Unit::Tokens,
        Unit::Requests,
        Unit::InputTokens,
        Unit::OutputTokens,
    ];
    let periods = [SECOND, 10 * SECOND, 60 * SECOND, 1_234_567_891, 7];
    let amount = prop_oneof![
        3 => 1..=40u64,
        1 => 41..=100_000u64,
        1 => 1..=1u64 << 40,
    ];
    (
        0..units.len(),
        prop_oneof![20 => 0..4usize, 1 => Just(4)],
        amount,
        prop::option::of(1..2_000u64),
        prop::option::weighted(0.3, 0..1_000u64),
        prop::bool::weighted(0.05),
    )
        .prop_map(
            move |(unit, period, amount, burst, start, is_provisional)| {
                let period = Duration::from_nanos(periods[period]);
                let mut quota = Quota::new(units[unit], amount, period).unwrap();
                if let Some(burst) = burst {
                    quota = quota.with_burst(thousandths(amount, burst));
                }
                if let Some(start) = start {
                    quota = quota.with_initial(thousandths(quota.burst(), start));
                }
                if is_provisional {
                    quota.provisional()
                } else {
                    quota
                }
            },
        )
}

fn limits() -> impl Strategy<Value = Limits> {
    let quotas = prop_oneof![
        40 => prop::collection::vec(quota(), 1..=4),
        1 => Just(Vec::new()),
    ];
    (quotas, most_in_flight()).prop_map(|(quotas, most)| declare(&quotas, most))
}

/// Limits of these quotas; a line that nothing limits is no line.
pub(super) fn declare(quotas: &[Quota], most: Option<u64>) -> Limits {
    let builder = quotas
        .iter()
        .copied()
        .fold(Limits::builder(), crate::LimitsBuilder::quota);
    let builder = match most {
        Some(most) => builder.in_flight(most),
        None if quotas.is_empty() => builder.in_flight(1),
        None => builder,
    };
    builder.build().unwrap()
}

fn most_in_flight() -> impl Strategy<Value = Option<u64>> {
    prop::option::weighted(0.3, 1..5u64)
}

fn size() -> impl Strategy<Value = Size> {
    let part = || {
        prop_oneof![
            2 => 0..=150u64,
            3 => 0..=1_000u64,
            1 => Just(0),
        ]
    };
    let too_large = (1_001..1_100u64, 0..=1_000u64);
    prop_oneof![
        40 => (part(), part()).prop_map(|(a, b)| Size([a, b])),
        1 => too_large.prop_map(|(a, b)| Size([a, b])),
    ]
}

fn who() -> impl Strategy<Value = Who> {
    let kept = prop::option::weighted(0.2, 0..8usize);
    (prop::bool::weighted(0.35), kept).prop_map(|(is_batch, kept)| Who {
        priority: if is_batch {
            Priority::Batch
        } else {
            Priority::Interactive
        },
        kept,
    })
}

fn patience() -> impl Strategy<Value = Patience> {
    prop_oneof![
        6 => Just(Patience::Endless),
        3 => (0..2_000u64).prop_map(Patience::Thousandths),
        2 => (-1..=1i64).prop_map(Patience::JustAbout),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        2 => Just(End::Drop),
        3 => size().prop_map(End::Settle),
        1 => Just(End::Refund),
        1 => Just(End::GiveBack),
    ]
}

fn new_limits() -> impl Strategy<Value = NewLimits> {
    prop_oneof![
        4 => (0..4usize, 1..3_000u64, 1..3_000u64)
            .prop_map(|(nth, amount, burst)| NewLimits::Resize { nth, amount, burst }),
        1 => most_in_flight().prop_map(NewLimits::MostInFlight),
        2 => limits().prop_map(NewLimits::Others),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => (size(), who(), patience())
            .prop_map(|(size, who, patience)| Step::Come { size, who, patience }),
        5 => (-1..=1i64).prop_map(|after| Step::UntilAlarm { after }),
        6 => (0..300u64, 0..3u64).prop_map(|(thousandths, nanos)| Step::Pass { thousandths, nanos }),
        2 => (0..1_000u64).prop_map(|thousandths| Step::Oversleep { thousandths }),
        3 => (size(), who()).prop_map(|(size, who)| Step::Try { size, who }),
        7 => (0..8usize, end()).prop_map(|(nth, how)| Step::End { nth, how }),
        1 => (0..500u64).prop_map(|thousandths| Step::Pause { thousandths }),
        1 => Just(Step::Resume),
        1 => (0..8usize).prop_map(|nth| Step::Leave { nth }),
        1 => new_limits().prop_map(Step::SetLimits),
        1 => (0..4usize, -500..1_300i64)
            .prop_map(|(nth, thousandths)| Step::SetLevel { nth, thousandths }),
        2 => Just(Step::Look),
    ]
}

pub(super) fn course() -> impl Strategy<Value = Course> {
    let rules = (prop::option::weighted(0.2, 0..6usize), any::<bool>());
    let rules = rules.prop_map(|(max_waiters, bypass)| Rules {
        max_waiters,
        bypass,
        ..Rules::default()
    });
    (
        limits(),
        rules,
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(step(), 1..80),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(limits, rules, asks_first, is_steady, steps, ends_closed)| Course {
                limits,
                rules,
                asks_first,
                is_steady,
                steps,
                ends_closed,
            },
        )
}

/// This many thousandths, rounded up.
pub(super) fn thousandths(amount: u64, count: u64) -> u64 {
    u64::try_from((u128::from(amount) * u128::from(count)).div_ceil(1_000)).unwrap()
}
