//! The types of another crate as bodies and answers: requests are built with those of `async-openai` (types only, so
//! without its async runtime), and sent under this crate's limits.
//!
//! `cargo run --all-features --example foreign_types`

use std::error::Error;

use async_openai::types::chat::{
    ChatCompletionRequestSystemMessageArgs, ChatCompletionRequestUserMessageArgs,
    CreateChatCompletionRequestArgs, CreateChatCompletionResponse,
};
use paceline::sim::{SimAnswer, SimConfig, Simulator};
use paceline::{Limits, RateLimitedClient};

fn main() -> Result<(), Box<dyn Error>> {
    let config = SimConfig::new().answer(|_| SimAnswer::text("Titan."));
    let simulator = Simulator::start(config)?;
    let client = RateLimitedClient::builder()
        .base_url(simulator.base_url())
        .api_key("any")
        .limits(Limits::tokens_per_minute(30_000)?)
        .build()?;

    let request = CreateChatCompletionRequestArgs::default()
        .model("gpt-4o-mini")
        .max_completion_tokens(50_u32)
        .messages([
            ChatCompletionRequestSystemMessageArgs::default()
                .content("Answer in one word.")
                .build()?
                .into(),
            ChatCompletionRequestUserMessageArgs::default()
                .content("Name the largest moon of Saturn.")
                .build()?
                .into(),
        ])
        .build()?;

    // Counted and limited like any other: the body is what counts.
    let prepared = client.prepare("/chat/completions", &request)?;
    println!("reserves {} tokens", prepared.cost().tokens);
    let answer: CreateChatCompletionResponse = prepared.send()?.json()?;
    for choice in answer.choices {
        println!("{}", choice.message.content.unwrap_or_default());
    }

    // The same as a stream.
    let stream = client.post_stream("/chat/completions", &request)?;
    for piece in stream {
        print!("{}", piece?.text());
    }
    println!();
    Ok(())
}
