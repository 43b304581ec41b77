//! Outcomes on a made-up disk.

use crossbeam_channel::unbounded;
use std::io;

use super::super::fingerprint::Fingerprint;
use super::super::input::BadLine;
use super::super::wait::StopSignal;
use super::*;
use crate::batch::events::Events;
use crate::batch::events::listener::Listener;
use crate::batch::events::notice::Notices;
use crate::batch::write::backpressure::WriteBackpressure;
use crate::limiter::{CancelToken, Clock};

const HOUR: Duration = Duration::from_secs(3_600);

/// Times in which nothing ends but what a test makes end.
const CALM: Times = Times {
    sync_every: HOUR,
    disk_full_timeout: HOUR,
    grace: HOUR,
    retry_every: Duration::ZERO,
};

/// A disk that fails `failures` times.
struct Disk<'a> {
    failures: usize,
    is_file: bool,
    sync_fails: bool,
    written: Vec<Record>,
    tries: usize,
    /// How much had been written at each sync.
    syncs: Vec<usize>,
    synced: Option<Sender<()>>,
    /// Whether new requests were held up, at each try.
    held_up: Vec<bool>,
    backpressure: &'a WriteBackpressure,
}

impl Sink for Disk<'_> {
    fn write(&mut self, record: &Record) -> Result<()> {
        self.tries += 1;
        self.held_up.push(self.backpressure.is_applied());
        if self.failures > 0 {
            self.failures -= 1;
            return Err(full());
        }
        self.written.push(record.clone());
        Ok(())
    }

    fn may_try_again(&mut self, _: &Record) -> bool {
        self.is_file
    }

    fn sync(&mut self) -> Result<()> {
        self.syncs.push(self.written.len());
        let _ = self.synced.as_ref().map(|synced| synced.send(()));
        match self.sync_fails {
            true => Err(full()),
            false => Ok(()),
        }
    }
}

fn full() -> Error {
    Error::io("r.jsonl", io::ErrorKind::StorageFull.into())
}

fn answered(number: usize) -> Outcome {
    let error = Error::InvalidResponse {
        url: "http://h".to_owned(),
        message: "no".to_owned(),
    };
    Outcome::failed(Record::failure(number.to_string(), Fingerprint(0), &error))
}

fn bad() -> Outcome {
    let line = BadLine {
        line: 1,
        custom_id: None,
        message: "no".to_owned(),
    };
    Outcome::failed(Record::bad_line(line))
}

impl<S: Sink> Sink for &mut S {
    fn write(&mut self, record: &Record) -> Result<()> {
        (**self).write(record)
    }

    fn may_try_again(&mut self, record: &Record) -> bool {
        (**self).may_try_again(record)
    }

    fn sync(&mut self) -> Result<()> {
        (**self).sync()
    }
}

/// What a test needs around a disk.
struct World {
    events: Arc<Events>,
    backpressure: WriteBackpressure,
    stop: CancelToken,
    /// Outcomes that have come.
    came: Arc<AtomicUsize>,
    /// How many had come when the run was first stopped.
    came_before_stop: Arc<Mutex<Option<usize>>>,
}

impl World {
    fn new() -> Self {
        let stop = CancelToken::new();
        Self {
            events: Events::of_test(Listener::default(), Notices::default(), &stop),
            backpressure: WriteBackpressure::new(&stop),
            stop,
            came: Arc::default(),
            came_before_stop: Arc::default(),
        }
    }

    fn disk(&self, failures: usize) -> Disk<'_> {
        Disk {
            failures,
            is_file: true,
            sync_fails: false,
            written: Vec::new(),
            tries: 0,
            syncs: Vec::new(),
            synced: None,
            held_up: Vec::new(),
            backpressure: &self.backpressure,
        }
    }

    fn writing(&self, times: Times) -> Writing {
        let (stop, came) = (self.stop.clone(), Arc::clone(&self.came));
        let before = Arc::clone(&self.came_before_stop);
        Writing {
            times,
            clock: Clock::real(),
            events: Arc::clone(&self.events),
            simulated: false,
            backpressure: self.backpressure.clone(),
            stop: Box::new(move || {
                before.lock().get_or_insert(came.load(Ordering::SeqCst));
                stop.cancel();
            }),
            is_hopeless: Box::new(|| false),
        }
    }

    /// Writes outcomes that come one after the other, before the flush timer begins.
    fn write(&self, disk: &mut Disk<'_>, times: Times, outcomes: Vec<Outcome>) -> Written {
        let (open, done) = bounded(0);
        self.write_until(disk, times, outcomes, &done, || drop(open))
    }

    fn write_until(
        &self,
        disk: &mut Disk<'_>,
        times: Times,
        outcomes: Vec<Outcome>,
        done: &Receiver<()>,
        end: impl FnOnce(),
    ) -> Written {
        let stop_signal = StopSignal::on(&self.stop);
        let (result_writer, flush_timer) = result_writer(disk, self.writing(times));
        for outcome in outcomes {
            self.came.fetch_add(1, Ordering::SeqCst);
            result_writer.take(outcome);
        }
        end();
        let (_, written) = flush_timer.keep(done, &stop_signal.stopped);
        result_writer.take(answered(usize::MAX)); // too late, and not written
        written
    }
}

fn numbers(count: usize) -> Vec<Outcome> {
    (0..count).map(answered).collect()
}

fn records(of: Vec<Outcome>) -> Vec<String> {
    let json = |outcome: Outcome| -> serde_json::Value {
        serde_json::from_slice(&outcome.record.line).unwrap()
    };
    of.into_iter()
        .map(json)
        .map(|line| line["custom_id"].to_string())
        .collect()
}

fn written(disk: &Disk<'_>) -> Vec<String> {
    let outcome = |record: &Record| Outcome::failed(record.clone());
    records(disk.written.iter().map(outcome).collect())
}

#[test]
fn what_cannot_be_written_is_kept_in_order_until_there_is_room() {
    for failures in [1, 2, 5] {
        let world = World::new();
        let mut disk = world.disk(failures);
        let written_ = world.write(&mut disk, CALM, numbers(10));
        assert!(written_.failure.is_none(), "{written_:?}");
        assert_eq!(written(&disk), records(numbers(10)));
        assert_eq!(
            world.events.watch().progress().failed,
            10,
            "each counts once"
        );
        assert!(!world.stop.is_cancelled());
        // From the first failure on, and not any more at the end.
        let open = [&disk.held_up[..1], &disk.held_up[disk.tries..]].concat();
        assert_eq!(open, [false]);
        assert!(disk.held_up[1..=failures].iter().all(|held_up| *held_up));
        assert!(!world.backpressure.is_applied());
    }
}

#[test]
fn a_second_outage_is_waited_for_as_the_first() {
    let world = World::new();
    let mut disk = world.disk(3);
    world.write(&mut disk, CALM, numbers(3));
    disk.failures = 3;
    let ended = world.write(&mut disk, CALM, numbers(3));
    assert!(ended.failure.is_none(), "{ended:?}");
    assert_eq!(disk.written.len(), 6);
}

#[test]
fn when_patience_ends_the_run_does_and_says_what_is_lost() {
    for disk_full_timeout in [Duration::ZERO, Duration::from_millis(5)] {
        let world = World::new();
        let mut disk = world.disk(usize::MAX);
        let mut outcomes = numbers(3);
        outcomes.push(bad());
        let times = Times {
            disk_full_timeout,
            ..CALM
        };
        let ended = world.write(&mut disk, times, outcomes);
        let error = ended.failure.unwrap().to_string();
        assert!(error.starts_with("r.jsonl: "), "{error}");
        let end = "; 3 answered requests could not be written, and will be sent again";
        assert!(error.ends_with(end), "{error}");
        assert!(world.stop.is_cancelled() && disk.written.is_empty());
        assert_eq!(world.events.watch().progress().failed, 0);
    }
}

#[test]
fn room_that_comes_too_late_saves_what_is_under_way() {
    let world = World::new();
    let mut disk = world.disk(2);
    let times = Times {
        disk_full_timeout: Duration::ZERO,
        ..CALM
    };
    let ended = world.write(&mut disk, times, numbers(4));
    let error = ended.failure.unwrap().to_string();
    assert_eq!(
        error,
        full().to_string(),
        "the run ends, and nothing is lost"
    );
    assert!(world.stop.is_cancelled());
    assert_eq!(written(&disk), records(numbers(4)));
}

#[test]
fn memory_does_not_grow_with_what_is_kept() {
    let world = World::new();
    let mut disk = world.disk(usize::MAX);
    let times = Times {
        retry_every: HOUR,
        disk_full_timeout: Duration::from_secs(10), // should the bound be missing
        ..CALM
    };
    world.write(&mut disk, times, numbers(3 * MOST_KEPT));
    assert_eq!(*world.came_before_stop.lock(), Some(MOST_KEPT + 1));
}

#[test]
fn what_may_stand_there_in_part_is_not_written_again() {
    let world = World::new();
    let mut disk = world.disk(1);
    disk.is_file = false;
    let ended = world.write(&mut disk, CALM, numbers(3));
    let error = ended.failure.unwrap().to_string();
    assert!(error.contains("3 answered requests"), "{error}");
    assert_eq!((disk.tries, disk.written.len()), (1, 0));
    assert!(world.stop.is_cancelled());
}

#[test]
fn a_run_that_is_stopped_is_left_when_its_grace_is_over() {
    for grace in [Duration::ZERO, Duration::from_millis(5)] {
        let world = World::new();
        let mut disk = world.disk(0);
        let (open, done) = bounded(0);
        (0..2).for_each(|_| world.events.emit(RunEvent::Sent));
        world.stop.cancel();
        let times = Times { grace, ..CALM };
        let ended = world.write_until(&mut disk, times, numbers(3), &done, || ());
        assert_eq!(ended.abandoned, 2);
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
        assert_eq!(disk.written.len(), 3);
        drop(open);
    }
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "who stands first in the queue for a lock tells nobody"
)]
fn who_waits_to_write_when_the_grace_is_over_still_writes() {
    let world = World::new();
    let grace = Duration::from_millis(1);
    let times = Times { grace, ..CALM };
    let mut disk = world.disk(0);
    let mut writing = world.writing(times);
    let (begun, begins) = bounded(0);
    let (go, goes) = bounded::<()>(0);
    let listener = Listener::new(move |_| {
        let _ = begun.send(());
        let _ = goes.recv(); // until it is dropped
    });
    writing.events = Events::of_test(listener, Notices::default(), &world.stop);
    let stop_signal = StopSignal::on(&world.stop);
    let (_open, done) = bounded(0);
    let (result_writer, flush_timer) = result_writer(&mut disk, writing);
    std::thread::scope(|scope| {
        let (result_writer, done, stopped) = (&result_writer, &done, &stop_signal.stopped);
        let a_moment = || std::thread::sleep(Duration::from_millis(20));
        let keeping = scope.spawn(move || flush_timer.keep(done, stopped).1);
        a_moment(); // it waits for something to do
        scope.spawn(|| result_writer.take(answered(0)));
        begins.recv().unwrap();
        drop(begins);
        world.stop.cancel();
        a_moment(); // and now for the lock, before all others
        for number in 1..4 {
            scope.spawn(move || result_writer.take(answered(number)));
        }
        while result_writer.waiting.load(Ordering::SeqCst) < 3 {
            std::thread::yield_now();
        }
        a_moment();
        drop(go);
        assert!(keeping.join().unwrap().failure.is_none());
    });
    drop(result_writer);
    assert_eq!(disk.written.len(), 4);
}

#[test]
fn a_run_that_is_stopped_does_not_wait_when_nothing_is_under_way() {
    let world = World::new();
    let mut disk = world.disk(0);
    world.stop.cancel();
    let ended = world.write(&mut disk, CALM, numbers(3));
    assert_eq!((ended.abandoned, disk.written.len()), (0, 3));
}

#[test]
fn lines_are_synced_in_groups_or_each() {
    for (sync_every, syncs) in [(HOUR, vec![3]), (Duration::ZERO, vec![1, 2, 3])] {
        let world = World::new();
        let mut disk = world.disk(0);
        let times = Times { sync_every, ..CALM };
        world.write(&mut disk, times, numbers(3));
        assert_eq!(disk.syncs, syncs);
    }
}

#[test]
fn a_line_is_synced_in_time_when_no_other_follows() {
    let world = World::new();
    let (open, done) = bounded::<()>(0);
    let (synced, heard) = unbounded();
    let mut disk = world.disk(0);
    disk.synced = Some(synced);
    let times = Times {
        sync_every: Duration::from_millis(1),
        ..CALM
    };
    std::thread::scope(|scope| {
        // The outcomes do not end before this one is on the disk.
        let waiting = scope.spawn(move || heard.recv().map(|()| drop(open)));
        world.write_until(&mut disk, times, numbers(1), &done, || ());
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(disk.syncs, [1]);
}

#[test]
fn a_sync_that_fails_stops_the_run() {
    let world = World::new();
    let mut disk = world.disk(0);
    disk.sync_fails = true;
    let times = Times {
        sync_every: Duration::ZERO,
        ..CALM
    };
    let ended = world.write(&mut disk, times, numbers(2));
    assert_eq!(ended.failure.unwrap().to_string(), full().to_string());
    assert!(world.stop.is_cancelled());
    assert_eq!(disk.written.len(), 2, "what is under way is still taken");
}
