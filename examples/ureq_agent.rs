//! An agent of ureq that exists already, limited by a middleware: costs, a deadline and a token go in the extensions of
//! each request.
//!
//! `cargo run --all-features --example ureq_agent`

use std::error::Error;
use std::time::Duration;

use paceline::sim::{SimConfig, SimLimits, Simulator};
use paceline::ureq::{Deadline, RateLimit, Reserved};
use paceline::{CancelToken, Clock, Cost, Limits, RateLimiter};
use ureq::Agent;

fn main() -> Result<(), Box<dyn Error>> {
    // A server that lets in 60,000 tokens a minute, and 1,000 at once.
    let limits = SimLimits::none().tokens_per_minute(60_000);
    let config = SimConfig::new()
        .default_limits(limits)
        .burst(Duration::from_secs(1));
    let simulator = Simulator::start(config)?;

    // Not told the limit: it follows what responses say.
    let guess = Limits::tokens_per_minute(200_000)?.provisional();
    let guess = guess.with_burst_duration(Duration::from_secs(1));
    let limiter = RateLimiter::builder(guess)
        .adaptive(Duration::from_millis(100))
        .build();
    let agent: Agent = Agent::config_builder()
        .middleware(RateLimit::new(limiter.clone()))
        .http_status_as_error(false)
        .build()
        .into();

    let stop = CancelToken::new(); // for a signal handler to cancel
    let url = format!("{}/chat/completions", simulator.base_url());
    let mut refused = 0;
    for number in 1..=20 {
        let question = format!("What is {number} + {number}?");
        let body = format!(
            r#"{{"model":"m","max_tokens":40,"messages":[{{"role":"user","content":"{question}"}}]}}"#
        );
        let response = agent
            .post(&url)
            .header("authorization", "Bearer any")
            .header("content-type", "application/json")
            .extension(Cost::sized(10, 40))
            .extension(Deadline::at(Clock::real().now() + Duration::from_secs(60)))
            .extension(stop.clone())
            .send(body)?;
        if response.status() != 200 {
            refused += 1;
            continue;
        }
        let reserved = response.extensions().get::<Reserved>().cloned();
        let text = response.into_body().read_to_string()?;
        // The server keeps the cap, so that is what it cost. One that charges usage would be settled with it.
        if let Some(reserved) = reserved {
            reserved.settle(Cost::sized(10, 40));
        }
        println!("{question} {} bytes", text.len());
    }

    let quota = limiter.snapshot().quotas[0].quota;
    println!(
        "found a limit of {} {} a minute; {refused} refused",
        quota.amount(),
        quota.unit()
    );

    // A request that would come too late is refused at once, before anything is sent.
    let late = agent
        .post(&url)
        .extension(Cost::tokens(60_000))
        .extension(Deadline::at(Clock::real().now() + Duration::from_millis(1)))
        .send("{}");
    match late {
        Err(ureq::Error::Other(error)) => println!("too late: {error}"),
        other => return Err(format!("a deadline was expected, not {other:?}").into()),
    }
    Ok(())
}
