//! The simulator over real connections.

#![allow(
    clippy::disallowed_methods,
    reason = "these tests play many clients at once, from plain threads"
)]

mod answers; //   shapes of answers
mod client; //    a small HTTP client that can also misbehave
mod dialects; //  what clients of other providers see
mod faults; //    what goes wrong
mod lifecycle; // threads and connections end
mod limits; //    admission as clients see it
mod script; //    answers that a test has written
mod servers; //   other ways to charge, count and speak
mod shapes; //    tools, schemas, streams
mod wire; //      HTTP, well and badly spoken

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use client::{Answer, Client};

const CHAT: &str = "/v1/chat/completions";

fn start(config: SimConfig) -> Simulator {
    Simulator::start(config).unwrap()
}

fn limits(tokens: impl Into<Option<u64>>, requests: impl Into<Option<u64>>) -> SimLimits {
    SimLimits::none()
        .tokens_per_minute(tokens.into())
        .requests_per_minute(requests.into())
}

/// Waits until the condition holds: however slow the machine, but not for ever.
fn until(mut condition: impl FnMut() -> bool) {
    let start = clock::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never holds");
        thread::yield_now();
    }
}

/// A chat request of `prompt` tokens by the simulator's estimate, of which the role is one.
fn chat(prompt: usize, cap: u64) -> Value {
    let content = "a".repeat((prompt - 1) * 4);
    json!({
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": content}],
        "max_completion_tokens": cap,
    })
}
