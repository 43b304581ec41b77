//! Decides which thread may lead which lane, and how far a run looks ahead. It locks and waits for nothing.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::RateLimitedClient;
use crate::batch::count::Counted;
use crate::batch::dispatch::growth::Growth;
use crate::batch::dispatch::lane::Lane;
use crate::batch::dispatch::memory::Memory;
use crate::batch::machine::{InFlight, InFlightCap};

/// What all lanes together put onto the disk, at most, in bytes. It lets a run look ahead for
/// requests of other models. Beyond that reading waits, as it does when the disk is full: until half
/// of it is free again, for other models may need it before all of it is.
const SPOOL: u64 = 256 * 1024 * 1024;

/// The part of the places in flight that is kept for a lane that does not use it: a quarter of an
/// equal part, as `a_lane_that_hangs_leaves_something_for_each_other_one` checks.
const KEPT: usize = 4;
/// With more lanes than this, nothing is kept: each check reads every other lane.
const MANY: usize = 64;

/// The lanes, their leaders, and the requests in flight.
pub(in crate::batch) struct Board {
    names: HashMap<String, usize>,
    pub(in crate::batch) lanes: Vec<Lane>,
    /// Lanes that need a leader, the one that has waited longest first.
    pub(in crate::batch) called: VecDeque<usize>,
    /// Requests in all lanes.
    pub(in crate::batch) waiting: usize,
    /// Requests in flight, and how many may be.
    pub(in crate::batch) sending: usize,
    pub(in crate::batch) most: usize,
    /// What that is for.
    cap: InFlightCap,
    pub(in crate::batch) memory: Arc<Memory>,
    /// What the bodies take that wait in memory.
    waiting_bytes: u64,
    /// When the last request ended, and whether that is long ago.
    pub(in crate::batch) last_end: Instant,
    pub(in crate::batch) stands_still: bool,
    /// Threads with an admitted request that wait to send it.
    pub(in crate::batch) ready: usize,
    pub(in crate::batch) threads: usize,
    pub(in crate::batch) growth: Growth,
    /// When to look again whether one more thread is worth it, if one was wanted.
    pub(in crate::batch) next_look: Option<Instant>,
    /// Whether a thread looks after that.
    pub(in crate::batch) has_tender: bool,
    /// No further thread could be started once, and that was said.
    pub(in crate::batch) is_short_of_threads: bool,
    /// Those of them that wait for work, and have not been woken for it.
    pub(in crate::batch) free: usize,
    /// Whether more requests may come.
    pub(in crate::batch) is_open: bool,
    /// Whether the disk takes what does not fit into memory.
    spools: bool,
}

impl Board {
    pub(in crate::batch) fn new(room: InFlight, memory: Arc<Memory>, now: Instant) -> Self {
        Self {
            names: HashMap::new(),
            lanes: Vec::new(),
            called: VecDeque::new(),
            waiting: 0,
            sending: 0,
            most: room.most.max(1),
            cap: room.cap,
            memory,
            waiting_bytes: 0,
            last_end: now,
            stands_still: false,
            ready: 0,
            threads: 0,
            growth: Growth::new(thread::available_parallelism().map_or(1, usize::from)),
            next_look: None,
            has_tender: false,
            is_short_of_threads: false,
            free: 0,
            is_open: true,
            spools: true,
        }
    }

    /// Threads that are at work, or woken for it.
    pub(in crate::batch) fn at_work(&self) -> usize {
        self.threads.saturating_sub(self.free)
    }

    /// Which of those that were called is to have a leader now.
    pub(in crate::batch) fn next(&self) -> Option<usize> {
        self.called.iter().position(|lane| self.may_lead(*lane))
    }

    /// Whether a thread may lead a lane: its next request has a place in flight.
    pub(in crate::batch) fn may_lead(&self, lane: usize) -> bool {
        let taken = self.sending + self.ready;
        let is_idle = self.lanes[lane].sending == 0;
        taken < self.most
            && (is_idle || taken + self.kept_for_others(lane) < self.most)
            && (is_idle || self.memory.has_room(self.waiting_bytes))
    }

    pub(in crate::batch) fn cap(&self) -> InFlightCap {
        self.cap
    }

    /// What keeps requests that could begin otherwise from being in flight, and how many are.
    pub(in crate::batch) fn capped_by(&self) -> Option<(InFlightCap, usize)> {
        if self.called.is_empty() {
            return None;
        }
        match self.next() {
            Some(_) if self.is_short_of_threads && self.free == 0 => {
                Some((InFlightCap::Threads, self.threads))
            }
            Some(_) => None,
            None if self.memory.has_room(self.waiting_bytes) => Some((self.cap, self.most)),
            None => Some((InFlightCap::Memory, self.sending)),
        }
    }

    /// Places kept for the other lanes with requests, and for one that may still be read: a server
    /// that hangs would take every place in flight, and idle the others.
    fn kept_for_others(&self, lane: usize) -> usize {
        if self.lanes.len() > MANY {
            return 0;
        }
        let others = self.lanes.iter().enumerate();
        let others = others.filter(|(index, other)| *index != lane && other.is_busy());
        let others = others.map(|(_, other)| other);
        let lanes = 1 + others.clone().count() + usize::from(self.is_open);
        let share = self.most / (KEPT * lanes);
        let unused = |other: &Lane| share.max(1).saturating_sub(other.sending);
        let to_come = if self.is_open { share } else { 0 };
        others.map(unused).sum::<usize>() + to_come
    }

    pub(in crate::batch) fn lane(&mut self, family: &str) -> usize {
        if let Some(lane) = self.names.get(family) {
            return *lane;
        }
        let lane = self.lanes.len();
        self.lanes.push(Lane::new(family));
        self.names.insert(family.to_owned(), lane);
        lane
    }

    fn spooled(&self) -> u64 {
        self.lanes.iter().map(Lane::spooled).sum()
    }

    /// Whether to look ahead for requests of other lanes: not while this one has all the threads that
    /// it may have, and they get on.
    fn looks_ahead(&self, lane: usize) -> bool {
        let has_hands = self.free > 0 || self.threads + self.kept_for_others(lane) < self.most;
        self.spools && (has_hands || self.stands_still)
    }

    /// Whether there is room in memory for one more of a lane.
    pub(in crate::batch) fn has_room(&self, lane: usize) -> bool {
        let lane = &self.lanes[lane];
        let is_within = self.waiting_bytes < self.memory.for_waiting();
        lane.has_room() && (is_within || lane.has_none_in_memory())
    }

    /// Puts a request into memory.
    pub(in crate::batch) fn push(&mut self, lane: usize, counted: Counted) {
        self.counting(lane, |lane| lane.push(counted));
    }

    /// Takes the first request of a lane.
    pub(in crate::batch) fn pop(
        &mut self,
        lane: usize,
        client: &RateLimitedClient,
    ) -> io::Result<Option<Counted>> {
        self.counting(lane, |lane| lane.pop(client))
    }

    fn counting<T>(&mut self, lane: usize, change: impl FnOnce(&mut Lane) -> T) -> T {
        let lane = &mut self.lanes[lane];
        let before = lane.bytes() as u64;
        let result = change(lane);
        self.waiting_bytes = self.waiting_bytes + lane.bytes() as u64 - before;
        result
    }

    /// Whether what waits in memory leaves room for requests of other lanes.
    pub(in crate::batch) fn is_roomy(&self) -> bool {
        self.waiting_bytes <= self.memory.for_waiting() / 2
    }

    /// Whether threads that wait to add a request may continue, in memory or on the disk.
    pub(in crate::batch) fn has_plenty_of_room(&self, lane: usize) -> bool {
        let of = &self.lanes[lane];
        (of.has_plenty_of_room() && (self.is_roomy() || of.has_none_in_memory()))
            || (self.looks_ahead(lane) && self.spooled() <= SPOOL / 2)
    }

    /// Puts a request onto the disk, if that is to be and can be.
    pub(in crate::batch) fn spool(&mut self, lane: usize, counted: &Counted) -> bool {
        if !self.looks_ahead(lane) || self.spooled() >= SPOOL {
            return false;
        }
        match self.lanes[lane].spool(counted) {
            Ok(()) => true,
            Err(error) => {
                log::warn!("requests cannot wait on the disk: {error}; reading waits instead");
                self.spools = false;
                false
            }
        }
    }

    /// Whether no request will come out any more. Those that are led have come out.
    pub(in crate::batch) fn is_done(&self) -> bool {
        !self.is_open && self.waiting == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::dispatch::lane::Leader;
    use crate::batch::dispatch::memory::REQUEST;
    use crate::limiter::Clock;

    /// Lanes with these numbers of requests in flight, and more to come.
    fn board(most: usize, is_open: bool, sending: &[usize]) -> Board {
        let room = InFlight::for_tests(most);
        let mut board = Board::new(room, Memory::new(u64::MAX), Clock::real().now());
        board.is_open = is_open;
        for (number, sending) in sending.iter().enumerate() {
            let lane = board.lane(&format!("m{number}"));
            board.lanes[lane].sending = *sending;
            board.lanes[lane].leader = Leader::Present;
            board.sending += sending;
        }
        board
    }

    /// How many requests of the first lane can be in flight, if none of them ends.
    fn most_of_the_first(most: usize, is_open: bool, others: &[usize]) -> usize {
        let mut board = board(most, is_open, &[&[0], others].concat());
        while board.may_lead(0) {
            board.lanes[0].sending += 1;
            board.sending += 1;
        }
        board.lanes[0].sending
    }

    #[test]
    fn a_lane_that_hangs_leaves_something_for_each_other_one() {
        let table: [(usize, bool, &[usize], usize); 10] = [
            (20, false, &[], 20),
            (20, true, &[], 18), // one may be read yet
            (20, false, &[0], 18),
            (20, false, &[1], 18), // of 2 that are kept, 1 is in use
            (20, false, &[5], 15),
            (20, false, &[0, 0], 18),
            (1_000, false, &[0], 875),
            (2, false, &[0], 1),
            (1, false, &[0], 1),
            (1, true, &[], 1),
        ];
        for (most, is_open, others, expected) in table {
            let found = most_of_the_first(most, is_open, others);
            assert_eq!(found, expected, "{most}, {is_open}, {others:?}");
        }
    }

    #[test]
    fn what_is_kept_is_there_for_a_lane_that_has_nothing_under_way() {
        let board_ = board(20, false, &[18, 0]);
        assert!(!board_.may_lead(0) && board_.may_lead(1));
        let mut full = board(20, false, &[20, 0]);
        assert!(!full.may_lead(1));
        full.sending = 19;
        full.ready = 1;
        assert!(!full.may_lead(1), "who is ready goes first");
    }

    #[test]
    fn memory_caps_like_a_number_and_leaves_one_to_each_lane() {
        let mut board = board(20, false, &[1, 0]);
        board.memory = Memory::new(2 * REQUEST);
        board.called = VecDeque::from([0]);
        assert!(board.may_lead(0) && board.capped_by().is_none());
        let _held = board.memory.take(1);
        assert!(!board.may_lead(0), "the first one has a byte more");
        assert_eq!(board.capped_by(), Some((InFlightCap::Memory, 1)));
        assert!(board.may_lead(1), "nothing of it is in flight");
        board.memory = Memory::new(u64::MAX);
        board.sending = 20;
        assert_eq!(board.capped_by(), Some((InFlightCap::Stated, 20)));
        (board.sending, board.is_short_of_threads, board.threads) = (5, true, 6);
        assert_eq!(board.capped_by(), Some((InFlightCap::Threads, 6)));
    }
}
