//! The same run by many processes, over a store that answers after a while, or not at all.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Event, JITTER, Rules, Tick, WaitQueue, World};
use crate::limiter::shared::{MemoryStore, OnStoreOutage, StoreReply, SyncRequest, account};
use crate::quota::Limits;

const HORIZON: Duration = Duration::from_secs(1);
/// One way to the store, in seconds, where it is near.
const NEAR: f64 = 0.001;

/// A store, and when each process is about to sync it.
pub(super) struct Store {
    memory: MemoryStore,
    calls: Vec<Option<u64>>,
    /// One way to it, in seconds.
    way: f64,
    /// From when until when it cannot be reached, in seconds.
    refusal_backoff: Option<(f64, f64)>,
}

pub(super) enum Step {
    SyncRequest(usize, u64),
    Arrives(usize, (SyncRequest, u64)),
    SentRequest(usize, (SyncRequest, u64), StoreReply),
}

impl World {
    /// The same, of this many processes that share their limits.
    pub(in super::super) fn shared(mut self, limits: &Limits, processes: usize) -> Self {
        let rules = Rules {
            jitter: Some(JITTER),
            ..Rules::default()
        };
        let requests = self.costs.len();
        let lane = |process| {
            (process..requests)
                .step_by(processes)
                .collect::<VecDeque<_>>()
        };
        self.priorities = (0..processes).map(lane).collect();
        self.in_lane = vec![None; processes];
        self.owners = (0..requests).map(|request| request % processes).collect();
        self.is_dead = vec![false; processes];
        let queue = |_| {
            let mut queue = WaitQueue::new(limits, rules, Tick(0));
            let limits = limits.clone().allow_jitter(JITTER);
            queue.share(account(&limits, HORIZON), Tick(0));
            queue
        };
        self.queues = (0..processes).map(queue).collect();
        self.store = Some(Store {
            memory: MemoryStore::new(HORIZON),
            calls: vec![None; processes],
            way: NEAR,
            refusal_backoff: None,
        });
        self
    }

    /// The store cannot be reached from one time until another, in seconds.
    pub(in super::super) fn refusal_backoff(mut self, from: f64, until: f64) -> Self {
        if let Some(store) = &mut self.store {
            store.refusal_backoff = Some((from, until));
        }
        self
    }

    /// The store is so far away, in seconds of one way.
    pub(in super::super) fn far(mut self, way: f64) -> Self {
        if let Some(store) = &mut self.store {
            store.way = way;
        }
        self
    }

    /// A process dies at a time, in seconds, and the next one sends again what it has not done.
    pub(in super::super) fn dying(mut self, process: usize, after: f64) -> Self {
        self.at(0, after, Event::Dies(process));
        self
    }

    pub(super) fn dies(&mut self, process: usize, now: u64) {
        self.is_dead[process] = true;
        let heir = (process + 1) % self.queues.len();
        self.priorities[process].clear();
        let owners = &self.owners;
        self.waiting
            .retain(|(request, _)| owners[*request] != process);
        for request in 0..self.costs.len() {
            if self.owners[request] == process && !self.is_done[request] {
                self.costs.push(self.costs[request]);
                self.refusals.push(0);
                self.owners.push(heir);
                self.is_done.push(false);
                self.priorities[heir].push_back(self.costs.len() - 1);
            }
        }
        if self.in_lane[heir].is_none() {
            self.at(now, 0.0, Event::Join(heir));
        }
    }

    /// Has a sync made when the process needs one.
    pub(super) fn call(&mut self, process: usize, now: u64) {
        let Some(store) = &mut self.store else { return };
        let Some(wish) = self.queues[process].wish(Tick(now)) else {
            return;
        };
        let call = &mut store.calls[process];
        let at = wish.0.max(now);
        if call.is_none_or(|set| at < set) {
            *call = Some(at);
            self.at(
                now,
                (at - now) as f64 / 1e9,
                Event::Store(Step::SyncRequest(process, at)),
            );
        }
    }

    pub(super) fn syncs(&mut self, step: Step, now: u64) {
        let (Step::SyncRequest(process, _)
        | Step::SentRequest(process, ..)
        | Step::Arrives(process, _)) = &step;
        let Some(store) = &mut self.store else { return };
        if self.is_dead[*process] && !matches!(step, Step::Arrives(..)) {
            return;
        }
        let seconds = now as f64 / 1e9;
        let is_away = |(from, until): (f64, f64)| from <= seconds && seconds < until;
        let is_away = store.refusal_backoff.is_some_and(is_away);
        match step {
            Step::SyncRequest(process, at) => {
                if store.calls[process] != Some(at) {
                    return; // an earlier one was made
                }
                store.calls[process] = None;
                let queue = &mut self.queues[process];
                queue.bring_up_to(Tick(now));
                if is_away {
                    queue.cut(OnStoreOutage::Divide, Tick(now));
                    let back = store
                        .refusal_backoff
                        .map_or(0.0, |(_, until)| until - seconds);
                    // No process calls while it is away.
                    store.calls[process] = Some(0);
                    self.at(now, back, Event::Store(Step::SyncRequest(process, 0)));
                } else if at == 0 && now > 0 {
                    queue.back(Tick(now));
                } else if let Some(sync) = queue.sync(Tick(now)) {
                    let way = store.way;
                    self.at(now, way, Event::Store(Step::Arrives(process, sync)));
                }
            }
            Step::Arrives(process, sync) => {
                let answer = store.memory.go(&sync.0, now / 1_000);
                let way = store.way;
                self.at(
                    now,
                    way,
                    Event::Store(Step::SentRequest(process, sync, answer)),
                );
            }
            Step::SentRequest(process, sync, answer) => {
                let said = answer.now();
                let local = |time: u64| match time >= said {
                    true => Tick(now + (time - said) * 1_000),
                    false => Tick(now.saturating_sub((said - time) * 1_000)),
                };
                self.queues[process].heard(&sync, &answer, local);
            }
        }
    }
}
