//! One quota by its definition: no bucket, but the list of all that was ever taken.

use super::*;

/// A limit, and everything that was taken from it or given back.
///
/// Amounts are multiplied by the period in nanoseconds, so that what comes in within a nanosecond
/// is a whole number: the quota's amount.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    pub(super) quota: Quota,
    amount: i128,
    period: i128,
    burst: i128,
    /// When, and how much: negative was given back.
    taken: Vec<(u64, i128)>,
}

impl Windows {
    /// What is missing at first counts as taken.
    pub(super) fn starting(quota: Quota, now: u64) -> Self {
        let missing = i128::from(quota.burst()) - i128::from(quota.start());
        let period = i128::try_from(quota.period().as_nanos()).unwrap();
        Self::used(quota, missing * period, now)
    }

    /// With so much taken, to scale, and nothing else known.
    fn used(quota: Quota, used: i128, now: u64) -> Self {
        let period = i128::try_from(quota.period().as_nanos()).unwrap();
        Self {
            quota,
            amount: i128::from(quota.amount()),
            period,
            burst: i128::from(quota.burst()) * period,
            taken: vec![(now, used)],
        }
    }

    pub(super) fn is_of(&self, unit: Unit, period: Duration) -> bool {
        (self.quota.unit(), self.quota.period()) == (unit, period)
    }

    /// Other limits for what was taken here, to the scale of their period rounded up.
    pub(super) fn resized(&self, quota: Quota, now: u64) -> Self {
        let period = i128::try_from(quota.period().as_nanos()).unwrap();
        let used = (self.burst - self.left_to_scale(now)) * period;
        let used = (used + self.period - 1).div_euclid(self.period);
        Self::used(quota, used, now)
    }

    /// With what it has taken above its burst forgotten.
    pub(super) fn forgiven(self, now: u64) -> Self {
        let used = self.burst - self.left_to_scale(now).max(0);
        Self::used(self.quota, used, now)
    }

    /// Forgets what was taken, and takes it that so much is left.
    pub(super) fn set_left(&mut self, left: i64, now: u64) {
        let left = (i128::from(left) * self.period).min(self.burst);
        self.taken = vec![(now, self.burst - left)];
    }

    pub(super) fn record(&mut self, now: u64, units: i128) {
        if units != 0 {
            self.taken.push((now, units * self.period));
        }
    }

    /// Over all windows up to now the largest of
    ///
    /// ```text
    /// taken in it + amount · its beginning
    /// ```
    ///
    /// A window that ends at `t` may have taken no more than the burst and what came in, which is
    /// `amount · (t − its beginning)`. So none is over the limit at `t`, if this is no more than
    /// `burst + amount · t`.
    fn heaviest(&self) -> i128 {
        let mut taken = 0;
        let mut heaviest = i128::MIN;
        for (time, units) in self.taken.iter().rev() {
            let begins = self.amount * i128::from(*time);
            // One that begins right after this event, and one that begins with it.
            heaviest = heaviest.max(taken + begins);
            taken += units;
            heaviest = heaviest.max(taken + begins);
        }
        heaviest
    }

    /// The first time from `now` on at which `wanted` more would keep every window within the
    /// limit. One above the burst is treated as the burst.
    pub(super) fn first_fit(&self, now: u64, wanted: u64) -> u64 {
        let wanted = (i128::from(wanted) * self.period).min(self.burst);
        let over = (self.heaviest() + wanted - self.burst).max(0);
        let fit = (over + self.amount - 1) / self.amount;
        u64::try_from(fit).map_or(u64::MAX, |fit| fit.max(now))
    }

    fn left_to_scale(&self, now: u64) -> i128 {
        let came_in = self.amount * i128::from(now);
        self.burst - (self.heaviest() - came_in).max(0)
    }

    /// The most that would pass now, in whole units.
    pub(super) fn left(&self, now: u64) -> i64 {
        i64::try_from(self.left_to_scale(now).div_euclid(self.period)).unwrap()
    }
}

#[test]
fn windows_hold_the_burst_and_what_comes_in_and_no_more() {
    // Ten a second, so one in a tenth of it, and five at once.
    let tenth = 100_000_000;
    let quota = Quota::per_second(Unit::Tokens, 10).unwrap().with_burst(5);
    let mut windows = Windows::starting(quota.with_initial(3), 0);
    // when, what is taken then, and when one, five and nine more would fit after that
    let table = [
        (0, 3, [1, 5, 5]),
        (2, 2, [3, 7, 7]),
        (7, 9, [12, 16, 16]), // above the burst, so it leaves a debt
        (8, -4, [8, 12, 12]),
        (30, -1, [30, 30, 30]), // nothing stands above the brim
    ];
    for (step, (time, taken, fits)) in table.into_iter().enumerate() {
        let now = time * tenth;
        windows.record(now, taken);
        let found = [1, 5, 9].map(|wanted| windows.first_fit(now, wanted));
        assert_eq!(found, fits.map(|fit| fit * tenth), "step {step}");
    }
}
