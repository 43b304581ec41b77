//! Whose turn it is: requests wait in a lane for each limiter, and threads take turns in leading one.
//!
//! The thread that leads a lane takes its first request and waits until the limiter admits it. Then
//! it lets go of the lane, for another thread to lead, and sends the request itself. So in each
//! lane one thread waits for the limiter and all others wait for the network; a model that waits
//! holds up no other; and between admission and sending no request changes hands.
//!
//! Threads are started when a lane needs a leader, none is free, and more are worth it: there are as many
//! as were ever needed at once. The requests in flight are bounded; leaders that wait are not. A part
//! of the places in flight is kept for each lane, so that a model whose server hangs does not take all
//! of them.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::MutexGuard;

use super::board::Board;
use super::lane::{Lane, Leader};
use super::memory::Memory;
use super::stage::Stage;
use super::turn::{Led, Turn};
use crate::batch::count::Counted;
use crate::batch::events::bottleneck::Facts;
use crate::batch::events::notice::Notice;
use crate::batch::events::{Events, RunEvent};
use crate::batch::machine::InFlight;
use crate::batch::shutdown::Shutdown;
use crate::batch::wait::{Gate, Look, start};
use crate::limiter::Clock;
use crate::{Error, RateLimitedClient, Result};

/// The queue of threads that have nothing to do.
const WORK: usize = 0;
/// The queue of threads that add requests.
const ROOM: usize = 1;
/// The queue of threads that are ready to send.
pub(super) const PLACE: usize = 2;
/// The queue of the thread that watches how many threads there are.
const GROWTH: usize = 3;

/// All threads are stuck when they are busy and none has ended a request for this long.
const STILL: Duration = Duration::from_millis(250);

/// The lanes of all limiters, and the threads that lead them.
///
/// # Locking
///
/// One lock guards the board. No thread holds it while it waits for a limiter or the network. Threads
/// wait in four queues of its gate and are woken:
///
/// - a free thread, when a lane needs a leader, when all is done, and when the run is stopped;
/// - the thread that watches their number, when one more was wanted and is not worth it yet;
/// - a thread ready to send, when another one has sent, and when the run is stopped;
/// - a thread that adds requests, when a lane or the disk that was full is half empty, when a thread has
///   nothing to do, and when the run is stopped.
pub(in crate::batch) struct Lanes {
    client: RateLimitedClient,
    stage: Arc<dyn Stage>,
    events: Arc<Events>,
    shutdown: Arc<Shutdown>,
    pub(super) gate: Arc<Gate<Board, 4>>,
    pub(super) clock: Clock,
    me: Weak<Lanes>,
}

/// Where requests come in. The lanes end when it is dropped and they are empty.
pub(in crate::batch) struct Entrance(Arc<Lanes>);

impl Lanes {
    /// Lanes whose threads pass requests on to `stage`, in as much room and memory.
    pub(in crate::batch) fn open(
        client: &RateLimitedClient,
        stage: Arc<dyn Stage>,
        events: &Arc<Events>,
        shutdown: &Arc<Shutdown>,
        room: InFlight,
        memory: u64,
    ) -> Entrance {
        let clock = Clock::real();
        let board = Board::new(room, Memory::new(memory), clock.now());
        Entrance(Arc::new_cyclic(|me| Self {
            client: client.clone(),
            stage,
            events: Arc::clone(events),
            shutdown: Arc::clone(shutdown),
            gate: Gate::new(board, shutdown.token()),
            clock,
            me: Weak::clone(me),
        }))
    }

    fn put(&self, counted: Counted) -> Result<()> {
        let table = self.client.registry().table();
        let family = table.family_of(counted.request.model());
        let size = counted.request.estimate();
        let mut board = self.gate.lock();
        let lane = board.lane(family);
        loop {
            if self.gate.is_stopped() {
                return Ok(()); // it stays undone
            }
            if board.has_room(lane) {
                board.push(lane, counted);
                board.waiting += 1;
                board.lanes[lane].tally.read(size);
                break;
            }
            if board.spool(lane, &counted) {
                board.waiting += 1;
                board.lanes[lane].tally.read(size);
                break;
            }
            self.gate.wait(ROOM, &mut board, |board| {
                if board.has_plenty_of_room(lane) {
                    return Look::Pass;
                }
                // Looked at again when it would stand still by then.
                let until = board.last_end + STILL;
                if self.clock.now() < until {
                    return Look::Until(until);
                }
                board.stands_still = true;
                match board.has_plenty_of_room(lane) {
                    true => Look::Pass,
                    false => Look::Wait,
                }
            });
        }
        self.call(board, lane)
    }

    /// Makes a thread lead a lane with waiting requests, unless one does.
    pub(super) fn call(&self, mut board: MutexGuard<'_, Board>, lane: usize) -> Result<()> {
        if board.lanes[lane].leader != Leader::Absent || board.lanes[lane].is_empty() {
            return Ok(());
        }
        board.lanes[lane].leader = Leader::Called;
        board.called.push_back(lane);
        self.summon(board)
    }

    /// Has a thread look at the lanes that need a leader, if one of them may have it.
    fn summon(&self, mut board: MutexGuard<'_, Board>) -> Result<()> {
        if board.next().is_none() {
            self.note_cap(&board);
            return Ok(()); // the next one to get free finds it
        }
        if board.free == 0 && board.threads >= board.most + board.lanes.len() {
            return Ok(());
        }
        let (now, at_work) = (self.clock.now(), board.at_work());
        if !board.growth.may_start(now, at_work) {
            return self.look_again(board);
        }
        if board.free > 0 {
            board.free -= 1;
            self.gate.notify_one(&board, WORK);
            return Ok(());
        }
        let Some(me) = self.me.upgrade() else {
            return Ok(());
        };
        board.threads += 1;
        drop(board);
        let Err(error) = start("paceline-send", move || me.work()) else {
            return Ok(());
        };
        let mut board = self.gate.lock();
        board.threads -= 1;
        match board.threads {
            0 => Err(error),
            _ => {
                // The system is out of threads. Those that there are do it.
                let was_told = std::mem::replace(&mut board.is_short_of_threads, true);
                self.note_cap(&board);
                drop(board);
                if !was_told {
                    let reason = error.to_string();
                    let notice = Notice::Exhausted { reason };
                    self.events.emit(RunEvent::Notice(&notice));
                }
                Ok(())
            }
        }
    }

    /// Has it looked at again soon whether one more thread is worth it.
    fn look_again(&self, mut board: MutexGuard<'_, Board>) -> Result<()> {
        if board.next_look.is_some() {
            return Ok(()); // a thread looks again then
        }
        board.next_look = Some(board.growth.next_look(self.clock.now()));
        self.tend_growth(board)
    }

    /// Keeps what caps the requests in flight, for the summary.
    fn note_cap(&self, board: &Board) {
        if let Some((cap, _)) = board.capped_by() {
            self.events.emit(RunEvent::Capped(cap));
        }
    }

    /// Makes a thread look again whether one more thread is worth it: when all threads wait, no other
    /// event makes them look.
    fn tend_growth(&self, mut board: MutexGuard<'_, Board>) -> Result<()> {
        if std::mem::replace(&mut board.has_tender, true) {
            self.gate.notify_one(&board, GROWTH);
            return Ok(());
        }
        drop(board);
        let Some(me) = self.me.upgrade() else {
            return Ok(());
        };
        if let Err(error) = start("paceline-growth", move || me.look_after_growth()) {
            // As many as there are do it, and the next one to get free looks again.
            log::warn!("{error}");
            let mut board = self.gate.lock();
            (board.has_tender, board.next_look) = (false, None);
        }
        Ok(())
    }

    fn look_after_growth(&self) {
        let mut board = self.gate.lock();
        loop {
            let mut is_due = false;
            let look = |board: &mut Board| {
                is_due = board.next_look.is_some_and(|due| due <= self.clock.now());
                match board.next_look {
                    _ if board.is_done() || is_due => Look::Pass,
                    None => Look::Wait,
                    Some(due) => Look::Until(due),
                }
            };
            if !self.gate.wait(GROWTH, &mut board, look) || board.is_done() {
                return;
            }
            board.next_look = None;
            if let Err(error) = self.summon(board) {
                log::warn!("{error}"); // the next one to get free takes it
            }
            board = self.gate.lock();
        }
    }

    /// What each thread does.
    fn work(&self) {
        let _counted = Working(self);
        while let Some((turn, counted)) = self.next() {
            self.stage.take(counted, turn);
        }
    }

    /// The next request of a lane without a leader. `None` when there is nothing more to do.
    fn next(&self) -> Option<(Turn<'_>, Counted)> {
        let mut board = self.gate.lock();
        loop {
            if self.gate.is_stopped() {
                break;
            }
            let mut rests = board.growth.rests(board.at_work());
            if rests && board.next_look.is_none() {
                if let Err(error) = self.look_again(board) {
                    log::warn!("{error}"); // then it does not rest
                }
                board = self.gate.lock();
                rests = board.next_look.is_some() && board.growth.rests(board.at_work());
            }
            let next = if rests { None } else { board.next() };
            if let Some(lane) = next.and_then(|index| board.called.remove(index)) {
                board.lanes[lane].leader = Leader::Present;
                let (had_room, was_roomy) = (board.has_plenty_of_room(lane), board.is_roomy());
                let next = board.pop(lane, &self.client);
                let has_room = board.has_plenty_of_room(lane);
                if (!had_room && has_room) || (!was_roomy && board.is_roomy()) {
                    self.gate.notify_all(&board, ROOM);
                }
                match next {
                    Ok(Some(counted)) => {
                        board.waiting -= 1;
                        let size = counted.request.estimate();
                        board.lanes[lane].tally.started(size);
                        let held = board.memory.take(counted.request.body().len());
                        if board.is_done() {
                            self.wake_all(&mut board);
                        }
                        // While this one waits for its limiter, others may go.
                        if let Err(error) = self.summon(board) {
                            log::warn!("{error}"); // this thread comes back for them
                        }
                        let led = Led { lanes: self, lane };
                        return Some((Turn { led, held }, counted));
                    }
                    Ok(None) => board.lanes[lane].leader = Leader::Absent,
                    Err(error) => {
                        drop(board);
                        self.shutdown
                            .fail_now(Error::io("requests that wait on the disk", error));
                        return None;
                    }
                }
                continue;
            }
            if board.is_done() {
                break;
            }
            board.free += 1;
            self.gate.notify_all(&board, ROOM); // a free thread: readers that wait for room look ahead for it
            let mut has_waited = false;
            self.gate.wait(WORK, &mut board, |_| {
                match std::mem::replace(&mut has_waited, true) {
                    true => Look::Pass,
                    false => Look::Wait,
                }
            });
        }
        None
    }

    /// Has every free thread look again.
    fn wake_all(&self, board: &mut MutexGuard<'_, Board>) {
        board.free = 0;
        self.gate.notify_all(board, WORK);
        self.gate.notify_all(board, GROWTH);
    }
}

impl Lanes {
    /// What the board shows now.
    pub(in crate::batch) fn facts(&self) -> Facts {
        let board = self.gate.lock();
        Facts {
            is_stopped: self.gate.is_stopped(),
            is_open: board.is_open,
            waiting: board.waiting,
            sending: board.sending,
            ready: board.ready,
            most: (board.cap(), board.most),
            capped_by: board.capped_by(),
            models: board.lanes.iter().map(Lane::progress).collect(),
            ..Facts::default()
        }
    }
}

impl Entrance {
    /// Puts a request into the lane of its limiter. Blocks while there are too many.
    ///
    /// # Errors
    ///
    /// [`Error::Threads`] when there is no thread at all to send it.
    pub(in crate::batch) fn put(&self, counted: Counted) -> Result<()> {
        self.0.put(counted)
    }

    /// The lanes, for a look at them as long as there are any.
    pub(in crate::batch) fn lanes(&self) -> Weak<Lanes> {
        Arc::downgrade(&self.0)
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        let lanes = &self.0;
        if !lanes.shutdown.has_begun() {
            lanes.events.emit(RunEvent::InputRead);
        }
        let mut board = lanes.gate.lock();
        board.is_open = false;
        lanes.wake_all(&mut board);
    }
}

/// A thread that is counted, until this is dropped.
struct Working<'a>(&'a Lanes);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.gate.lock().threads -= 1;
        if thread::panicking() {
            let message = "a thread that sends requests has panicked: see standard error";
            self.0.shutdown.fail_now(Error::Batch(message.to_owned()));
        }
    }
}
