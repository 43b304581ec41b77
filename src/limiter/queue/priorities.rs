//! The order of the line: a lane for each priority, and which of them is next.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::Priority;
use super::Parked;

/// The waiters, by priority and place.
#[derive(Default)]
pub(super) struct PriorityQueues {
    interactive: VecDeque<Arc<Parked>>,
    batch: VecDeque<Arc<Parked>>,
    /// How many interactive requests have been granted in a row while batch work waits.
    run: u32,
}

impl PriorityQueues {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.interactive.is_empty() && self.batch.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.interactive.len() + self.batch.len()
    }

    /// How many wait with a priority.
    pub(super) fn count(&self, priority: Priority) -> usize {
        self.lane(priority).len()
    }

    /// The waiter to serve next.
    pub(super) fn head(&self) -> Option<&Arc<Parked>> {
        let next = next(
            !self.interactive.is_empty(),
            !self.batch.is_empty(),
            self.run,
        )?;
        self.lane(next).front()
    }

    /// Takes the head out, and counts it as served.
    pub(super) fn pop_head(&mut self) -> Option<Arc<Parked>> {
        let next = next(
            !self.interactive.is_empty(),
            !self.batch.is_empty(),
            self.run,
        )?;
        let head = self.lane_mut(next).pop_front();
        self.served(next);
        head
    }

    /// Whether a newcomer would be the head: with `place` where it stood before, or else at the
    /// end of its lane.
    pub(super) fn is_next(&self, priority: Priority, place: Option<u64>) -> bool {
        if self.is_empty() {
            return true;
        }
        self.before(priority, place).next().is_none()
    }

    /// Counts a request as served, which has been taken out or was never in.
    pub(super) fn served(&mut self, priority: Priority) {
        self.run = match priority {
            Priority::Interactive if !self.batch.is_empty() => self.run.saturating_add(1),
            _ => 0,
        };
    }

    pub(super) fn insert(&mut self, waiter: Arc<Parked>) {
        let lane = self.lane_mut(waiter.asked.priority);
        let index = lane.partition_point(|other| other.place < waiter.place);
        lane.insert(index, waiter);
    }

    /// Takes out the waiter at `place`.
    pub(super) fn remove(&mut self, place: u64) -> Option<Arc<Parked>> {
        let removed = [Priority::Interactive, Priority::Batch].map(|priority| {
            let lane = self.lane_mut(priority);
            let found = lane.binary_search_by_key(&place, |waiter| waiter.place);
            found.ok().and_then(|index| lane.remove(index))
        });
        self.forget_run();
        removed.into_iter().flatten().next()
    }

    /// Takes out all waiters for which `leaves` is true.
    pub(super) fn remove_where(
        &mut self,
        mut leaves: impl FnMut(&Parked) -> bool,
    ) -> Vec<Arc<Parked>> {
        let mut left = Vec::new();
        for lane in [&mut self.interactive, &mut self.batch] {
            lane.retain(|waiter| {
                let leaves = leaves(waiter);
                if leaves {
                    left.push(Arc::clone(waiter));
                }
                !leaves
            });
        }
        self.forget_run();
        left
    }

    /// All waiters, in the order in which they will be served if none comes or goes.
    pub(super) fn in_order(&self) -> Order<'_> {
        Order {
            priorities: self,
            interactive: 0,
            batch: 0,
            run: self.run,
            guest: None,
        }
    }

    /// All waiters that will be served before a newcomer, as [`is_next`](PriorityQueues::is_next) has it.
    pub(super) fn before(&self, priority: Priority, place: Option<u64>) -> Order<'_> {
        let lane = self.lane(priority);
        let ahead = match place {
            Some(place) => lane.partition_point(|waiter| waiter.place < place),
            None => lane.len(),
        };
        Order {
            guest: Some((priority, ahead)),
            ..self.in_order()
        }
    }

    /// A run counts only while batch work waits.
    fn forget_run(&mut self) {
        if self.batch.is_empty() {
            self.run = 0;
        }
    }

    fn lane(&self, priority: Priority) -> &VecDeque<Arc<Parked>> {
        match priority {
            Priority::Interactive => &self.interactive,
            Priority::Batch => &self.batch,
        }
    }

    fn lane_mut(&mut self, priority: Priority) -> &mut VecDeque<Arc<Parked>> {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Batch => &mut self.batch,
        }
    }
}

/// The rule: which lane is served next, by which lanes have waiters and how many grants of the
/// interactive one came last. See [`Priority`] for what it promises.
fn next(interactive: bool, batch: bool, run: u32) -> Option<Priority> {
    match (interactive, batch) {
        (false, false) => None,
        (true, false) => Some(Priority::Interactive),
        (true, true) if run < Priority::RUN => Some(Priority::Interactive),
        (_, true) => Some(Priority::Batch),
    }
}

/// Waiters in the order of their turns, as the priorities stand.
pub(super) struct Order<'a> {
    priorities: &'a PriorityQueues,
    interactive: usize,
    batch: usize,
    run: u32,
    /// A newcomer at whose turn it ends, and how many of its own lane are before it.
    guest: Option<(Priority, usize)>,
}

impl<'a> Iterator for Order<'a> {
    type Item = &'a Arc<Parked>;

    fn next(&mut self) -> Option<Self::Item> {
        let comes = |priority, seen: usize| {
            let ends_at = |(lane, ahead)| lane == priority && ahead == seen;
            seen < self.priorities.lane(priority).len() || self.guest.is_some_and(ends_at)
        };
        let interactive = comes(Priority::Interactive, self.interactive);
        let batch = comes(Priority::Batch, self.batch);
        let priority = next(interactive, batch, self.run)?;
        let seen = match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Batch => &mut self.batch,
        };
        if self.guest == Some((priority, *seen)) {
            return None;
        }
        let waiter = self.priorities.lane(priority).get(*seen)?;
        *seen += 1;
        // Where no batch work waits, none will: these are the priorities as they stand.
        self.run = match priority {
            Priority::Interactive => self.run.saturating_add(1),
            Priority::Batch => 0,
        };
        Some(waiter)
    }
}
