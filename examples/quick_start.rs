//! One question, one answer.
//!
//! `cargo run --example quick_start --all-features`

mod support;

use std::error::Error;

use support::Service;

fn main() -> Result<(), Box<dyn Error>> {
    let service = Service::start()?;
    // In a program of your own: `paceline::RateLimitedClient::new()?`.
    let client = service.client().build()?;

    let answer = client.chat("Name the largest moon of Saturn.")?;
    println!("{}", answer.text());

    let response = answer.response();
    println!(
        "\nwaited {:?} for the limiter; {} tokens were charged",
        response.waited, response.charged.tokens
    );
    Ok(())
}
