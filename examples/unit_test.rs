//! A unit test of code that calls a model: answers are scripted, errors are made, and nothing needs a key or a
//! network. `cargo test --all-features --example unit_test` runs its tests.

use paceline::sim::{SimAnswer, SimConfig, SimRequest, Simulator};
use paceline::{ChatRequest, Error, HttpResponse, RateLimitedClient, Result, TransportKind};
use serde_json::json;

/// The code under test: what a customer's message is about, and whether a person has to look at it.
fn triage(client: &RateLimitedClient, message: &str) -> Result<(String, bool)> {
    let schema = json!({
        "type": "object",
        "properties": {"topic": {"type": "string"}, "urgent": {"type": "boolean"}},
        "required": ["topic", "urgent"],
        "additionalProperties": false,
    });
    let request = ChatRequest::from(message).json_schema("triage", schema);
    match client.chat(request)?.json::<serde_json::Value>() {
        Ok(found) => Ok((
            found["topic"].as_str().unwrap_or("other").to_owned(),
            found["urgent"].as_bool().unwrap_or(true),
        )),
        // What the model does not sort, a person does.
        Err(Error::InvalidResponse { .. }) => Ok(("other".to_owned(), true)),
        Err(error) => Err(error),
    }
}

/// A client of a simulator that answers by a script.
fn scripted(
    script: impl Fn(&SimRequest<'_>) -> SimAnswer + Send + Sync + 'static,
) -> Result<(Simulator, RateLimitedClient)> {
    let simulator = Simulator::start(SimConfig::new().answer(script));
    let simulator = simulator.map_err(|error| Error::config("simulator", error.to_string()))?;
    let client = RateLimitedClient::builder()
        .base_url(simulator.base_url())
        .api_key("any")
        .build()?;
    Ok((simulator, client))
}

fn a_message_is_sorted() -> Result<()> {
    let (_simulator, client) = scripted(|request| {
        let urgent = request.text().contains("fire");
        SimAnswer::json(&json!({"topic": "delivery", "urgent": urgent}))
    })?;
    let expected = |urgent| ("delivery".to_owned(), urgent);
    assert_eq!(triage(&client, "Where is my parcel?")?, expected(false));
    assert_eq!(triage(&client, "My parcel is on fire")?, expected(true));
    Ok(())
}

fn an_error_that_may_pass_is_retried() -> Result<()> {
    let (_simulator, client) = scripted(|request| match request.number() {
        0 => SimAnswer::status(503, "warming up"),
        _ => SimAnswer::json(&json!({"topic": "billing", "urgent": false})),
    })?;
    assert_eq!(triage(&client, "My invoice?")?.0, "billing");
    assert_eq!(client.stats().retries, 1);
    Ok(())
}

fn an_answer_that_is_no_json_goes_to_a_person() -> Result<()> {
    let (_simulator, client) = scripted(|_| SimAnswer::text("I cannot help with that."))?;
    assert_eq!(triage(&client, "?")?, ("other".to_owned(), true));
    Ok(())
}

/// Without any server: a transport of one's own stands in for the network.
fn an_outage_is_an_error() -> Result<()> {
    let down = |request: &paceline::HttpRequest<'_>| -> Result<HttpResponse> {
        Err(Error::transport(
            request.url(),
            TransportKind::Connect,
            "connection refused",
        ))
    };
    let client = RateLimitedClient::builder()
        .api_key("any")
        .transport(down)
        .max_retries(0)
        .build()?;
    let outage = triage(&client, "Hello?");
    assert!(matches!(outage, Err(Error::Transport { unsent: true, .. })));
    Ok(())
}

fn main() -> Result<()> {
    a_message_is_sorted()?;
    an_error_that_may_pass_is_retried()?;
    an_answer_that_is_no_json_goes_to_a_person()?;
    an_outage_is_an_error()?;
    println!("four tests passed without a key and without a network");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_sorted_and_errors_handled() -> Result<()> {
        main()
    }
}
