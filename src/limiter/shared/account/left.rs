//! What the answers to this process's requests say is left, on its way to the store.
//!
//! An answer speaks of the moment at which its request was let in. So each grant takes along what the
//! store had counted by then, and the store reckons with what it has counted since.

use std::time::Duration;

use super::super::super::hearing::{Spent, period};
use super::super::super::level::Tick;
use super::super::visit::Left;
use super::{Account, count};
use crate::feedback::{Report, Scope};
use crate::quota::Quota;

impl Account {
    /// What the store has counted, as a request leaves: what is used of its bookings, and what moved
    /// its levels besides as far as is known, with what this process has yet to tell. `None` where
    /// nobody listens, or what is granted is of a store that counts anew.
    pub(in crate::limiter) fn counted(&self) -> Option<Box<Spent>> {
        self.jitter?;
        let mut counted = self.lots.used()?;
        for (counted, moved) in counted.iter_mut().zip(self.moved) {
            *counted = counted.saturating_add(moved);
        }
        for told in self.unheard.iter().chain([&self.pending]) {
            count(&mut counted, told.taken, 1);
            count(&mut counted, told.given, -1);
        }
        Some(Box::new(Spent::of(counted)))
    }

    /// Hears what is left, from the answer to a request that left `at`: of each quota the newest word
    /// is told with the next visit.
    pub(in crate::limiter) fn hear_left(&mut self, at: Tick, counted: Spent, reports: &[Report]) {
        if at <= self.counted_since {
            return;
        }
        for report in reports {
            let Some(left) = self.word(at, counted, report) else {
                continue;
            };
            let same = |other: &&mut Left| (other.unit, other.period) == (left.unit, left.period);
            match self.pending.left.iter_mut().find(same) {
                Some(other) if other.at <= at => *other = left,
                Some(_) => {}
                None => self.pending.left.push(left),
            }
        }
    }

    fn word(&self, at: Tick, counted: Spent, report: &Report) -> Option<Left> {
        let quota = spoken_of(&self.quotas, report)?;
        // The server's bucket is larger than ours by this, which is never ours.
        let margin = quota.amount_in(self.jitter?).saturating_add(1);
        let margin = margin.min(quota.burst()).cast_signed();
        let units = i64::try_from(report.remaining?).unwrap_or(i64::MAX);
        Some(Left {
            unit: quota.unit(),
            period: quota.period(),
            units: units.saturating_sub(margin),
            counted: counted.amount(quota.unit()),
            at,
            is_whole: report.limit == Some(quota.amount()),
        })
    }

    /// When the store has to be visited for that alone.
    pub(super) fn left_wish(&mut self, now: Tick) -> Option<Tick> {
        (!self.pending.left.is_empty()).then(|| {
            let since = *self.left_since.get_or_insert(now);
            since.after(self.horizon)
        })
    }

    /// The store has another memory: what grants until now take along means nothing there.
    pub(super) fn count_anew(&mut self, now: Tick) {
        self.counted_since = self.dated.max(now);
        self.lots.count_anew();
        self.pending.left.clear();
    }
}

/// The quota that a report speaks of, if that is beyond doubt: a limit a day stands in the same headers
/// as one a minute.
fn spoken_of(quotas: &[Quota], report: &Report) -> Option<Quota> {
    let seen: Option<Duration> = period(report);
    let is_meant = |quota: &&Quota| match seen {
        Some(period) => quota.period() == period,
        None => report.limit == Some(quota.amount()),
    };
    let of_unit = |quota: &&Quota| report.scope == Scope::Account && quota.unit() == report.unit;
    let mut meant = quotas.iter().filter(of_unit).filter(is_meant);
    let quota = *meant.next()?;
    meant.next().is_none().then_some(quota)
}
