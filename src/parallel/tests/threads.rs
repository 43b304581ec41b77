//! Threads that can and cannot be started.

use rayon::ThreadPoolBuilder;

use super::{account_error, in_time};
use crate::Error;
use crate::parallel::{MapError, Skipped, Workers};

#[test]
fn numbers_of_threads_that_no_pool_can_have_are_errors() {
    let none = Workers::new(0).unwrap_err();
    assert_eq!(none.to_string(), "threads: at least 1 is needed");
    let too_many = Workers::new(usize::MAX).unwrap_err();
    assert!(matches!(
        too_many,
        Error::Threads {
            threads: usize::MAX,
            ..
        }
    ));
}

#[test]
fn threads_that_the_system_does_not_give_are_an_error() {
    // No address space has room for such stacks.
    let builder = ThreadPoolBuilder::new().stack_size(1 << 60);
    let refused = Workers::build(2, builder).unwrap_err();
    assert!(
        matches!(refused, Error::Threads { threads: 2, .. }),
        "{refused}"
    );
}

#[test]
fn without_threads_the_caller_s_does_everything_in_turn() {
    in_time(|| {
        let here = std::thread::current().id();
        let found = Workers::NONE.map(0..5, |item| (item, std::thread::current().id()));
        assert!(found.into_iter().eq((0..5).map(|item| (item, here))));

        let results = Workers::NONE.try_map(0..3, |item| match item {
            1 => Err(account_error()),
            _ => Ok(item),
        });
        assert!(matches!(
            results[..],
            [Ok(0), Err(_), Err(MapError::Skipped(Skipped::Stopped))]
        ));

        let doubled = Workers::NONE.map_par(0..3, |item| item * 2);
        assert_eq!(doubled, [0, 2, 4]);
        assert_eq!(Workers::NONE.threads(), 1);
    });
}

#[test]
fn debug_output_names_the_number_of_threads() {
    let workers = Workers::new(3).unwrap();
    assert_eq!(format!("{workers:?}"), "Workers { threads: 3, .. }");
    assert_eq!(
        format!("{:?}", workers.options().on_progress(|_| {})),
        "MapOptions { workers: Workers { threads: 3, .. }, bounds: Bounds { clock: Clock::real, \
         deadline: None, cancel: None }, on_progress: true, .. }"
    );
}
