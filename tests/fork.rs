//! A child of `fork` has none of its parent's threads: a wait in it is an error, and never a hang.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use fork::{Fork, WEXITSTATUS, WIFEXITED, fork, waitpid_nohang};
use paceline::{AcquireError, Clock, Cost, Limits, RateLimiter, Unit};

/// What the child found, as its exit status.
const AS_PROMISED: i32 = 42;
/// More than any machine needs.
const SOON: Duration = Duration::from_secs(30);

/// What a child sees of a limiter that its parent has used: what fits is granted, what waits is refused.
fn child(limiter: &RateLimiter) -> bool {
    let granted = limiter.try_acquire(Cost::tokens(10)).is_ok();
    let waits = limiter.acquire(Cost::tokens(1_000));
    granted && matches!(waits, Err(AcquireError::Scheduler(_)))
}

#[test]
fn a_wait_in_a_child_of_fork_is_an_error_at_once() {
    let limiter = RateLimiter::new(Limits::tokens_per_minute(600_000).unwrap());
    drop(limiter.acquire(Cost::tokens(600_000)).unwrap());
    // A wait, so that the parent's thread runs.
    drop(limiter.acquire(Cost::tokens(1)).unwrap());
    let minute = Duration::from_secs(60);
    limiter.set_level(Unit::Tokens, minute, 20).unwrap();
    match fork().unwrap() {
        // Not by a panic or a return: the harness is the parent's.
        Fork::Child => std::process::exit(if child(&limiter) { AS_PROMISED } else { 1 }),
        Fork::Parent(child) => {
            let begun = Clock::real().now();
            let status = loop {
                if let Some(status) = waitpid_nohang(child).unwrap() {
                    break status;
                }
                if Clock::real().now() - begun > SOON {
                    let _ = std::process::Command::new("kill")
                        .args(["-KILL", &child.to_string()])
                        .status();
                    panic!("the child hangs");
                }
                std::thread::yield_now();
            };
            assert!(WIFEXITED(status), "{status}");
            assert_eq!(WEXITSTATUS(status), AS_PROMISED);
            // Here the thread is, and waits end.
            drop(limiter.acquire(Cost::tokens(1_000)).unwrap());
        }
    }
}
