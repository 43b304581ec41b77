//! How many tokens answers take, from those that were seen: a high quantile of the last ones. Pure:
//! no lock, clock or chance.
//!
//! The last [`WINDOW`] sizes are kept as they are, so the quantile of them is exact, and what is
//! older is forgotten. It is an order statistic. The next of `n + 1` sizes that could have come in
//! any order is above the `k`-th smallest of the others with a probability of at most
//! `1 − k / (n + 1)`, whatever they are like (H. A. David and H. N. Nagaraja, *Order Statistics*), so
//! the rank is `⌈quantile · (n + 1)⌉`, and as long as that is above `n` too few were seen to say
//! anything.
//!
//! Two things are added to it. No less than the mean is reserved, or a few long answers among many
//! short ones would be debt for good. And the quantile of 256 sizes is slow to see that answers get
//! longer, so the last [`LATEST`] count by themselves: when more of them are above what is reserved
//! than chance explains, the reserve rises to those at once.

use std::collections::VecDeque;

/// Sizes that are kept.
const WINDOW: usize = 256;
/// Those of them that raise the reserve by themselves.
const LATEST: usize = 16;
/// How many of those may be above the quantile, beyond the expected number. With three beyond,
/// sizes that do not change raise the reserve by chance in less than two of a hundred
/// steps at 0.9, and in one of a hundred at 0.95.
const MARGIN: usize = 3;
/// Quantiles are held in thousandths.
const WHOLE: u64 = 1_000;
/// The smallest and the largest quantile, in thousandths. A larger one would not differ from the
/// largest size that is kept.
const QUANTILES: (u64, u64) = (500, 990);

/// A share of answers that are to fit into what is reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantile(u64);

impl Quantile {
    /// Taken to the thousandth. None below 0.5 or above 0.99, and for no number.
    pub(crate) fn new(share: f64) -> Option<Self> {
        let thousandths = (share * WHOLE as f64).round();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "NaN becomes 0, which is refused like everything outside the range"
        )]
        let thousandths = thousandths as u64;
        let (least, most) = QUANTILES;
        (least..=most)
            .contains(&thousandths)
            .then_some(Self(thousandths))
    }

    /// Which of `n` sizes it is, counted from the smallest, which is 1. None when `n` are too few.
    fn rank(self, n: usize) -> Option<usize> {
        let places = (n as u64).saturating_add(1);
        let rank = self.0.saturating_mul(places).div_ceil(WHOLE);
        usize::try_from(rank).ok().filter(|rank| *rank <= n)
    }

    /// How many of the latest have to be above a reserve to raise it.
    fn too_many(self) -> usize {
        let expected = WHOLE.saturating_sub(self.0) * LATEST as u64 / WHOLE;
        usize::try_from(expected).unwrap_or(LATEST) + 1 + MARGIN
    }
}

/// The sizes of the last answers to requests of one kind, in tokens, and what they teach.
///
/// One takes 4 KiB, however many answers it has seen. Adding an answer costs a search and a move within that.
#[derive(Debug, Clone)]
pub(crate) struct OutputSizes {
    quantile: Quantile,
    /// The oldest first.
    recent: VecDeque<u64>,
    /// The same, the smallest first.
    sorted: Vec<u64>,
    sum: u128,
}

impl OutputSizes {
    pub(crate) fn new(quantile: Quantile) -> Self {
        Self {
            quantile,
            recent: VecDeque::new(),
            sorted: Vec::new(),
            sum: 0,
        }
    }

    /// Adds the size of an answer, in tokens. An answer that was cut at its cap might have been of
    /// any size: the caller passes the largest.
    pub(crate) fn answered(&mut self, tokens: u64) {
        if self.recent.len() >= WINDOW
            && let Some(oldest) = self.recent.pop_front()
        {
            let at = self.sorted.partition_point(|size| *size < oldest);
            if at < self.sorted.len() {
                self.sorted.remove(at);
            }
            self.sum = self.sum.saturating_sub(oldest.into());
        }
        self.recent.push_back(tokens);
        let at = self.sorted.partition_point(|size| *size < tokens);
        self.sorted.insert(at, tokens);
        self.sum = self.sum.saturating_add(tokens.into());
    }

    /// What to reserve for the next answer. None as long as too few were seen: 19 for a quantile of
    /// 0.95, 9 for 0.9, 99 for 0.99.
    pub(crate) fn reserve(&self) -> Option<u64> {
        let rank = self.quantile.rank(self.sorted.len())?;
        let usual = self.sorted.get(rank.checked_sub(1)?).copied()?;
        Some(usual.max(self.mean()).max(self.latest()))
    }

    /// Rounded up.
    fn mean(&self) -> u64 {
        let count = (self.sorted.len() as u128).max(1);
        u64::try_from(self.sum.div_ceil(count)).unwrap_or(u64::MAX)
    }

    /// The largest reserve that too many of the latest are not below. 0 when there are too few.
    fn latest(&self) -> u64 {
        let mut latest: Vec<u64> = self.recent.iter().rev().take(LATEST).copied().collect();
        latest.sort_unstable_by(|one, other| other.cmp(one));
        let at = self.quantile.too_many().saturating_sub(1);
        latest.get(at).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizes(quantile: f64, told: impl IntoIterator<Item = u64>) -> OutputSizes {
        let mut sizes = OutputSizes::new(Quantile::new(quantile).unwrap());
        told.into_iter().for_each(|tokens| sizes.answered(tokens));
        sizes
    }

    #[test]
    fn quantiles_have_bounds_and_are_taken_to_the_thousandth() {
        let table = [
            (0.5, Some(500)),
            (0.95, Some(950)),
            (0.99, Some(990)),
            (0.9504, Some(950)),
            (0.494, None),
            (0.991, None),
            (1.0, None),
            (0.0, None),
            (-0.95, None),
            (95.0, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
            (f64::NEG_INFINITY, None),
        ];
        for (step, (share, expected)) in table.into_iter().enumerate() {
            let found = Quantile::new(share).map(|quantile| quantile.0);
            assert_eq!(found, expected, "step {step}: {share}");
        }
    }

    #[test]
    fn nothing_is_said_until_enough_were_seen() {
        for (step, (quantile, enough)) in [(0.5, 1), (0.9, 9), (0.95, 19), (0.99, 99)]
            .into_iter()
            .enumerate()
        {
            let mut sizes = sizes(quantile, std::iter::repeat_n(7, enough - 1));
            assert_eq!(sizes.reserve(), None, "step {step}: {quantile}");
            sizes.answered(7);
            assert_eq!(sizes.reserve(), Some(7), "step {step}: {quantile}");
        }
    }

    #[test]
    fn what_is_reserved_follows_what_was_seen() {
        let steady = |size: u64, times: usize| std::iter::repeat_n(size, times);
        // the sizes of answers, the reserve at 0.95
        let table: [(&str, Vec<u64>, u64); 8] = [
            ("a ramp", (1..=100).collect(), 97), // the 4th of the last 16; the 96th is 96
            ("the mean", (1..=100).rev().collect(), 96),
            (
                "one in 64 is long, which is 63 on average",
                (0..256)
                    .map(|n| if n % 64 == 1 { 4_000 } else { 0 })
                    .collect(),
                63,
            ),
            (
                "three of the last are longer",
                steady(80, 253).chain(steady(800, 3)).collect(),
                89, // the mean
            ),
            (
                "four of the last are longer",
                steady(80, 252).chain(steady(800, 4)).collect(),
                800,
            ),
            (
                "they are shorter, and a twentieth of the window was not",
                steady(800, 256).chain(steady(80, 244)).collect(),
                800,
            ),
            (
                "they are shorter",
                steady(800, 256).chain(steady(80, 245)).collect(),
                111, // the mean: 11 of the others are still there
            ),
            (
                "what is older is forgotten",
                steady(u64::MAX, 300).chain(steady(1, 256)).collect(),
                1,
            ),
        ];
        for (step, (name, told, expected)) in table.into_iter().enumerate() {
            let found = sizes(0.95, told).reserve();
            assert_eq!(found, Some(expected), "step {step}: {name}");
        }
    }

    proptest! {
        /// Against the definition, each part one expression over a plain list.
        #[test]
        fn the_quantile_is_that_of_a_plain_list(
            quantile in prop::sample::select(vec![0.5, 0.9, 0.95, 0.99]),
            told in prop::collection::vec(
                prop_oneof![0..50_u64, 0..100_000_u64, Just(u64::MAX)], 0..600,
            ),
        ) {
            let sizes = sizes(quantile, told.iter().copied());
            let recent = &told[told.len().saturating_sub(WINDOW)..];
            let mut list = recent.to_vec();
            list.sort_unstable();
            let n = list.len();
            // Enough of them are at most as large, and with one less it would not be enough.
            let parts = Quantile::new(quantile).unwrap().0;
            let is_enough = |rank: usize| rank as u64 * 1_000 >= parts * (n as u64 + 1);
            let rank = (1..=n).find(|rank| is_enough(*rank));
            let Some(rank) = rank else {
                prop_assert_eq!(sizes.reserve(), None);
                return Ok(());
            };
            let usual = list[rank - 1];
            let sum: u128 = recent.iter().map(|size| u128::from(*size)).sum();
            let mean = u64::try_from(sum.div_ceil(n as u128)).unwrap();
            let latest = &recent[n.saturating_sub(LATEST)..];
            let too_many = Quantile::new(quantile).unwrap().too_many();
            let reserve = sizes.reserve().unwrap();
            let above = |than: u64| latest.iter().filter(|size| **size > than).count();
            prop_assert!(reserve >= usual.max(mean));
            prop_assert!(above(reserve) < too_many, "{} of {latest:?}", above(reserve));
            // And no more than any of the three asks for.
            let is_needed = reserve == usual
                || reserve == mean
                || above(reserve - 1) >= too_many;
            prop_assert!(is_needed, "{reserve}: {usual}, {mean}, {latest:?}");
            prop_assert_eq!(sizes.recent.len(), n);
            prop_assert_eq!(sizes.sum, sum);
        }

        /// Longer answers never lower what is reserved, and it is never above all that were seen.
        #[test]
        fn longer_answers_reserve_no_less(
            told in prop::collection::vec((0..10_000_u64, 0..10_000_u64), 1..400),
            quantile in 0.5..0.99_f64,
        ) {
            let less = sizes(quantile, told.iter().map(|(size, _)| *size));
            let more = sizes(quantile, told.iter().map(|(size, longer)| size + longer));
            prop_assert!(more.reserve() >= less.reserve());
            let seen = told.iter().rev().take(WINDOW);
            prop_assert!(less.reserve() <= seen.map(|(size, _)| *size).max());
        }

    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Of sizes that keep their kind, no more are above the reserve than was asked for.
        #[test]
        fn the_share_that_is_above_is_what_was_asked_for(
            seed in any::<u64>(),
            quantile in prop::sample::select(vec![0.8, 0.9, 0.95, 0.99]),
        ) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut sizes = sizes(quantile, []);
            let (mut judged, mut above) = (0.0, 0.0);
            for _ in 0..20_000 {
                // A long tail: from 1 to a million.
                let size = (1 << 20) / random.u64(1..=1 << 20);
                if let Some(reserve) = sizes.reserve() {
                    judged += 1.0;
                    above += f64::from(u8::from(size > reserve));
                }
                sizes.answered(size);
            }
            // Five deviations of the count, widened for a window that is shared by 256 of them.
            let share = 1.0 - quantile;
            let most = share * judged + 10.0 * (share * judged).sqrt();
            prop_assert!(above <= most, "{above} of {judged} above {quantile}");
        }
    }
}
