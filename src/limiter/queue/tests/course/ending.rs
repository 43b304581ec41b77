//! How a course ends.

use super::*;

impl Play<'_> {
    /// All waiters are answered in the end.
    pub(super) fn end(&mut self) -> TestCaseResult {
        self.run_until(self.line.now);
        self.compare()?;
        if self.course.ends_closed {
            self.line.change(|queue, _| queue.close());
            self.reference.close();
            self.compare()?;
            self.come(self.newcomer(), None, false)?;
        } else if self.limits.in_flight().is_none() {
            self.turns_come_as_foreseen()?;
        } else {
            self.land_all()?;
        }
        self.look()?;
        self.audit.conforms()
    }

    fn newcomer(&self) -> Asked {
        let is_batch = self.course.steps.len().is_multiple_of(3);
        Asked {
            cost: self.cost(Size([150, 150])),
            priority: match is_batch {
                true => Priority::Batch,
                false => Priority::Interactive,
            },
            place: None,
        }
    }

    /// If no other waiter comes or goes, each turn comes at the nanosecond that was predicted.
    fn turns_come_as_foreseen(&mut self) -> TestCaseResult {
        self.come(self.newcomer(), None, false)?;
        let now = self.line.now();
        // A waiter that would give up before its turn goes now: that could bring another's turn nearer.
        let gives_up = |one: &Waiter| {
            one.deadline
                .is_some_and(|at| one.due.is_none_or(|due| at < due))
        };
        while let Some(nth) = self.line.queue.waiters(now).iter().position(gives_up) {
            let place = self
                .line
                .queue
                .priorities
                .in_order()
                .nth(nth)
                .unwrap()
                .place;
            self.leave(place);
            self.compare()?;
        }
        let waiters = self.line.queue.waiters(now);
        let places = self
            .line
            .queue
            .priorities
            .in_order()
            .map(|waiter| waiter.place);
        let dues = waiters.iter().map(|waiter| waiter.due);
        let turns = places
            .zip(dues)
            .filter_map(|(place, due)| Some((place, now.after(due?))));
        let turns: Vec<(u64, Tick)> = turns.collect();
        let begin = self.seen;
        if let Some((_, last)) = turns.last() {
            self.run_until(last.0);
            self.compare()?;
        }
        let came = self.line.log[begin..]
            .iter()
            .map(|told| match &told.answer {
                Answer::Granted(grant) => (told.place, grant.at),
                other => panic!("{other:?}"),
            });
        prop_assert_eq!(came.collect::<Vec<_>>(), &turns[..], "came, and foreseen");
        self.tally.add(Seen::Foreseen, turns.len() as u64);
        Ok(())
    }

    /// As permits end, their places go to the waiters, until there are none.
    fn land_all(&mut self) -> TestCaseResult {
        while !self.reference.waiting.is_empty() {
            for _ in 0..self.permits.len() {
                self.end_permit(0, End::Drop);
            }
            self.compare()?;
            let turns = self.reference.turns();
            let next = turns.first().map_or(u64::MAX, |(_, turn)| *turn);
            if next == u64::MAX {
                break;
            }
            self.run_until(next);
            self.compare()?;
        }
        Ok(())
    }
}
