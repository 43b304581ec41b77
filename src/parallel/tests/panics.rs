//! A panic reaches the caller, and costs no thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{in_time, workers};
use crate::parallel::Workers;

/// The text of the panic that `run` ends with.
fn panic_of(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    payload.downcast_ref::<String>().unwrap().clone()
}

fn all_threads_work(workers: &Workers) {
    let all = Barrier::new(workers.threads());
    workers.map(0..workers.threads(), |_| all.wait());
}

#[test]
fn a_panic_in_the_closure_reaches_the_caller_and_no_thread_is_lost() {
    in_time(|| {
        for threads in [1, 2, 5] {
            let workers = workers(threads);
            for round in 0..3 {
                let step = format!("round {round} on {threads} threads");
                // Without end: so the others stop, or this hangs.
                let text = panic_of(|| {
                    workers.map(0_u64.., |item| assert!(item != 3, "no {item}"));
                });
                assert_eq!(text, "no 3", "{step}");
                all_threads_work(&workers);
            }
        }
    });
}

#[test]
fn a_panic_in_the_iterator_or_the_report_reaches_the_caller() {
    in_time(|| {
        let workers = workers(2);
        let items = (0..10).inspect(|item| assert!(*item != 5, "no {item}"));
        assert_eq!(panic_of(|| drop(workers.map(items, |item| item))), "no 5");
        let watched = workers.options().on_progress(|progress| {
            assert!(progress.done != 2, "not {}", progress.done);
        });
        assert_eq!(panic_of(|| drop(watched.map(0..10, |item| item))), "not 2");
        all_threads_work(&workers);
    });
}

#[test]
fn a_panic_in_an_inner_map_reaches_the_outer_caller() {
    in_time(|| {
        for threads in [1, 2] {
            let workers = workers(threads);
            let text = panic_of(|| {
                workers.map(0..3, |_| {
                    workers.map(0..3, |item| assert!(item != 1, "no {item}"));
                });
            });
            assert_eq!(text, "no 1", "{threads} threads");
            all_threads_work(&workers);
        }
    });
}

#[test]
fn a_map_inside_a_destructor_of_a_panicking_thread_is_whole() {
    struct MapsAtTheEnd<'a>(&'a Workers, &'a AtomicUsize);
    impl Drop for MapsAtTheEnd<'_> {
        fn drop(&mut self) {
            self.0
                .map(0..100, |_| self.1.fetch_add(1, Ordering::Relaxed));
        }
    }
    in_time(|| {
        for workers in [workers(2), Workers::NONE] {
            let runs = AtomicUsize::new(0);
            let text = panic_of(|| {
                let _guard = MapsAtTheEnd(&workers, &runs);
                panic!("{}", "at last".to_owned());
            });
            assert_eq!((text.as_str(), runs.into_inner()), ("at last", 100));
        }
    });
}
