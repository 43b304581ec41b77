//! How large a request is: tokens and characters of its prompt, and its output cap.
//!
//! Counting is done here, before anything is sent, so that a limiter can be asked for the right
//! amount. The server bills tokens but admits by an estimate from characters, so both are
//! counted, and a [`PromptRule`] says which of them is reserved.
//!
//! ```
//! use paceline::Accounting;
//! use paceline::tokens::{Endpoint, ModelTable, PromptRule, estimate};
//! use serde_json::json;
//!
//! let body = json!({
//!     "model": "gpt-4o",
//!     "messages": [{ "role": "user", "content": "tiktoken is great!" }],
//!     "max_completion_tokens": 100,
//! });
//! let profile = ModelTable::global().profile("gpt-4o");
//! let estimate = estimate(Endpoint::Chat, &body, &profile, PromptRule::Larger, 1_000);
//! assert_eq!((estimate.prompt, estimate.output), (13, 100));
//!
//! let cost = Accounting::PromptPlusCap.reserve(estimate.prompt, estimate.output);
//! assert_eq!(cost.tokens, 113);
//! ```

mod audio; //     what a sound counts as
mod base64; //    data in a request, decoded as far as it is read
mod boundary; //  where a text can be cut
mod chat; //      messages and their parts, with the overhead of the chat format
mod counter; //   text to tokens, in one encoding
mod encoding; //  which encoding a model uses, and counting in it
mod endpoint; //  what kind of request a path is for
mod estimate; //  prompt and output of a whole request, by endpoint
mod files; //     what a file counts as
mod image; //     what an image counts as, by its size
mod input; //     plain inputs: strings, lists of strings, ready-made tokens
mod json; //      values as the JSON that they are sent as
mod learned; //   how many tokens answers take, from those that were seen
mod many; //      many texts or requests, on all cores
mod media; //     parts that hold no text
mod messages; // requests for /v1/messages
mod models; //    which model is counted how: a dated table
mod output; //    output caps, and how often they apply
mod reader; //    counting what is read, however much it is
mod responses; // requests in the Responses format
mod segment; //   cutting long texts where that changes nothing
mod tally; //     the running sum of tokens and characters
mod tools; //     definitions of tools, and schemas

pub use encoding::Encoding;
pub use endpoint::Endpoint;
pub use estimate::{Estimate, PromptRule, estimate};
pub use image::Detail;
pub(crate) use learned::{OutputSizes, Quantile};
pub use many::estimate_all;
pub use models::{ModelTable, Profile};

#[cfg(test)]
mod tests;
