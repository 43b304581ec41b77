//! Maps within maps, within rayon's operations and across pools: none may hang.

use std::sync::{Arc, Barrier, mpsc};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rayon::prelude::*;

use super::{in_time, workers};
use crate::parallel::{self, Workers};

fn sum(workers: &Workers, depth: u32, width: u64) -> u64 {
    if depth == 0 {
        return 1;
    }
    let parts = workers.map(0..width, |_| sum(workers, depth - 1, width));
    parts.into_iter().sum()
}

fn rayon_pool(threads: usize) -> rayon::ThreadPool {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
    builder.build().unwrap()
}

#[test]
fn maps_nest_on_the_same_threads() {
    in_time(|| {
        for (threads, depth, width) in [(1, 2, 20), (2, 2, 20), (1, 4, 5), (2, 4, 5), (3, 3, 7)] {
            assert_eq!(
                sum(&workers(threads), depth, width),
                width.pow(depth),
                "{width} items, {depth} deep, on {threads} threads"
            );
        }
    });
}

#[test]
fn maps_nest_on_the_shared_threads() {
    in_time(|| assert_eq!(sum(Workers::shared(), 3, 12), 12 * 12 * 12));
}

#[test]
fn parallel_iterators_nest_too() {
    in_time(|| {
        for threads in [1, 2] {
            let workers = workers(threads);
            let outer = workers.map_par(0..20_u64, |_| {
                let inner = (0..20_u64).into_par_iter().map(|item| item + 1);
                workers.map_par(inner, |item| item).into_iter().sum::<u64>()
            });
            assert_eq!(outer, vec![210; 20], "{threads} threads");
        }
    });
}

#[test]
fn maps_run_inside_rayon_s_operations() {
    in_time(|| {
        for threads in [1, 2] {
            let (rayon, workers) = (rayon_pool(threads), workers(threads));
            let found: Vec<u64> = rayon.install(|| {
                let items = (0..50_u64).into_par_iter();
                items.map(|_| sum(&workers, 2, 4)).collect()
            });
            assert_eq!(found, vec![16; 50], "par_iter on {threads} threads");

            let found = Mutex::new(Vec::new());
            rayon.scope(|scope| {
                for _ in 0..10 {
                    scope.spawn(|_| {
                        // Before the lock, or this would be the deadlock that the docs warn of.
                        let count = parallel::map(0..9, |item| item).len();
                        found.lock().push(count);
                    });
                }
            });
            let found = found.into_inner();
            assert_eq!(found, vec![9; 10], "scope on {threads} threads");
        }
    });
}

#[test]
fn rayon_s_operations_run_inside_maps() {
    in_time(|| {
        let (rayon, workers) = (rayon_pool(1), workers(1));
        let found = rayon.install(|| {
            workers.map(0..10_u64, |item| {
                let there: u64 = (0..10_u64).into_par_iter().map(|part| part + item).sum();
                let back: u64 = rayon.install(|| (0..10_u64).into_par_iter().sum());
                there - back
            })
        });
        assert!(found.into_iter().eq((0..10).map(|item| item * 10)));
    });
}

#[test]
fn maps_cross_from_pool_to_pool_and_back() {
    in_time(|| {
        for (a, b) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
            let (first, second) = (workers(a), workers(b));
            let found = first.map(0..6_u64, |_| {
                let there = second.map(0..6_u64, |_| sum(&first, 2, 3));
                there.into_iter().sum::<u64>()
            });
            assert_eq!(found, vec![54; 6], "{a} and {b} threads");
        }
    });
}

#[test]
fn many_callers_share_few_threads() {
    in_time(|| {
        let workers = workers(2);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(sum(&workers, 2, 9), 81));
            }
        });
    });
}

/// Runs one job that waits for a thread of the calling thread's pool, there and then, as a
/// thread that waits for an inner map would.
fn run_a_waiting_job() {
    while rayon::yield_now() != Some(rayon::Yield::Executed) {
        std::thread::yield_now();
    }
}

#[test]
fn a_thread_does_not_serve_a_map_twice_at_a_time() {
    in_time(|| {
        // While it holds the iterator's lock, the only thread of two finds the job that was
        // meant for the other one. To serve it would be to wait for that lock.
        let workers = Arc::new(workers(2));
        let (busy, release) = occupy(&workers);
        let mut is_first = true;
        let items = (0..10).inspect(|_| {
            if std::mem::take(&mut is_first) {
                run_a_waiting_job();
            }
        });
        let found = workers.map(items, |item| item);
        assert!(found.into_iter().eq(0..10));
        drop(release);
        busy.join().unwrap();
    });
}

#[test]
fn a_thread_that_was_turned_to_twice_leaves_the_second_call_to_another() {
    in_time(|| {
        let workers = Arc::new(workers(2));
        let (busy, release) = occupy(&workers);
        let release = Mutex::new(Some(release));
        let both = Barrier::new(2);
        workers.map(0..3, |item| {
            if item == 0 {
                run_a_waiting_job();
                // Now the other thread has nothing to do, and nothing to find.
                release.lock().take();
            } else {
                both.wait(); // only two threads get past
            }
        });
        busy.join().unwrap();
    });
}

/// Keeps one of its threads busy until the sender is dropped.
fn occupy(workers: &Arc<Workers>) -> (JoinHandle<()>, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel::<()>();
    let (started, has_started) = mpsc::channel();
    let workers = Arc::clone(workers);
    let busy = std::thread::spawn(move || {
        let occupation = [(started, released)];
        workers.map(occupation, |(started, released)| {
            started.send(()).unwrap();
            let _ = released.recv(); // an error: its sender is gone
        });
    });
    has_started.recv().unwrap();
    (busy, release)
}
