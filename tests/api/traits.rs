//! What a program may do with the types: send them to threads, and catch panics around them.

use std::panic::{RefUnwindSafe, UnwindSafe};

use paceline::batch::{Progress, Summary};
use paceline::parallel::Workers;
use paceline::{
    AcquireError, CancelToken, ChatStream, Clock, ConfigError, Error, KeyedLimiters, Limits,
    ManualClock, Permit, RateLimitedClient, RateLimiter, Registry, Response, Ticket,
};

fn is_shared<T: Send + Sync>() {}
fn is_sent<T: Send>() {}
fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}

#[test]
fn handles_are_shared_by_threads_and_survive_a_panic() {
    is_shared::<RateLimiter>();
    is_shared::<RateLimitedClient>();
    is_shared::<Registry>();
    is_shared::<KeyedLimiters<String>>();
    #[cfg(feature = "redis")]
    is_shared::<paceline::SharedStore>();
    is_shared::<CancelToken>();
    is_shared::<Clock>();
    is_shared::<ManualClock>();
    is_shared::<Workers>();
    is_shared::<Limits>();
    is_shared::<Permit<'static>>();
    is_sent::<ChatStream>();
    is_sent::<Ticket>();
    is_unwind_safe::<RateLimiter>();
    is_unwind_safe::<RateLimitedClient>();
    is_unwind_safe::<Permit<'static>>();
    is_unwind_safe::<CancelToken>();
}

#[test]
fn what_is_returned_can_be_sent_on() {
    is_shared::<Error>();
    is_shared::<AcquireError>();
    is_shared::<ConfigError>();
    is_shared::<Response>();
    is_shared::<Progress>();
    is_shared::<Summary>();
}
