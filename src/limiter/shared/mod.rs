//! One quota for many processes and machines, over Redis or Valkey.
//!
//! The line of a limiter stays what it is: its waiters, priorities, deadlines and alarms. What changes
//! is where its levels come from. They do not fill by themselves; the store books amounts for this
//! process, each from a time on ([`reservations`]), and the scheduler thread wakes the head when its reservation comes,
//! as it does when a bucket fills.
//!
//! # The store
//!
//! All of a limiter is in four keys with one hash tag, and one script changes it ([`sync`] says what
//! goes in and out). It plays the line of all processes forward as
//! [`Forecast`](super::forecast::Forecast) does that of one: levels stand as of the last booking's due
//! time, so a booking takes all quotas at once at its own time, and the next is due no earlier. It
//! books up to a *horizon* ahead, a second, and no more than a *slice* at a time: a quarter of the
//! horizon divided by the processes that are there, and less for one that has just come. So each process comes some four times a horizon
//! however fast requests are granted, and no process's bookings stand in the way of the others.
//!
//! A process with waiters and without bookings for them is in the limiter's queue of *processes*, by
//! since when its first waiter waits. The first books, and those that came within half a horizon of
//! it; all others come again after it. One that should have come and has not is stepped over.
//!
//! # What answers say
//!
//! The store counts, by unit, what it has ever booked and what moved its levels besides. It estimates
//! nothing. Each process of an adaptive limiter runs the estimator of a limiter of one process, and takes
//! for spent what the store has counted for all: each reservation brings the count as of its own time. So what
//! others have spent is known up to the newest reservation, and what an answer says is compared with that.
//! What is not known yet of the time about a request's leaving is noise to the estimator.
//!
//! What it finds goes to the store with the next sync after an answer: the limits, if they are other ones;
//! and of each limit what is left, with the count that this is of, and how fast it comes in as we count.
//! The store takes off what has been counted since, and books by that. So the newest observation holds
//! for all, and a process that has observed nothing for long holds no other up. Nothing is raised
//! above a limit that a user states, and nothing above the burst.
//!
//! Until an answer has said what is left, a process keeps the careful start of its own estimator, and it
//! always keeps the pace at which that spends a burst. Where it holds requests back longer than what is
//! booked for them would be good, it does not ask for them: all processes together ask for what half a
//! horizon brings in.
//!
//! # Bounds
//!
//! With a horizon of H and P processes:
//!
//! - In every stretch of time the bound of a limiter holds for all processes together: no more than
//!   the burst and what comes in is booked (and what a server says was not charged), each from a time by the store's clock, and it reaches a
//!   process no earlier. A process is late by one trip and its scheduler, so what was booked for
//!   different times can be used at the same.
//! - Requests of different processes change places by H at most.
//! - A process that dies gives back, within 3·H, what was booked for later than H/2 after it was last
//!   heard of; what was booked for earlier may have been used and stays charged: at most its share of
//!   H/2 of the rate, or one request. So a death costs time and exceeds nothing. Only a process whose
//!   trips fail for longer than H/2, and which dies then, can have used what comes back: as much.
//! - What was booked and is not used within 1.5·H of its time is void, so a process that was stopped
//!   uses nothing that has gone to others since.
//! - A store that has forgotten everything begins with empty buckets, a horizon later where a process
//!   remembers that there was more: by then all that was booked is used. If none does (all that come
//!   are new) it begins at once, and what others have booked, at most H of the rate, is in addition
//!   to it.
//! - One that has forgotten the last of it (it was restored, or a replica took over) begins empty in
//!   the same way, as soon as one process comes that knows of a later booking.
//! - A pause, other limits, and what is given back reach waiters within H: each process with waiters
//!   syncs once in that time at least. A process without waiters makes no trips.
//! - While the store is down, see [`OnStoreOutage`]. It is taken for down when two trips in a row have
//!   failed, so within two timeouts, and is tried again at most once in H/2 to H. A process that used
//!   its part meanwhile reports what it used before it gets a booking. No process gets one within H of
//!   that, so that the others can report, too: those that come back later can have used their part in
//!   addition.
//! - The clock of the store counts: one that is set forward fills the buckets,
//!   and one that is set back takes all times along.
//!
//! # Locking
//!
//! The queue's own lock guards its [`Account`]; the [`store_worker`]'s guards the calls. Neither is held
//! while the other is taken, and none on the connection.

mod account; //    what a line has with the store
mod address; //    where the store is, secrets unseen
mod connection; // to the store
#[cfg(all(
    any(test, fuzzing),
    feature = "batch",
    feature = "sim",
    not(paceline_loom)
))]
pub(crate) mod fuzz; // what a store answers, as inputs of a fuzzer
mod inspect; //    how shared limiters stand, for people
#[cfg(all(test, not(paceline_loom)))]
mod memory; //     a store for tests
mod notes; //      what processes observe, for all
mod outage; //    what limiters do without it
mod reservations; //       what is booked, by time
mod scale; //      quotas in the store's steps
mod store; //      the handle and its settings
mod store_worker; //    the thread that goes
mod sync;
#[cfg(all(test, not(paceline_loom)))]
mod tests; //      what is said and answered

use std::time::Duration;

pub(super) use account::Account;
pub use inspect::{StoreLimiter, StoreProcess};
#[cfg(all(test, not(paceline_loom)))]
pub(super) use memory::MemoryStore;
pub(super) use notes::Note;
pub use outage::OnStoreOutage;
pub(super) use scale::part;
pub use store::{SharedStore, SharedStoreBuilder};
pub(super) use store_worker::Registration;
pub(super) use sync::{Left, Order, StoreReply, SyncReply, SyncRequest};

/// What a limiter has with the store over which it is shared.
///
/// ```no_run
/// use paceline::{Limits, RateLimiter, SharedStore};
///
/// let store = SharedStore::new("redis://127.0.0.1:6379")?;
/// let limits = Limits::tokens_per_minute(30_000)?;
/// let limiter = RateLimiter::builder(limits).share(&store, "gpt-4o-mini").build();
/// if let Some(shared) = limiter.snapshot().store {
///     println!("{} processes share it", shared.processes);
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct StoreSnapshot {
    /// Whether the store could be reached recently.
    pub is_reachable: bool,
    /// How many processes share the limiter: the most of the last minute.
    pub processes: u64,
    /// Answers of the store's.
    pub syncs: u64,
    /// Grants that it booked for this process.
    pub booked: u64,
    /// How often it could not be reached.
    pub outages: u64,
}

/// How long to wait before the store is tried again that failed so often in a row: twice as long each
/// time, up to a horizon, and not all processes at the same time.
fn wait_after(failures: u32, horizon: Duration) -> Duration {
    const FIRST: Duration = Duration::from_millis(50);
    let wait = FIRST.saturating_mul(1 << failures.min(16)).min(horizon);
    wait.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// What a line of these limits begins with.
#[cfg(all(test, not(paceline_loom)))]
pub(super) fn account(limits: &crate::quota::Limits, horizon: Duration) -> Account {
    let joins = sync::Joins {
        limits: scale::encode(limits.quotas()),
        stated: scale::stated(limits),
        start_full: true,
    };
    Account::new(limits.quotas().to_vec(), joins, horizon)
}
