//! The second opinion: from the list of admissions alone, was any window too full?

use std::time::Duration;

const MINUTE: u128 = 60_000_000_000;

/// One admitted request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admission {
    /// Nanoseconds since the simulator started.
    pub(super) at: u64,
    pub(super) tokens: u64,
}

/// The window that is fuller than its limit allows by most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Excess {
    /// Above burst + rate · T, rounded up.
    pub(super) amount: u64,
    pub(super) from: Duration,
    pub(super) until: Duration,
}

/// Looks at every window that begins and ends with an admission, for the one that is above
/// burst + rate · T by most. None when none is above.
///
/// The ledger simulates a leak; this does not. With P the amount up to and including an
/// admission, window i..j holds P(j) − P(i − 1), so its excess is
/// [P(j) − rate · t(j)] − [P(i − 1) − rate · t(i)] − burst, and one pass that remembers the
/// smallest second bracket finds the largest.
pub(super) fn largest_excess(
    limit: u64,
    burst: Duration,
    charges: impl Iterator<Item = (u64, u64)> + Clone,
) -> Option<Excess> {
    let largest = charges.clone().map(|(_, charge)| charge).max()?;
    let burst = burst.as_nanos().min(u128::from(u64::MAX));
    let capacity = (u128::from(limit) * burst / MINUTE).max(1);
    // A charge above the capacity is let in when nothing is used, and then stands in its place.
    let capacity = capacity.max(u128::from(largest));

    let leaked = |at: u64| signed(u128::from(limit).saturating_mul(u128::from(at)));
    let mut sum: i128 = 0;
    let mut lowest: Option<(i128, u64)> = None;
    let mut worst: Option<(i128, u64, u64)> = None;
    for (at, charge) in charges {
        let before = sum.saturating_sub(leaked(at));
        if lowest.is_none_or(|(value, _)| before < value) {
            lowest = Some((before, at));
        }
        sum = sum.saturating_add(signed(u128::from(charge) * MINUTE));
        let after = sum.saturating_sub(leaked(at));
        let (value, from) = lowest.unwrap_or((before, at));
        let excess = after.saturating_sub(value);
        if worst.is_none_or(|(most, ..)| excess > most) {
            worst = Some((excess, from, at));
        }
    }
    let (excess, from, until) = worst?;
    let allowed = signed(capacity.saturating_mul(MINUTE));
    let over = u128::try_from(excess.saturating_sub(allowed)).unwrap_or(0);
    (over > 0).then(|| Excess {
        amount: u64::try_from(over.div_ceil(MINUTE)).unwrap_or(u64::MAX),
        from: Duration::from_nanos(from),
        until: Duration::from_nanos(until),
    })
}

fn signed(value: u128) -> i128 {
    i128::try_from(value).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn excess(limit: u64, burst: u64, charges: &[(u64, u64)]) -> Option<u64> {
        let burst = Duration::from_secs(burst);
        largest_excess(limit, burst, charges.iter().copied()).map(|it| it.amount)
    }

    #[test]
    fn windows_are_judged_by_hand_made_examples() {
        // limit a minute, burst in seconds, (seconds, charge)…, the largest excess
        let table: [(_, _, &[(u64, u64)], _); 9] = [
            (60, 60, &[], None),
            (60, 60, &[(0, 60)], None),
            (60, 60, &[(0, 60), (0, 1)], Some(1)),
            (60, 60, &[(0, 60), (1, 1)], None),
            (60, 60, &[(0, 60), (1, 2)], Some(1)),
            (60, 1, &[(0, 1), (1, 1), (2, 1)], None),
            (60, 1, &[(0, 1), (1, 1), (1, 1)], Some(1)),
            // A long quiet time earns nothing beyond the burst.
            (60, 10, &[(0, 1), (1_000, 10), (1_000, 5)], Some(5)),
            // 30 is above the burst of 10 and takes its place; the debt is 30 s long.
            (60, 10, &[(0, 30), (29, 10), (29, 20)], Some(1)),
        ];
        for (step, (limit, burst, charges, expected)) in table.into_iter().enumerate() {
            let charges: Vec<_> = charges.iter().map(|(at, n)| (at * SECOND, *n)).collect();
            assert_eq!(excess(limit, burst, &charges), expected, "step {step}");
        }
    }

    #[test]
    fn a_nanosecond_too_early_is_found_and_rounded_up() {
        assert_eq!(excess(60, 60, &[(0, 60), (SECOND - 1, 1)]), Some(1));
        assert_eq!(excess(60, 60, &[(0, 60), (SECOND, 1)]), None);
    }

    #[test]
    fn the_window_is_named() {
        let charges = [(0, 1), (5 * SECOND, 60), (6 * SECOND, 9)];
        let found = largest_excess(60, Duration::from_secs(60), charges.into_iter());
        let found = found.unwrap();
        assert_eq!(found.from, Duration::from_secs(5));
        assert_eq!(found.until, Duration::from_secs(6));
        assert_eq!(found.amount, 8);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let charges = [(0, u64::MAX), (u64::MAX, u64::MAX)];
        largest_excess(u64::MAX, Duration::MAX, charges.into_iter());
        largest_excess(0, Duration::ZERO, charges.into_iter());
    }
}
