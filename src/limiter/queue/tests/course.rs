//! A course of events, played on the line and on the reference.

mod ending; // how it ends

use super::audit::Audit;
use super::driven::Driven;
use super::reference::Reference;
use super::steps::{Course, End, NewLimits, Patience, Size, Step, Who, declare, thousandths};
use super::tally::{Seen, Tally};
use super::*;

/// Plays a course to its end.
pub(super) fn play(course: &Course) -> TestCaseResult {
    let mut play = Play::new(course);
    for (index, step) in course.steps.iter().enumerate() {
        let played = play.step(step);
        played.map_err(|error| TestCaseError::fail(format!("step {index}: {error}")))?;
        play.tally.count(Seen::Step);
    }
    let ended = play.end();
    ended.map_err(|error| TestCaseError::fail(format!("at the end: {error}")))?;
    play.tally.hand_in();
    Ok(())
}

struct Play<'a> {
    course: &'a Course,
    limits: Limits,
    /// The period of the first quota, by which times are measured.
    tempo: u64,
    line: Driven,
    reference: Reference,
    audit: Audit,
    /// How many answers have been looked at.
    seen: usize,
    permits: Vec<Permit>,
    /// Places of permits that have ended.
    kept: Vec<u64>,
    tally: Tally,
}

/// A grant that has not ended.
struct Permit {
    place: u64,
    cost: Cost,
    in_flight: bool,
}

impl<'a> Play<'a> {
    fn new(course: &'a Course) -> Self {
        let limits = course.limits.clone();
        let first = limits.quotas().first();
        let tempo = first.map_or(Duration::from_secs(1), Quota::period);
        Self {
            course,
            tempo: u64::try_from(tempo.as_nanos()).unwrap(),
            line: Driven::new(&limits, course.rules),
            reference: Reference::new(&limits, course.rules),
            audit: Audit::new(&limits),
            limits,
            seen: 0,
            permits: Vec::new(),
            kept: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn step(&mut self, step: &Step) -> TestCaseResult {
        let now = self.line.now;
        match step {
            Step::UntilAlarm { after } => {
                let alarm = self.line.next_alarm().unwrap_or(now);
                self.run_until(alarm.saturating_add_signed(*after).max(now));
            }
            Step::Pass { thousandths, nanos } => {
                self.run_until(now + self.time(*thousandths) + nanos);
            }
            Step::Oversleep { thousandths } => {
                self.line.now += self.time(*thousandths);
                self.reference.now = self.line.now;
            }
            Step::Come {
                size,
                who,
                patience,
            } => {
                let asked = self.asked(*size, *who);
                let deadline = self.deadline(asked, *patience);
                self.come(asked, deadline, false)?;
            }
            Step::Try { size, who } => {
                let asked = self.asked(*size, *who);
                self.come(asked, None, true)?;
            }
            Step::End { nth, how } => self.end_permit(*nth, *how),
            Step::Pause { thousandths } => {
                let until = now + self.time(*thousandths);
                self.line
                    .change(|queue, now| queue.pause_until(Tick(until), now));
                self.reference.pause_until(until);
            }
            Step::Resume => {
                self.line.change(|queue, _| queue.resume());
                self.reference.resume();
            }
            Step::Leave { nth } => {
                if let Some(place) = pick(&self.reference.waiting, *nth).map(|one| one.place) {
                    self.leave(place);
                }
            }
            Step::SetLimits(_) | Step::SetLevel { .. } if self.course.is_steady => {}
            Step::SetLimits(new) => self.set_limits(new)?,
            Step::SetLevel { nth, thousandths } => self.set_level(*nth, *thousandths)?,
            Step::Look => self.look()?,
        }
        self.compare()
    }

    /// Thousandths of the tempo.
    fn time(&self, count: u64) -> u64 {
        thousandths(self.tempo, count)
    }

    fn cost(&self, Size([requests_and_input, tokens_and_output]): Size) -> Cost {
        let part = |unit: Unit, count: u64| {
            let quotas = self.limits.quotas().iter();
            let amounts = quotas.filter(|quota| quota.unit() == unit);
            let amount = amounts.map(Quota::amount).min();
            thousandths(amount.unwrap_or(10), count)
        };
        Cost {
            requests: part(Unit::Requests, requests_and_input),
            tokens: part(Unit::Tokens, tokens_and_output),
            input_tokens: part(Unit::InputTokens, requests_and_input),
            output_tokens: part(Unit::OutputTokens, tokens_and_output),
            custom: part(Unit::Custom("units"), requests_and_input),
        }
    }

    /// A place may be used again once, when its permit has ended.
    fn asked(&mut self, size: Size, who: Who) -> Asked {
        let kept = who.kept.filter(|_| !self.kept.is_empty());
        let place = kept.map(|nth| self.kept.swap_remove(nth % self.kept.len()));
        Asked {
            cost: self.cost(size),
            priority: who.priority,
            place,
        }
    }

    fn deadline(&self, asked: Asked, patience: Patience) -> Option<u64> {
        match patience {
            Patience::Endless => None,
            Patience::Thousandths(count) => Some(self.line.now + self.time(count)),
            Patience::JustAbout(nanos) => {
                let turn = self.reference.forecast(asked);
                (turn != u64::MAX).then(|| turn.saturating_add_signed(nanos))
            }
        }
    }

    fn run_until(&mut self, target: u64) {
        self.line.run_until(target);
        self.reference.run_until(target);
    }

    fn come(&mut self, asked: Asked, deadline: Option<u64>, only_tries: bool) -> TestCaseResult {
        let turn = self.line.queue.predict(asked, self.line.now());
        prop_assert_eq!(turn.0, self.reference.forecast(asked), "predicted");
        let coming = Coming {
            asked,
            deadline,
            asks_first: self.course.asks_first,
            only_tries,
            alarm_is_late: self.line.alarm_is_late(),
            is_over: deadline.is_some_and(|at| self.line.has_alarm_after(at)),
        };
        let outcome = self.line.come(coming);
        prop_assert_eq!(outcome, self.reference.come(coming), "{:?}", coming);
        // Those before it may have been answered on the way, and itself if it came too late.
        let begin = self.seen;
        self.compare()?;
        let is_reported = |place| {
            self.line.log[begin..]
                .iter()
                .any(|told| told.place == place)
        };
        match outcome {
            Outcome::Waits(place) if is_reported(place) => {}
            Outcome::Waits(place) => self.audit.joined(place, asked.priority),
            Outcome::Granted => self.tally.count(Seen::AtOnce),
            Outcome::WouldBlock => self.tally.count(Seen::WouldBlock),
            Outcome::Hopeless => self.tally.count(Seen::Hopeless),
            Outcome::QueueFull => self.tally.count(Seen::QueueFull),
            Outcome::TooLarge(..) => self.tally.count(Seen::TooLargeAtOnce),
            Outcome::Closed => {}
        }
        let is_again = asked.place.is_some() && matches!(outcome, Outcome::Waits(_));
        self.tally.add(Seen::AtKeptPlace, u64::from(is_again));
        Ok(())
    }

    fn end_permit(&mut self, nth: usize, how: End) {
        if self.permits.is_empty() {
            return;
        }
        let nth = nth % self.permits.len();
        let reserved = self.permits[nth].cost;
        let actual = match how {
            End::Drop => reserved,
            End::Settle(size) => self.cost(size),
            End::Refund | End::GiveBack => Cost::default(),
        };
        let lands = if let End::GiveBack = how {
            self.permits[nth].cost = actual;
            false
        } else {
            let permit = self.permits.remove(nth);
            self.kept.push(permit.place);
            permit.in_flight
        };
        if !lands && actual == reserved {
            return;
        }
        self.audit.settled(reserved, actual, self.line.now);
        let now = Tick(self.line.now);
        let place = lands.then_some((Landing::Unknown, now));
        if !self
            .line
            .queue
            .settle_freely(reserved, actual, place, || now)
        {
            self.line.change(|queue, now| {
                if lands {
                    queue.landed(Landing::Unknown, now, now);
                }
                queue.settle(reserved, actual, now);
            });
        }
        self.reference.settle(reserved, actual, lands);
    }

    fn leave(&mut self, place: u64) {
        self.line.leave(place);
        self.reference.leave(place);
    }

    fn set_limits(&mut self, new: &NewLimits) -> TestCaseResult {
        let mut quotas = self.limits.quotas().to_vec();
        self.limits = match new {
            NewLimits::Resize { nth, amount, burst } => {
                let count = quotas.len().max(1);
                if let Some(quota) = quotas.get_mut(nth % count) {
                    let amount = thousandths(quota.amount(), *amount).min(1 << 44);
                    let new = Quota::new(quota.unit(), amount, quota.period());
                    *quota = new.unwrap().with_burst(thousandths(amount, *burst));
                }
                declare(&quotas, self.limits.in_flight())
            }
            NewLimits::MostInFlight(most) => declare(&quotas, *most),
            NewLimits::Others(limits) => limits.clone(),
        };
        self.audit
            .limits_changed(self.limits.quotas(), self.line.now)?;
        let limits = &self.limits;
        self.line.change(|queue, now| queue.set_limits(limits, now));
        self.reference.set_limits(limits);
        Ok(())
    }

    fn set_level(&mut self, nth: usize, left: i64) -> TestCaseResult {
        let quotas = self.limits.quotas();
        self.audit.limits_changed(quotas, self.line.now)?;
        let Some(quota) = pick(quotas, nth) else {
            return Ok(());
        };
        let (unit, period) = (quota.unit(), quota.period());
        let left = i64::try_from(i128::from(quota.burst()) * i128::from(left) / 1_000).unwrap();
        let is_set = self
            .line
            .change(|queue, _| queue.set_level(unit, period, left));
        prop_assert_eq!(is_set, self.reference.set_level(unit, period, left));
        Ok(())
    }

    /// How it stands, as both say it.
    fn look(&mut self) -> TestCaseResult {
        let now = self.line.now();
        let snapshot = self.line.queue.snapshot(now);
        prop_assert_eq!(&snapshot, &self.reference.snapshot());
        let conserved = self.audit.conserves(&snapshot, now.0)?;
        self.tally.add(Seen::Conserved, conserved);
        let waiters = self.line.queue.waiters(now);
        prop_assert_eq!(waiters, self.reference.waiters());
        Ok(())
    }

    /// What has been answered since it was last looked at.
    fn compare(&mut self) -> TestCaseResult {
        prop_assert_eq!(self.line.now, self.reference.now);
        let (new, expected) = (
            &self.line.log[self.seen..],
            &self.reference.log[self.seen..],
        );
        prop_assert_eq!(new, expected, "the line's answers, and the reference's");
        self.seen = self.line.log.len();
        for told in new {
            self.audit.told(told)?;
            let oversize = |quota: &Quota| told.cost.amount(quota.unit()) > quota.burst();
            match &told.answer {
                Answer::Granted(grant) => {
                    self.permits.push(Permit {
                        place: told.place,
                        cost: told.cost,
                        in_flight: grant.in_flight > 0,
                    });
                    let is_oversize = self.limits.quotas().iter().any(oversize);
                    let is_batch = told.priority == Priority::Batch;
                    self.tally.count(Seen::Granted);
                    self.tally.add(Seen::Oversize, u64::from(is_oversize));
                    self.tally.add(Seen::Batch, u64::from(is_batch));
                    self.tally.add(Seen::Bypass, u64::from(told.overtaken));
                    self.tally.add(Seen::WithSlot, grant.in_flight);
                }
                Answer::TimedOut => self.tally.count(Seen::TimedOut),
                Answer::Cancelled => self.tally.count(Seen::Cancelled),
                Answer::TooLarge(_) => self.tally.count(Seen::TooLargeInLine),
                Answer::Failed(_) => self.tally.count(Seen::Closed),
            }
        }
        Ok(())
    }
}

/// The `nth` of some, around and around.
fn pick<T>(all: &[T], nth: usize) -> Option<&T> {
    all.get(nth % all.len().max(1))
}
