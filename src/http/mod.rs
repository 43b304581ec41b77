//! The server's side of HTTP/1.1 (RFC 9112), on threads: what the simulator and the gateway stand on.
//!
//! It reads requests strictly. Where two readers could disagree about the end of a request, the
//! request is refused and its connection closes, so that nothing can be smuggled past a front.

mod body; //       how long a body is, and reading it
mod clock; //      the time of sockets
mod connection; // requests in, responses out, one after the other
mod connections; // all of them, to end them
mod exchange; //   one response
#[cfg(all(
    any(test, fuzzing),
    feature = "batch",
    feature = "redis",
    feature = "sim",
    not(paceline_loom)
))]
pub(crate) mod fuzz; // what a client sends, as inputs of a fuzzer
#[cfg(feature = "gateway")]
mod hang_ups; //   clients that leave while they wait
mod limits; //     what a connection may take
mod request; //    reading requests from a connection
mod response; //   heads of responses
mod server; //     a port and its threads
#[cfg(test)]
mod tests;
mod writing; //    writes that end

pub(crate) use exchange::Exchange;
#[cfg(feature = "gateway")]
pub(crate) use hang_ups::HangUps;
pub(crate) use limits::HttpLimits;
pub(crate) use request::{Malformed, Request};
pub(crate) use response::reason;
pub(crate) use server::{Server, Service};
