//! Whose turn it is: requests wait in a lane for each limiter, and threads take turns in leading one.
//!
//! The thread that leads a lane takes its first request and waits until the limiter admits it. Then
//! it lets go of the lane, for another thread to lead, and sends the request itself. So in each
//! lane one thread waits for the limiter and all others wait for the network; a model that waits
//! holds up no other; and between admission and sending no request changes hands.
//!
//! Threads are started when a lane needs a leader and none is free, up to a bound: there are as
//! many as were ever needed at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::count::{Counted, start};
use super::lane::{Lane, Leader};
use super::run::Shared;
use super::send::send;
use crate::limiter::Watcher;
use crate::{Error, Result};

/// What all lanes together put onto the disk, at most, in bytes. It lets a run look ahead for
/// requests of other models. Beyond that reading waits, as it does when the disk is full: until half
/// of it is free again, for other models may need it before all of it is.
const SPOOL: u64 = 256 * 1024 * 1024;

/// The lanes of all limiters, and the threads that lead them.
///
/// # Locking
///
/// One lock guards the board. Nobody holds it while it waits for a limiter or the network. Who waits
/// for something on it is woken under it: a free thread when a lane needs a leader, when all is
/// done, and when the run is stopped; those who bring requests when a lane or the disk that was full
/// has been half emptied, when a thread has nothing to do, and when the run is stopped.
pub(super) struct Lanes {
    shared: Arc<Shared>,
    board: Mutex<Board>,
    work: Condvar,
    room: Condvar,
    me: Weak<Lanes>,
}

struct Board {
    names: HashMap<String, usize>,
    lanes: Vec<Lane>,
    /// Lanes that need a leader, the one that has waited longest first.
    called: VecDeque<usize>,
    threads: usize,
    most: usize,
    /// Those of them that wait for work, and have not been woken for it.
    free: usize,
    /// Whether more requests may come.
    is_open: bool,
    /// Whether the disk takes what does not fit into memory.
    spools: bool,
}

/// Where requests come in. The lanes end when it is dropped and they are empty.
pub(super) struct Entrance(Arc<Lanes>);

impl Lanes {
    /// Lanes that send with at most so many threads.
    pub(super) fn open(shared: Arc<Shared>, most: usize) -> Entrance {
        let lanes = Arc::new_cyclic(|me| Self {
            board: Mutex::new(Board {
                names: HashMap::new(),
                lanes: Vec::new(),
                called: VecDeque::new(),
                threads: 0,
                most: most.max(1),
                free: 0,
                is_open: true,
                spools: true,
            }),
            work: Condvar::new(),
            room: Condvar::new(),
            shared,
            me: Weak::clone(me),
        });
        let watcher = Arc::downgrade(&lanes) as Weak<dyn Watcher>;
        lanes.shared.stop.watch(&watcher);
        Entrance(lanes)
    }

    fn put(&self, counted: Counted) -> Result<()> {
        let table = self.shared.client.registry().table();
        let family = table.family_of(counted.request.model());
        let mut board = self.board.lock();
        let lane = board.lane(family);
        loop {
            if self.shared.stop.is_cancelled() {
                return Ok(()); // it stays undone
            }
            if board.lanes[lane].has_room() {
                board.lanes[lane].push(counted);
                break;
            }
            if board.spool(lane, &counted) {
                break;
            }
            while !board.has_plenty_of_room(lane) && !self.shared.stop.is_cancelled() {
                self.room.wait(&mut board);
            }
        }
        self.call(board, lane)
    }

    /// Sees to it that somebody leads a lane in which somebody waits.
    fn call(&self, mut board: MutexGuard<'_, Board>, lane: usize) -> Result<()> {
        if board.lanes[lane].leader != Leader::Nobody || board.lanes[lane].is_empty() {
            return Ok(());
        }
        board.lanes[lane].leader = Leader::Called;
        board.called.push_back(lane);
        if board.free > 0 {
            board.free -= 1;
            self.work.notify_one();
            return Ok(());
        }
        if board.threads == board.most {
            return Ok(()); // the next one to get free finds it
        }
        board.threads += 1;
        drop(board);
        let Some(me) = self.me.upgrade() else {
            return Ok(());
        };
        let Err(error) = start("paceline-send", move || me.work()) else {
            return Ok(());
        };
        let mut board = self.board.lock();
        board.threads -= 1;
        match board.threads {
            0 => Err(error),
            _ => {
                // The system is out of threads. Those that there are do it.
                log::warn!("{error}");
                Ok(())
            }
        }
    }

    /// What each thread does.
    fn work(&self) {
        let _counted = Working(self);
        let wait = self.shared.wait();
        while let Some((led, counted)) = self.next() {
            let Counted {
                custom_id,
                fingerprint,
                request,
                ..
            } = counted;
            self.shared.brake.pass();
            let cost = request.cost();
            if let Some(error) = self.shared.never(&request) {
                drop(led);
                self.shared
                    .refused(custom_id, fingerprint, Duration::ZERO, &error);
                continue;
            }
            let Some(claim) = self.shared.claim(&request) else {
                continue; // the run ends: it stays undone
            };
            let admitted = request.admit(wait);
            drop(led);
            match admitted {
                Ok(admitted) => {
                    self.shared.watch.admitted(cost);
                    self.shared.history.admitted(&admitted);
                    send(&self.shared, custom_id, fingerprint, admitted, claim);
                }
                Err(error) => {
                    self.shared
                        .refused(custom_id, fingerprint, Duration::ZERO, &error);
                }
            }
        }
    }

    /// The next request of a lane that nobody leads. None when there is nothing more to do.
    fn next(&self) -> Option<(Led<'_>, Counted)> {
        let mut board = self.board.lock();
        loop {
            if self.shared.stop.is_cancelled() {
                break;
            }
            if let Some(lane) = board.called.pop_front() {
                board.lanes[lane].leader = Leader::Somebody;
                let had_room = board.has_plenty_of_room(lane);
                let next = board.lanes[lane].pop(&self.shared.client);
                if !had_room && board.has_plenty_of_room(lane) {
                    self.room.notify_all();
                }
                match next {
                    Ok(Some(counted)) => {
                        if board.is_done() {
                            self.wake_all(&mut board);
                        }
                        return Some((Led { lanes: self, lane }, counted));
                    }
                    Ok(None) => board.lanes[lane].leader = Leader::Nobody,
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
            self.room.notify_all(); // there is somebody to look ahead for
            self.work.wait(&mut board);
        }
        None
    }

    /// Has every free thread look again.
    fn wake_all(&self, board: &mut Board) {
        board.free = 0;
        self.work.notify_all();
    }
}

/// A lane that a thread leads, until this is dropped.
struct Led<'a> {
    lanes: &'a Lanes,
    lane: usize,
}

impl Drop for Led<'_> {
    fn drop(&mut self) {
        let mut board = self.lanes.board.lock();
        board.lanes[self.lane].leader = Leader::Nobody;
        if let Err(error) = self.lanes.call(board, self.lane) {
            log::warn!("{error}"); // this thread comes back for it
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

impl Board {
    fn lane(&mut self, family: &str) -> usize {
        if let Some(lane) = self.names.get(family) {
            return *lane;
        }
        let lane = self.lanes.len();
        self.lanes.push(Lane::new());
        self.names.insert(family.to_owned(), lane);
        lane
    }

    fn spooled(&self) -> u64 {
        self.lanes.iter().map(Lane::spooled).sum()
    }

    /// Whether to look ahead: while all threads are busy, nobody could send what is found.
    fn looks_ahead(&self) -> bool {
        self.spools && (self.free > 0 || self.threads < self.most)
    }

    /// Whether those who wait to bring a request may go on, in memory or on the disk.
    fn has_plenty_of_room(&self, lane: usize) -> bool {
        self.lanes[lane].has_plenty_of_room() || (self.looks_ahead() && self.spooled() <= SPOOL / 2)
    }

    /// Puts a request onto the disk, if that is to be and can be.
    fn spool(&mut self, lane: usize, counted: &Counted) -> bool {
        if !self.looks_ahead() || self.spooled() >= SPOOL {
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
    fn is_done(&self) -> bool {
        !self.is_open && self.lanes.iter().all(Lane::is_empty)
    }
}

impl Watcher for Lanes {
    fn cancelled(&self) {
        self.wake_all(&mut self.board.lock());
        self.room.notify_all();
    }
}

impl Entrance {
    /// Puts a request into the lane of its limiter. Blocks while there are too many.
    ///
    /// # Errors
    ///
    /// [`Error::Threads`] when there is no thread at all to send it.
    pub(super) fn put(&self, counted: Counted) -> Result<()> {
        self.0.put(counted)
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        let mut board = self.0.board.lock();
        board.is_open = false;
        self.0.wake_all(&mut board);
    }
}
