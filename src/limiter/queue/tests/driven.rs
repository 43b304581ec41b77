//! The line itself, driven as its lock and its alarm clock drive it.

use super::*;

/// A queue, the time, and the alarms that are set. Only an alarm that rings or a new request looks at
/// the queue, so an alarm that is lost shows.
pub(super) struct Driven {
    pub(super) now: u64,
    pub(super) queue: WaitQueue,
    alarms: BTreeSet<u64>,
    tokens: Vec<(u64, CancelToken)>,
    pub(super) log: Vec<Told>,
}

impl Driven {
    pub(super) fn new(limits: &Limits, rules: Rules) -> Self {
        Self {
            now: 0,
            queue: WaitQueue::new(limits, rules, Tick(0)),
            alarms: BTreeSet::new(),
            tokens: Vec::new(),
            log: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> Tick {
        Tick(self.now)
    }

    /// As an acquire does it, with nothing in between.
    pub(super) fn come(&mut self, coming: Coming) -> Outcome {
        let (asked, now) = (coming.asked, self.now());
        let (overtaken, due) = (self.queue.counters.overtaken, self.head_due());
        let freely = self.queue.take_freely(asked.cost, asked.place, now);
        let is_free = freely.is_some();
        let taken = match freely {
            Some(grant) => Ok(Some(grant)),
            None => self.queue.take_at_once(asked, now),
        };
        self.hand_over();
        let taken = match taken {
            Ok(taken) => taken,
            Err(error) => return Outcome::from(error),
        };
        if let Some(grant) = taken {
            let overtaken = self.queue.counters.overtaken > overtaken;
            if overtaken && !coming.alarm_is_late {
                assert_eq!(self.head_due(), due, "the head was put off");
            }
            self.log.push(Told {
                place: grant.place,
                cost: asked.cost,
                priority: asked.priority,
                answer: Answer::Granted(grant),
                at: self.now,
                overtaken,
            });
            if !is_free {
                self.queue.serve(now);
                self.hand_over();
                self.set_alarm();
            }
            return Outcome::Granted;
        }
        if coming.only_tries {
            return Outcome::WouldBlock;
        }
        let deadline = coming.deadline.map(Tick);
        let asks = deadline.filter(|_| coming.asks_first);
        if asks.is_some_and(|deadline| self.queue.predict(asked, now) > deadline) {
            self.queue.reject();
            return Outcome::Hopeless;
        }
        let token = CancelToken::new();
        let joined = self.queue.join(asked, deadline, Some(token.clone()), now);
        match joined {
            Ok(waiter) => {
                self.tokens.push((waiter.place, token));
                self.set_alarm();
                Outcome::Waits(waiter.place)
            }
            Err(error) => Outcome::from(error),
        }
    }

    /// Does something that can bring a turn nearer.
    pub(super) fn change<T>(&mut self, change: impl FnOnce(&mut WaitQueue, Tick) -> T) -> T {
        let now = self.now();
        self.queue.bring_up_to(now);
        let result = change(&mut self.queue, now);
        self.queue.serve(now);
        self.hand_over();
        self.set_alarm();
        result
    }

    pub(super) fn leave(&mut self, place: u64) {
        let token = self.tokens.iter().rfind(|(of, _)| *of == place);
        token.unwrap().1.cancel();
        self.change(|queue, _| queue.release_cancelled());
    }

    /// Lets time pass, and each alarm ring when it is due.
    pub(super) fn run_until(&mut self, target: u64) {
        while let Some(alarm) = self.next_alarm().filter(|alarm| *alarm <= target) {
            self.alarms.remove(&alarm);
            self.now = self.now.max(alarm);
            self.queue.alarm_rang(Tick(alarm));
            self.queue.serve(self.now());
            self.hand_over();
            self.set_alarm();
        }
        self.now = self.now.max(target);
    }

    pub(super) fn next_alarm(&self) -> Option<u64> {
        self.alarms.first().copied()
    }

    fn head_due(&self) -> Option<(u64, Tick)> {
        let head = self.queue.priorities.head()?;
        Some((head.place, self.queue.due(head.asked.cost)))
    }

    pub(super) fn alarm_is_late(&self) -> bool {
        self.queue.alarm.is_some_and(|alarm| alarm.0 <= self.now)
    }

    pub(super) fn has_alarm_after(&self, deadline: u64) -> bool {
        self.queue.alarm.is_some_and(|alarm| alarm.0 > deadline)
    }

    fn set_alarm(&mut self) {
        while let Some(alarm) = self.queue.alarm_needed() {
            if alarm.0 > self.now {
                self.alarms.insert(alarm.0);
                break;
            }
            // Its time is over already.
            let told = self.log.len();
            self.queue.alarm_rang(alarm);
            self.queue.serve(self.now());
            self.hand_over();
            assert!(
                self.log.len() > told,
                "an alarm for nobody, again and again"
            );
        }
    }

    /// Records the answered waiters.
    fn hand_over(&mut self) {
        let Some(answered) = self.queue.take_answered() else {
            return;
        };
        let at = self.now;
        self.log
            .extend(answered.iter().map(|(waiter, answer)| Told {
                place: waiter.place,
                cost: waiter.asked.cost,
                priority: waiter.asked.priority,
                answer: answer.clone(),
                at,
                overtaken: false,
            }));
    }
}
