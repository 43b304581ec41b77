//! What holds for any limiter, held by one that is shared.

use std::thread;
use std::time::{Duration, Instant};

use paceline::{CancelToken, Cost, Error, Limits, RateLimiter, Wait};

use super::server::Server;
use super::support::{SECOND, limiter, store, tokens, until};

#[test]
fn many_threads_are_granted_the_limit_in_few_trips() {
    let Some(server) = Server::start() else {
        return;
    };
    let limiter = limiter(&server.url(), tokens(2_000));
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                for _ in 0..40 {
                    limiter.acquire(Cost::tokens(1)).unwrap();
                }
            });
        }
    });
    let took = start.elapsed();
    // 4,000 at 2,000 a second.
    assert!(took >= SECOND * 19 / 10, "{took:?}");
    assert!(took < SECOND * 10, "{took:?}");
    let seen = limiter.snapshot().store.unwrap();
    eprintln!("{took:?} {seen:?}");
    assert_eq!(seen.booked, 4_000);
    assert!(seen.visits < 400, "{seen:?}");
}
