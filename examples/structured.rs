//! An answer of a type of one's own: its JSON schema goes out, and the answer is read into it.
//!
//! `cargo run --example structured --all-features`

mod support;

use std::error::Error;

use paceline::{ChatRequest, Message};
use schemars::JsonSchema;
use serde::Deserialize;
use support::Service;

/// A review in numbers.
#[derive(Debug, Deserialize, JsonSchema)]
struct Review {
    /// From 1 (bad) to 5 (good).
    stars: u8,
    /// What it is about, in one word.
    subject: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let service = Service::start()?;
    let client = service.client().build()?;

    let request = ChatRequest::new([
        Message::system("Rate the review."),
        Message::user("The soup was cold, but the waiter made us laugh."),
    ]);
    let answer = client.chat(request.answer::<Review>().max_completion_tokens(100))?;
    // A refusal, an answer that was cut off and one of another type say so. The simulated API may
    // answer nonsense.
    match answer.json::<Review>() {
        Ok(Review { stars, subject }) => println!("{stars} stars for the {subject}"),
        Err(error) => println!("no review: {error}"),
    }
    Ok(())
}
