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

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::batch::count::Counted;
use crate::batch::dispatch::board::Board;
use crate::batch::dispatch::lane::Leader;
use crate::batch::dispatch::memory::{Held, Memory};
use crate::batch::events::bottleneck::Facts;
use crate::batch::events::notice::Notice;
use crate::batch::events::progress::{ModelProgress, View};
use crate::batch::machine::InFlight;
use crate::batch::run::Shared;
use crate::batch::send::send;
use crate::batch::wait::start;
use crate::limiter::{Clock, Watcher};
use crate::{Error, Result};

/// All threads are stuck when they are busy and none has ended a request for this long.
const STILL: Duration = Duration::from_millis(250);

/// The lanes of all limiters, and the threads that lead them.
///
/// # Locking
///
/// One lock guards the board. No thread holds it while it waits for a limiter or the network. A thread
/// that waits for the board is woken under the lock, so it misses no notice between its check and its
/// wait:
///
/// - a free thread, when a lane needs a leader, when all is done, and when the run is stopped;
/// - the thread that watches their number, when one more was wanted and is not worth it yet;
/// - a thread ready to send, when another one has sent, and when the run is stopped;
/// - a thread that adds requests, when a lane or the disk that was full is half empty, when a thread has
///   nothing to do, and when the run is stopped.
pub(in crate::batch) struct Lanes {
    shared: Arc<Shared>,
    board: Mutex<Board>,
    work: Condvar,
    room: Condvar,
    turn: Condvar,
    growth: Condvar,
    clock: Clock,
    me: Weak<Lanes>,
}

/// Where requests come in. The lanes end when it is dropped and they are empty.
pub(in crate::batch) struct Entrance(Arc<Lanes>);

impl Lanes {
    /// Lanes that send with as many threads and as much memory.
    pub(in crate::batch) fn open(shared: Arc<Shared>, room: InFlight, memory: u64) -> Entrance {
        let clock = Clock::real();
        let lanes = Arc::new_cyclic(|me| Self {
            board: Mutex::new(Board::new(room, Memory::new(memory), clock.now())),
            clock,
            work: Condvar::new(),
            room: Condvar::new(),
            turn: Condvar::new(),
            growth: Condvar::new(),
            shared,
            me: Weak::clone(me),
        });
        let watcher = Arc::downgrade(&lanes) as Weak<dyn Watcher>;
        lanes.shared.stop.watch(&watcher);
        let view = Arc::downgrade(&lanes) as Weak<dyn View>;
        lanes.shared.watch.show(view);
        Entrance(lanes)
    }

    fn put(&self, counted: Counted) -> Result<()> {
        let table = self.shared.client.registry().table();
        let family = table.family_of(counted.request.model());
        let size = counted.request.estimate();
        let mut board = self.board.lock();
        let lane = board.lane(family);
        loop {
            if self.shared.stop.is_cancelled() {
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
            while !board.has_plenty_of_room(lane) && !self.shared.stop.is_cancelled() {
                // Looked at again when it would stand still by then.
                let until = board.last_end + STILL;
                if self.room.wait_until(&mut board, until).timed_out() {
                    let now = self.clock.now();
                    board.stands_still = now.saturating_duration_since(board.last_end) >= STILL;
                    if board.stands_still && !board.has_plenty_of_room(lane) {
                        self.room.wait(&mut board);
                    }
                }
            }
        }
        self.call(board, lane)
    }

    /// Makes a thread lead a lane with waiting requests, unless one does.
    fn call(&self, mut board: MutexGuard<'_, Board>, lane: usize) -> Result<()> {
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
            self.work.notify_one();
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
        let mut board = self.board.lock();
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
                    let notices = &self.shared.options.notices;
                    notices.tell(&Notice::Exhausted { reason });
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
            self.shared.watch.is_capped(cap);
        }
    }

    /// Makes a thread look again whether one more thread is worth it: when all threads wait, no other
    /// event makes them look.
    fn tend_growth(&self, mut board: MutexGuard<'_, Board>) -> Result<()> {
        if std::mem::replace(&mut board.has_tender, true) {
            self.growth.notify_one();
            return Ok(());
        }
        drop(board);
        let Some(me) = self.me.upgrade() else {
            return Ok(());
        };
        if let Err(error) = start("paceline-growth", move || me.look_after_growth()) {
            // As many as there are do it, and the next one to get free looks again.
            log::warn!("{error}");
            let mut board = self.board.lock();
            (board.has_tender, board.next_look) = (false, None);
        }
        Ok(())
    }

    fn look_after_growth(&self) {
        let mut board = self.board.lock();
        while !board.is_done() && !self.shared.stop.is_cancelled() {
            let Some(due) = board.next_look else {
                self.growth.wait(&mut board);
                continue;
            };
            if due <= self.clock.now() {
                board.next_look = None;
                if let Err(error) = self.summon(board) {
                    log::warn!("{error}"); // the next one to get free takes it
                }
                board = self.board.lock();
            } else {
                self.growth.wait_until(&mut board, due);
            }
        }
    }

    /// What each thread does.
    fn work(&self) {
        let _counted = Working(self);
        let wait = self.shared.wait();
        while let Some((led, held, counted)) = self.next() {
            let Counted {
                custom_id,
                fingerprint,
                request,
                ..
            } = counted;
            self.shared.backpressure.pass();
            self.shared.judge.pass();
            let pass = self.shared.link.pass();
            if let Some(error) = self.shared.never(&request) {
                drop(led);
                let _ = self
                    .shared
                    .refused(custom_id, fingerprint, Duration::ZERO, &error);
                continue;
            }
            let Some(claim) = self.shared.claim(&request) else {
                continue; // the run ends: it stays undone
            };
            let admitted = request.admit(wait);
            match admitted {
                Ok(admitted) => {
                    let sending = self.begin(led, held);
                    self.shared.watch.admitted(admitted.cost());
                    self.shared.history.admitted(&admitted);
                    let held = &sending.held;
                    send(
                        &self.shared,
                        custom_id,
                        fingerprint,
                        admitted,
                        claim,
                        pass,
                        held,
                    );
                }
                Err(error) => {
                    drop(led);
                    let _ = self
                        .shared
                        .refused(custom_id, fingerprint, Duration::ZERO, &error);
                }
            }
        }
    }

    /// Waits until one more may be in flight, and releases the lane.
    fn begin<'a>(&'a self, led: Led<'a>, held: Held) -> Sending<'a> {
        let lane = led.lane;
        let mut board = self.board.lock();
        board.ready += 1;
        while board.sending >= board.most && !self.shared.stop.is_cancelled() {
            self.turn.wait(&mut board);
        }
        board.ready -= 1;
        board.sending += 1;
        board.lanes[lane].sending += 1;
        led.end(board);
        Sending {
            lanes: self,
            lane,
            held,
        }
    }

    /// The next request of a lane without a leader. `None` when there is nothing more to do.
    fn next(&self) -> Option<(Led<'_>, Held, Counted)> {
        let mut board = self.board.lock();
        loop {
            if self.shared.stop.is_cancelled() {
                break;
            }
            let mut rests = board.growth.rests(board.at_work());
            if rests && board.next_look.is_none() {
                if let Err(error) = self.look_again(board) {
                    log::warn!("{error}"); // then it does not rest
                }
                board = self.board.lock();
                rests = board.next_look.is_some() && board.growth.rests(board.at_work());
            }
            let next = if rests { None } else { board.next() };
            if let Some(lane) = next.and_then(|index| board.called.remove(index)) {
                board.lanes[lane].leader = Leader::Present;
                let (had_room, was_roomy) = (board.has_plenty_of_room(lane), board.is_roomy());
                let next = board.pop(lane, &self.shared.client);
                let has_room = board.has_plenty_of_room(lane);
                if (!had_room && has_room) || (!was_roomy && board.is_roomy()) {
                    self.room.notify_all();
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
                        return Some((Led { lanes: self, lane }, held, counted));
                    }
                    Ok(None) => board.lanes[lane].leader = Leader::Absent,
                    Err(error) => {
                        drop(board);
                        self.shared
                            .fail_for(Error::io("requests that wait on the disk", error));
                        return None;
                    }
                }
                continue;
            }
            if board.is_done() {
                break;
            }
            board.free += 1;
            self.room.notify_all(); // a free thread: readers that wait for room look ahead for it
            self.work.wait(&mut board);
        }
        None
    }

    /// Has every free thread look again.
    fn wake_all(&self, board: &mut Board) {
        board.free = 0;
        self.work.notify_all();
        self.growth.notify_all();
    }
}

/// A lane that a thread leads, until this is dropped.
struct Led<'a> {
    lanes: &'a Lanes,
    lane: usize,
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
        self.let_go(self.lanes.board.lock());
    }
}

/// A request in flight, until this is dropped.
struct Sending<'a> {
    lanes: &'a Lanes,
    lane: usize,
    /// What it takes of the memory. Given back before its thread looks for the next request.
    held: Held,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let mut board = self.lanes.board.lock();
        board.last_end = self.lanes.clock.now();
        board.stands_still = false;
        board.sending -= 1;
        board.lanes[self.lane].sending -= 1;
        board.lanes[self.lane].tally.ended += 1;
        board.growth.ended();
        if board.ready > 0 {
            self.lanes.turn.notify_one();
        }
    }
}

/// A thread that is counted, until this is dropped.
struct Working<'a>(&'a Lanes);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.board.lock().threads -= 1;
        if thread::panicking() {
            let message = "a thread that sends requests has panicked: see standard error";
            self.0.shared.fail_for(Error::Batch(message.to_owned()));
        }
    }
}

impl Watcher for Lanes {
    fn cancelled(&self) {
        // The lock is taken after the token is cancelled: a thread has seen that, or waits by now.
        self.wake_all(&mut self.board.lock());
        self.room.notify_all();
        self.turn.notify_all();
    }
}

impl View for Lanes {
    fn facts(&self) -> Facts {
        let shared = &*self.shared;
        // Asked one by one, and no lock is held while another is taken.
        let (claiming, has_backpressure) =
            (shared.gate.waiting(), shared.backpressure.is_applied());
        let board = self.board.lock();
        let mut facts = Facts {
            is_stopped: shared.stop.is_cancelled(),
            has_backpressure,
            claiming,
            is_open: board.is_open,
            waiting: board.waiting,
            sending: board.sending,
            ready: board.ready,
            most: (board.cap(), board.most),
            capped_by: board.capped_by(),
            ..Facts::default()
        };
        facts.models = board.lanes.iter().map(ModelProgress::of).collect();
        facts
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
}

impl Drop for Entrance {
    fn drop(&mut self) {
        let shared = &self.0.shared;
        if !shared.stop.is_cancelled() {
            shared.watch.is_read();
        }
        let mut board = self.0.board.lock();
        board.is_open = false;
        self.0.wake_all(&mut board);
    }
}
