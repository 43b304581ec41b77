//! What is promised, looked for in the answers alone: by sums, and without the reference.

use std::collections::BTreeMap;

use super::*;

/// Takes note of what happens, and judges it.
pub(super) struct Audit {
    quotas: Vec<Quota>,
    /// What was taken or given back since the limits last changed.
    events: Vec<Taken>,
    sums: Vec<Sum>,
    waiting: BTreeMap<u64, Priority>,
    /// How many interactive requests were granted in a row while batch work waited.
    in_a_row: usize,
}

struct Taken {
    at: u64,
    cost: Cost,
    /// Whether it was settled, to this.
    settled: Option<Cost>,
}

impl Taken {
    fn amount(&self, unit: Unit) -> i128 {
        let had = i128::from(self.cost.amount(unit));
        match self.settled {
            Some(actual) => i128::from(actual.amount(unit)) - had,
            None => had,
        }
    }
}

/// What came in, less what went out, as if a bucket had no brim.
struct Sum {
    left: i128,
    at: u64,
    /// Whether it ever stood above the brim. If not, nothing was lost.
    overflowed: bool,
}

impl Sum {
    fn bring_up_to(&mut self, quota: &Quota, now: u64) {
        self.left += i128::from(quota.amount()) * i128::from(now - self.at);
        self.at = now;
        self.overflowed |= self.left > i128::from(quota.burst()) * nanos(quota);
    }

    fn take(&mut self, quota: &Quota, amount: i128, now: u64) {
        self.bring_up_to(quota, now);
        self.left -= amount * nanos(quota);
        self.bring_up_to(quota, now);
    }
}

fn nanos(quota: &Quota) -> i128 {
    i128::try_from(quota.period().as_nanos()).unwrap()
}

impl Audit {
    pub(super) fn new(limits: &Limits) -> Self {
        let quotas = limits.quotas().to_vec();
        let starts = quotas.iter().map(|quota| Sum {
            left: i128::from(quota.start()) * nanos(quota),
            at: 0,
            overflowed: false,
        });
        Self {
            sums: starts.collect(),
            quotas,
            events: Vec::new(),
            waiting: BTreeMap::new(),
            in_a_row: 0,
        }
    }

    pub(super) fn joined(&mut self, place: u64, priority: Priority) {
        self.waiting.insert(place, priority);
    }

    /// A waiter was answered. No waiter of one priority may be overtaken; and of any four grants in a
    /// row while batch work waits one is batch work's.
    pub(super) fn told(&mut self, told: &Told) -> TestCaseResult {
        let batch_waited = self.waits(Priority::Batch) || told.priority == Priority::Batch;
        self.waiting.remove(&told.place);
        if let Answer::Granted(grant) = &told.answer {
            prop_assert_eq!(grant.at, Tick(told.at), "granted at another time than told");
            if !told.overtaken {
                let mut ahead = self.waiting.range(..told.place);
                let overtaken = ahead.find(|(_, priority)| **priority == told.priority);
                prop_assert_eq!(overtaken, None, "overtaken by {}", told.place);
                self.in_a_row = match told.priority {
                    Priority::Interactive if batch_waited => self.in_a_row + 1,
                    _ => 0,
                };
                prop_assert!(self.in_a_row < 4, "batch work starves");
            }
            self.taken(Taken {
                at: told.at,
                cost: told.cost,
                settled: None,
            });
        }
        if !self.waits(Priority::Batch) {
            self.in_a_row = 0;
        }
        Ok(())
    }

    fn waits(&self, priority: Priority) -> bool {
        self.waiting.values().any(|waiting| *waiting == priority)
    }

    pub(super) fn settled(&mut self, reserved: Cost, actual: Cost, now: u64) {
        self.taken(Taken {
            at: now,
            cost: reserved,
            settled: Some(actual),
        });
    }

    fn taken(&mut self, taken: Taken) {
        for (sum, quota) in self.sums.iter_mut().zip(&self.quotas) {
            sum.take(quota, taken.amount(quota.unit()), taken.at);
        }
        self.events.push(taken);
    }

    /// Where nothing can have overflowed, what is left is what stood there at first and came in,
    /// less what was granted, to the last unit. Returns of how many quotas that could be said.
    pub(super) fn conserves(
        &mut self,
        snapshot: &Snapshot,
        now: u64,
    ) -> Result<u64, TestCaseError> {
        let mut seen = 0;
        for (index, (sum, quota)) in self.sums.iter_mut().zip(&self.quotas).enumerate() {
            sum.bring_up_to(quota, now);
            let (left, level) = (
                sum.left.div_euclid(nanos(quota)),
                snapshot.quotas[index].level,
            );
            prop_assert!(i128::from(level) <= left, "of {}: made up", quota);
            prop_assert!(
                sum.overflowed || i128::from(level) == left,
                "of {}: lost",
                quota
            );
            seen += u64::from(!sum.overflowed);
        }
        Ok(seen)
    }

    /// Sums up every window that begins with one event and ends with a grant. It may hold the
    /// burst and what came in within it; if it ends with a cost above the burst, that takes the
    /// burst's place.
    pub(super) fn conforms(&self) -> TestCaseResult {
        for quota in &self.quotas {
            let amounts = self.events.iter().map(|event| event.amount(quota.unit()));
            let amounts: Vec<i128> = amounts.collect();
            let (rate, scale) = (i128::from(quota.amount()), nanos(quota));
            for (last, end) in self.events.iter().enumerate() {
                if end.settled.is_some() {
                    continue;
                }
                let most = amounts[last].max(i128::from(quota.burst())) * scale;
                let mut sum = 0;
                for (first, begin) in self.events.iter().enumerate().take(last + 1).rev() {
                    sum += amounts[first] * scale;
                    let bound = most + rate * i128::from(end.at - begin.at);
                    prop_assert!(sum <= bound, "{} in {} to {}", quota, begin.at, end.at);
                }
            }
        }
        Ok(())
    }

    /// Other limits hold, or a level was set. What was taken under the former is judged, and from
    /// now on what remains in the buckets is not known.
    pub(super) fn limits_changed(&mut self, limits: &[Quota], now: u64) -> TestCaseResult {
        self.conforms()?;
        self.quotas = limits.to_vec();
        self.events.clear();
        let unknown = |_: &Quota| Sum {
            left: i128::MAX / 2,
            at: now,
            overflowed: true,
        };
        self.sums = limits.iter().map(unknown).collect();
        Ok(())
    }
}
