//! Scales: from amounts and times to places between 0 and 1, with ticks at round numbers.

use super::words::{short, trimmed};

/// The most ticks on an axis of times: as many as fit on a telephone.
const MOST_TIMES: f64 = 5.5;

/// How far apart labels of durations stand at least, as a share of the axis.
const APART: f64 = 0.17;

/// A step from one tick to the next that is a round number: 1, 2, 2.5 or 5 times a power of ten.
const ROUND: [f64; 5] = [1.0, 2.0, 2.5, 5.0, 10.0];

/// Steps that are round for a clock, in seconds, up to a week.
const CLOCK: [f64; 27] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0,
    120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 43_200.0, 86_400.0, 604_800.0,
];

/// A place on an axis with its label.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// Between 0 and 1.
    pub(super) at: f64,
    pub(super) label: String,
}

/// A scale with its ticks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    from: f64,
    to: f64,
    is_log: bool,
    pub(super) ticks: Vec<Tick>,
}

impl Axis {
    /// From 0 to a round number that is at least `most`. Of things that are counted no half is marked.
    pub(super) fn amounts(most: f64) -> Self {
        let most = if most.is_finite() { most.max(1.0) } else { 1.0 };
        let rough = most / 4.0;
        let power = 10_f64.powf(rough.log10().floor());
        let round = ROUND.into_iter().map(|it| it * power);
        let fits = |step: &f64| *step >= rough * 0.999_999 && *step >= 1.0 && step.fract() == 0.0;
        let step = round
            .into_iter()
            .find(fits)
            .unwrap_or(power * 10.0)
            .max(1.0);
        let count = (most / step - 0.000_001).ceil().max(1.0);
        let to = count * step;
        Self {
            from: 0.0,
            to,
            is_log: false,
            ticks: ticks(count, |number| (number / count, short(number * step))),
        }
    }

    /// From 0 to `most` seconds of a run.
    pub(super) fn times(most: f64) -> Self {
        let most = if most.is_finite() {
            most.max(0.001)
        } else {
            1.0
        };
        let fits = |step: &f64| most / step <= MOST_TIMES;
        // Longer than weeks: in weeks.
        let weeks = || (most / MOST_TIMES / 604_800.0).ceil() * 604_800.0;
        let step = CLOCK.into_iter().find(fits).unwrap_or_else(weeks);
        let label = |seconds: f64| match seconds {
            0.0 => "0".to_owned(),
            _ => clock(seconds, step),
        };
        let count = (most / step + 0.000_001).floor();
        Self {
            from: 0.0,
            to: most,
            is_log: false,
            ticks: ticks(count, |number| (number * step / most, label(number * step))),
        }
    }

    /// Durations in seconds on a logarithmic scale.
    pub(super) fn durations(from: f64, to: f64) -> Self {
        let (mut from, mut to) = (from.max(1e-9), to.max(1e-9));
        // All the same would be one bar as wide as the plot.
        let missing = (8.0 / (to / from)).max(1.0).sqrt();
        from /= missing;
        to *= missing;
        let place = |seconds: f64| (seconds / from).ln() / (to / from).ln();
        let label = |seconds: f64| Tick {
            at: place(seconds),
            label: measured(seconds),
        };
        let ticks = |all: Vec<f64>, each: usize| -> Vec<Tick> {
            let all = all.into_iter().step_by(each);
            let inside = all.filter(|seconds| (from..=to).contains(seconds));
            inside.map(label).collect()
        };
        let are_apart =
            |ticks: &Vec<Tick>| ticks.windows(2).all(|two| two[1].at - two[0].at >= APART);
        let mut rarer = (1..=4).map(|each| ticks(decades(), each));
        let fine = Some(ticks(thirds(), 1)).filter(are_apart);
        let ticks = fine.or_else(|| rarer.find(are_apart)).unwrap_or_default();
        Self {
            from,
            to,
            is_log: true,
            ticks,
        }
    }

    /// Where a value is, between 0 and 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = match self.is_log {
            true => (value / self.from).ln() / (self.to / self.from).ln(),
            false => (value - self.from) / (self.to - self.from),
        };
        match place.is_nan() {
            true => 0.0,
            false => place.clamp(0.0, 1.0),
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a handful"
)]
fn ticks(count: f64, tick: impl Fn(f64) -> (f64, String)) -> Vec<Tick> {
    let numbers = 0..=(count.clamp(0.0, 20.0) as u32);
    let tick = |number| {
        let (at, label) = tick(f64::from(number));
        Tick { at, label }
    };
    numbers.map(tick).collect()
}

/// A time on an axis with this step, in the unit of the step.
fn clock(seconds: f64, step: f64) -> String {
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")];
    let of_step = units.into_iter().find(|(size, _)| step % size == 0.0);
    match of_step {
        Some((size, unit)) => format!("{}\u{a0}{unit}", trimmed(seconds / size, 0)),
        None if step >= 0.1 => format!("{}\u{a0}s", trimmed(seconds, 1)),
        None => format!("{}\u{a0}ms", trimmed(seconds * 1e3, 0)),
    }
}

/// Durations that are round, in seconds: each about ten times the one before.
fn decades() -> Vec<f64> {
    let short = (-6..2).map(|power| 10_f64.powi(power));
    short
        .chain([60.0, 600.0, 3_600.0, 36_000.0, 864_000.0])
        .collect()
}

/// And two or three times.
fn thirds() -> Vec<f64> {
    let times = |parts: [f64; 3]| move |decade: f64| parts.map(|part| part * decade);
    let short = (-6..1).map(|power| 10_f64.powi(power));
    let mut all: Vec<_> = short.flat_map(times([1.0, 2.0, 5.0])).collect();
    all.extend([10.0, 20.0, 60.0, 120.0, 300.0, 600.0, 1_200.0]);
    all.extend([
        3_600.0, 7_200.0, 18_000.0, 36_000.0, 86_400.0, 259_200.0, 864_000.0,
    ]);
    all
}

/// A duration that is a round number in some unit.
fn measured(seconds: f64) -> String {
    let units = [
        (86_400.0, "d"),
        (3_600.0, "h"),
        (60.0, "min"),
        (1.0, "s"),
        (1e-3, "ms"),
    ];
    let fits = |(size, _): &(f64, &str)| seconds >= size * 0.999;
    let (size, unit) = units.into_iter().find(fits).unwrap_or((1e-6, "µs"));
    format!("{}\u{a0}{unit}", trimmed(seconds / size, 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(axis: &Axis) -> String {
        let labels = axis
            .ticks
            .iter()
            .map(|tick| tick.label.replace('\u{a0}', " "));
        labels.collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn ticks_stand_at_round_numbers() {
        let table = [
            (0.0, "0 | 1"),
            (1.0, "0 | 1"),
            (3.0, "0 | 1 | 2 | 3"),
            (7.0, "0 | 2 | 4 | 6 | 8"),
            (10.0, "0 | 5 | 10"),
            (30_000.0, "0 | 10k | 20k | 30k"),
            (59_800.0, "0 | 20k | 40k | 60k"),
            (1_000_000.0, "0 | 250k | 500k | 750k | 1M"),
            (f64::INFINITY, "0 | 1"),
            (f64::NAN, "0 | 1"),
        ];
        for (step, (most, expected)) in table.into_iter().enumerate() {
            assert_eq!(labels(&Axis::amounts(most)), expected, "step {step}");
        }
    }

    #[test]
    fn times_have_the_ticks_of_a_clock() {
        let table = [
            (0.0, "0 | 1 ms"),
            (0.031, "0 | 10 ms | 20 ms | 30 ms"),
            (0.31, "0 | 0.1 s | 0.2 s | 0.3 s"),
            (0.9, "0 | 0.2 s | 0.4 s | 0.6 s | 0.8 s"),
            (5.0, "0 | 1 s | 2 s | 3 s | 4 s | 5 s"),
            (61.0, "0 | 15 s | 30 s | 45 s | 60 s"),
            (150.0, "0 | 30 s | 60 s | 90 s | 120 s | 150 s"),
            (601.0, "0 | 2 min | 4 min | 6 min | 8 min | 10 min"),
            (5_000.0, "0 | 30 min | 60 min"),
            (36_000.0, "0 | 2 h | 4 h | 6 h | 8 h | 10 h"),
            (300_000.0, "0 | 1 d | 2 d | 3 d"),
            (1e8, "0 | 217 d | 434 d | 651 d | 868 d | 1085 d"),
        ];
        for (step, (most, expected)) in table.into_iter().enumerate() {
            assert_eq!(labels(&Axis::times(most)), expected, "step {step}");
        }
    }

    #[test]
    fn durations_of_any_spread_have_a_few_ticks() {
        let table = [
            (0.25, 2.5, "500 ms | 1 s | 2 s"),
            (0.01, 0.3, "10 ms | 20 ms | 50 ms | 100 ms | 200 ms"),
            (0.1, 9.0, "100 ms | 1 s"),
            (0.001, 30.0, "1 ms | 10 ms | 100 ms | 1 s | 10 s"),
            (1e-6, 10.0, "1 µs | 100 µs | 10 ms | 1 s"),
            (1e-6, 2e6, "1 µs | 1 ms | 1 s | 10 min | 10 d"),
            (30.0, 700.0, "1 min | 2 min | 5 min | 10 min"),
            (300.0, 20_000.0, "10 min | 1 h"),
            (5_000.0, 90_000.0, "2 h | 5 h | 10 h | 1 d"),
        ];
        for (from, to, expected) in table {
            let axis = Axis::durations(from, to);
            assert_eq!(labels(&axis), expected);
            assert!(axis.place(from) < axis.place(to));
        }
        let same = Axis::durations(0.3, 0.3);
        assert_eq!(labels(&same), "200 ms | 500 ms");
    }

    proptest! {
        #[test]
        fn every_scale_holds_what_it_was_made_for(most in 0.0_f64..1e15, long in 0.0_f64..1e9) {
            let amounts = Axis::amounts(most);
            prop_assert!(amounts.to >= most * 0.999_999);
            prop_assert!(amounts.to <= (most * 2.0).max(2.0), "{} for {}", amounts.to, most);
            for axis in [amounts, Axis::times(long)] {
                prop_assert!((2..=8).contains(&axis.ticks.len()), "{:?}", axis);
                prop_assert!(axis.ticks.iter().all(|tick| (0.0..=1.000_001).contains(&tick.at)));
                prop_assert!(axis.ticks.windows(2).all(|two| two[0].at < two[1].at));
                prop_assert!(axis.ticks.windows(2).all(|two| two[0].label != two[1].label));
            }
        }
    }
}
