//! How much was played: a test that comes upon nothing would pass, too.

use crate::sync::Mutex;

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen {
    Step,
    Granted,
    AtOnce,
    Batch,
    Bypass,
    AtKeptPlace,
    Oversize,
    TimedOut,
    Cancelled,
    TooLargeAtOnce,
    TooLargeInLine,
    Closed,
    Hopeless,
    WouldBlock,
    QueueFull,
    WithSlot,
    Conserved,
    Foreseen,
}

const ALL: [Seen; 18] = [
    Seen::Step,
    Seen::Granted,
    Seen::AtOnce,
    Seen::Batch,
    Seen::Bypass,
    Seen::AtKeptPlace,
    Seen::Oversize,
    Seen::TimedOut,
    Seen::Cancelled,
    Seen::TooLargeAtOnce,
    Seen::TooLargeInLine,
    Seen::Closed,
    Seen::Hopeless,
    Seen::WouldBlock,
    Seen::QueueFull,
    Seen::WithSlot,
    Seen::Conserved,
    Seen::Foreseen,
];

static TOTAL: Mutex<Tally> = Mutex::new(Tally([0; ALL.len()]));

/// Counts of what was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally([u64; ALL.len()]);

impl Tally {
    pub(super) fn count(&mut self, seen: Seen) {
        self.add(seen, 1);
    }

    pub(super) fn add(&mut self, seen: Seen, count: u64) {
        self.0[seen as usize] += count;
    }

    /// Adds this to what all have seen.
    pub(super) fn hand_in(&self) {
        let mut total = TOTAL.lock();
        for (all, own) in total.0.iter_mut().zip(self.0) {
            *all += own;
        }
    }

    /// A million steps, and a thousand of everything that there is to see.
    pub(super) fn is_enough(&self) {
        for seen in ALL {
            let count = self.0[seen as usize];
            println!("{seen:?}: {count}");
            let least = match seen {
                Seen::Step => 1_000_000,
                _ => 1_000,
            };
            assert!(count >= least, "{seen:?} only {count} times");
        }
    }
}

pub(super) fn total() -> Tally {
    TOTAL.lock().clone()
}
