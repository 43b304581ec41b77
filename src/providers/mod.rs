//! What providers report of their limits and errors, and what they expect in requests: a dated table, and the
//! pure reading of responses by it.
//!
//! The table is data ([`ProviderTable`]). It says which header means which unit and period, what errors mean,
//! where a wait stands, and how a provider is asked.
#![cfg_attr(
    not(feature = "client"),
    allow(
        dead_code,
        unused_imports,
        unreachable_pub,
        rustdoc::broken_intra_doc_links,
        reason = "without the client a part of it only observes"
    )
)]

mod clock; //     the forms in which headers tell times
mod day; //       when a provider's day ends
mod dialect; //   the rules for one server's responses
mod durations; // times in every form that servers write
mod effective; // the status that an error inside a success stands for
mod errors; //    the error in a body, and its kind
mod file; //      the table in TOML
mod form; //      a chat request in a provider's own form
mod headers; //   how limits stand
mod observe; //   for limiters without the client
mod provider; //  one entry of the table
mod quotas; //    what an error names as used up
mod reading; //   what one response says
mod refusals; //  which limit a 429 is about
mod table; //     the table
#[cfg(test)]
mod tests; //     whatever a server sends

pub use provider::{OutputCap, Provider};
pub use table::ProviderTable;

pub(crate) use errors::{Inside, quote};
pub(crate) use form::CHAT;
#[cfg(feature = "batch")]
pub(crate) use form::messages_body;
pub(crate) use reading::Reading;

use crate::error::ApiError;
use crate::observation::Refusal;

/// What the message of a refusal says of the limit that it is for.
pub(crate) fn refusal_in(error: &ApiError) -> Refusal {
    refusals::refusal(error, false, &ProviderTable::global().any().words)
}
