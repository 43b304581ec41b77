//! How large a request is: tokens and characters of its prompt, and its output cap.
//!
//! Counting is done here, before anything is sent, so that a limiter can be asked for the right
//! amount. The server bills tokens but admits by an estimate from characters, so both are
//! counted, and a [`PromptRule`] says which of them is reserved.
//!
//! ```
//! use paceline::Charge;
//! use paceline::tokens::{Encoding, Endpoint, PromptRule, estimate};
//! use serde_json::json;
//!
//! let body = json!({
//!     "model": "gpt-4o",
//!     "messages": [{ "role": "user", "content": "tiktoken is great!" }],
//!     "max_completion_tokens": 100,
//! });
//! let encoding = Encoding::for_model("gpt-4o");
//! let estimate = estimate(Endpoint::Chat, &body, encoding, PromptRule::Larger, 1_000);
//! assert_eq!((estimate.prompt, estimate.output), (13, 100));
//!
//! let cost = Charge::Sum.reserve(estimate.prompt, estimate.output);
//! assert_eq!(cost.tokens, 113);
//! ```

mod chat; //     messages, items and tools, with the overhead of the chat format
mod counter; //  text to tokens, in one encoding
mod encoding; // which encoding a model uses, and counting in it
mod endpoint; // what kind of request a path is for
mod estimate; // prompt and output of a whole request, by endpoint
mod input; //    plain inputs: strings, lists of strings, ready-made tokens
mod learned; //  how many tokens answers take, from those that were seen
mod output; //   output caps, and how often they apply
mod reader; //   counting what is read, however much it is
mod segment; //  cutting long texts where that changes nothing
mod tally; //    the running sum of tokens and characters

pub use chat::MEDIA_TOKENS;
pub use encoding::Encoding;
pub use endpoint::Endpoint;
pub use estimate::{Estimate, PromptRule, estimate};
pub(crate) use learned::{OutputSizes, Quantile};
