//! Everything that reads what others write, as targets of a fuzzer: any bytes, no panic.
//!
//! Built for tests and with `--cfg fuzzing`. `tests/fuzz/corpus` holds inputs for each target, which
//! the tests replay and change at random; `fuzz/` has the same targets for `cargo fuzz`.

mod mutate; // inputs changed at random, from a seed
#[cfg(test)]
mod tests;

pub use mutate::Mutator;

use crate::{batch, client, http, limiter};

/// A name, which is that of its folder in the corpus, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 11] = [
    ("headers", client::fuzz::headers),
    ("error-bodies", client::fuzz::error_body),
    ("success-bodies", client::fuzz::success_body),
    ("events", client::fuzz::events),
    ("requests", batch::fuzz::requests),
    ("rows", batch::fuzz::rows),
    ("prompts", batch::fuzz::prompt),
    ("toml", batch::fuzz::toml),
    ("results", batch::fuzz::results),
    ("http", http::fuzz::requests),
    ("store", limiter::fuzz::answers),
];

/// Runs the target of this name on an input.
///
/// # Panics
///
/// Where no target is called so, and where the input shows a fault.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    assert!(target.is_some(), "no target is called {name}");
    if let Some((_, target)) = target {
        target(bytes);
    }
}
