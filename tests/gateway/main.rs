//! The gateway before the crate's own simulator, over real connections.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests play many clients at once, from plain threads"
)]

mod deadlines; // waits that make no sense
mod harness; //  clients, and servers before and behind the gateway
mod leaving; //  clients that hang up, drains
mod passing; //  requests and responses as they came
mod safety; //   who may ask
mod status; //   what it says of itself
