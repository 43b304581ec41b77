//! One budget for everybody: plain threads, each with a clone of one client, stay together
//! under one limit without knowing of each other.
//!
//! `cargo run --example shared_budget --all-features`

mod support;

use std::error::Error;
use std::thread;
use std::time::Duration;

use paceline::{ChatRequest, Limits, Message, RateLimitedClient};
use support::Service;

const CITIES: [&str; 6] = ["Lima", "Oslo", "Cairo", "Hanoi", "Quito", "Tunis"];
const SUBJECTS: [&str; 5] = ["music", "food", "weather", "history", "trams"];

fn main() -> Result<(), Box<dyn Error>> {
    let service = Service::start()?;
    // 500 tokens a second, of which those of one second may be spent at once.
    let limits = Limits::builder()
        .tokens_per_minute(30_000)
        .requests_per_minute(500)
        .with_burst_duration(Duration::from_secs(1))
        .build()?;
    let client = service.client().limits(limits).build()?;

    thread::scope(|scope| {
        for city in CITIES {
            let client = client.clone(); // the same limits, connections and counters
            scope.spawn(move || visit(&client, city));
        }
    });

    let limiter = client.registry().limiter_for(client.model());
    let snapshot = limiter.snapshot();
    println!("\n{} requests were admitted", snapshot.counters.grants);
    for quota in snapshot.quotas {
        println!(
            "{}: {} granted, {} left of {}",
            quota.quota,
            quota.granted,
            quota.level,
            quota.quota.burst()
        );
    }
    Ok(())
}

/// Asks about one city after another subject, each answer before the next question.
fn visit(client: &RateLimitedClient, city: &str) {
    for subject in SUBJECTS {
        let question = format!("In one sentence: what about the {subject} of {city}?");
        let request = ChatRequest::new([Message::user(question)]).max_completion_tokens(40);
        match client.chat(request) {
            Ok(answer) => println!(
                "{city:5} {subject:8} waited {:4} ms: {}",
                answer.response().waited.as_millis(),
                answer.text()
            ),
            Err(error) => println!("{city:5} {subject:8} {error}"),
        }
    }
}
