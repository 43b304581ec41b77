//! The turn of a request: from the head of its lane to the end of its flight.

use parking_lot::MutexGuard;

use super::board::Board;
use super::lane::Leader;
use super::lanes::{Lanes, PLACE};
use super::memory::Held;
use crate::batch::wait::Look;

/// The turn of a request: its thread leads the lane until this is dropped or begins.
pub(in crate::batch) struct Turn<'a> {
    pub(super) led: Led<'a>,
    pub(super) held: Held,
}

impl<'a> Turn<'a> {
    /// Waits until one more may be in flight, and releases the lane.
    pub(in crate::batch) fn begin(self) -> Sending<'a> {
        let Self { led, held } = self;
        let Led { lanes, lane } = led;
        let mut board = lanes.gate.lock();
        board.ready += 1;
        lanes.gate.wait(PLACE, &mut board, |board| {
            match board.sending < board.most {
                true => Look::Pass,
                false => Look::Wait,
            }
        });
        board.ready -= 1;
        board.sending += 1;
        board.lanes[lane].sending += 1;
        led.end(board);
        Sending { lanes, lane, held }
    }
}

/// A lane that a thread leads, until this is dropped.
pub(super) struct Led<'a> {
    pub(super) lanes: &'a Lanes,
    pub(super) lane: usize,
}

impl Led<'_> {
    /// Lets go of it under the lock that is held already: each lock less is one less to wait for.
    fn end(self, board: MutexGuard<'_, Board>) {
        self.let_go(board);
        std::mem::forget(self); // that is all that dropping it does
    }

    fn let_go(&self, mut board: MutexGuard<'_, Board>) {
        board.lanes[self.lane].leader = Leader::Absent;
        if let Err(error) = self.lanes.call(board, self.lane) {
            log::warn!("{error}"); // this thread comes back for it
        }
    }
}

impl Drop for Led<'_> {
    fn drop(&mut self) {
        self.let_go(self.lanes.gate.lock());
    }
}

/// A request in flight, until this is dropped.
pub(in crate::batch) struct Sending<'a> {
    lanes: &'a Lanes,
    lane: usize,
    /// What it takes of the memory. Given back before its thread looks for the next request.
    held: Held,
}

impl Sending<'_> {
    /// The memory that the request takes.
    pub(in crate::batch) fn held(&self) -> &Held {
        &self.held
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let mut board = self.lanes.gate.lock();
        board.last_end = self.lanes.clock.now();
        board.stands_still = false;
        board.sending -= 1;
        board.lanes[self.lane].sending -= 1;
        board.lanes[self.lane].tally.ended += 1;
        board.growth.ended();
        if board.ready > 0 {
            self.lanes.gate.notify_one(&board, PLACE);
        }
    }
}
