//! `paceline limits`: what an account's limits are, asked of the server itself.
//!
//! No request asks for limits, but every answer tells them. So the smallest request is sent for
//! each model, and its limiter then knows what the server said.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "redis")]
use paceline::OnStoreOutage;
use paceline::providers::{OutputCap, Provider};
use paceline::{LimitTable, Limits, LimitsBuilder, Quota, RateLimitedClient, Registry, Result};
use serde_json::{Value, json};

use crate::args;
use crate::exit::Exit;
use crate::numbers::{grouped, quota};
use crate::say::{self, warning};
use crate::server;
#[cfg(feature = "redis")]
use crate::share;

/// Few: a user waits at the terminal for these requests, the smallest that there are.
const RETRIES: u32 = 2;

/// Asks for each model in turn, and prints each answer as soon as it is there.
pub(crate) fn ask(arguments: &args::Ask) -> Result<Exit> {
    #[cfg(feature = "redis")]
    if arguments.share.share.is_some() {
        let store = share::store(&arguments.share, OnStoreOutage::default(), 1)?;
        return store.map_or(Ok(Exit::Usage), |store| {
            share::show(&store, &arguments.models)
        });
    }
    server::read_table(&arguments.server)?;
    let mut exit = Exit::Success;
    let mut asked = BTreeSet::new();
    for model in &arguments.models {
        // A table that stands twice is a mistake in TOML.
        if !asked.insert(model) {
            continue;
        }
        // With limits of its own: what was said of one model proves nothing of the next.
        let client = client(&arguments.server)?;
        let (path, body) = smallest_request(model, client.provider());
        let answer = client.post(path, &body);
        if let Err(error) = &answer
            && error.is_account_error()
        {
            return Ok(Exit::of_error(error));
        }
        // Even a refusal says what the limits are.
        if let Some(table) = table(model, &told(&client, model))? {
            say::result(&table)?;
            continue;
        }
        exit = Exit::SomeFailed;
        match answer {
            Ok(_) => warning!("paceline: {model}: the server says nothing of its limits"),
            Err(error) => warning!("paceline: {model}: {error}"),
        }
    }
    Ok(exit)
}

fn client(server: &args::Server) -> Result<RateLimitedClient> {
    // Its limits are guesses, so that what the server says takes their place; and nothing is held
    // back for jitter, or less would seem to be left.
    let registry = Registry::new(LimitTable::default()).jitter(Duration::ZERO);
    let builder = RateLimitedClient::builder()
        .registry(Arc::new(registry))
        .max_retries(RETRIES);
    server::connect(builder, server)?.build()
}

/// The path and the body of the smallest request for a model.
fn smallest_request(model: &str, provider: Option<&Provider>) -> (&'static str, Value) {
    if model.starts_with("text-embedding-") {
        return ("/v1/embeddings", json!({"model": model, "input": "."}));
    }
    let takes_messages = provider.is_some_and(Provider::takes_messages);
    let cap = provider.map_or(OutputCap::default(), Provider::output_cap);
    let body = json!({
        "model": model,
        "messages": [{"role": "user", "content": "."}],
        cap.field(): 16, // some servers refuse fewer
    });
    match takes_messages {
        true => ("/v1/messages", body),
        false => ("/v1/chat/completions", body),
    }
}

/// What the server has said of a model's limits: each with what is left of it.
fn told(client: &RateLimitedClient, model: &str) -> Vec<(Quota, i64)> {
    let snapshot = client.registry().limiter_for(model).snapshot();
    let told = snapshot.quotas.iter().filter(|quota| quota.reported);
    told.map(|quota| (quota.quota, quota.level)).collect()
}

/// A model's table in a limits file, if anything is known.
fn table(model: &str, told: &[(Quota, i64)]) -> Result<Option<String>> {
    if told.is_empty() {
        return Ok(None);
    }
    let quotas = told.iter().map(|(quota, _)| *quota);
    let limits = quotas.fold(Limits::builder(), LimitsBuilder::quota);
    let limits = limits.build()?;
    // A string of JSON is one of TOML.
    let mut text = format!("[models.{}]\n", Value::from(model));
    let left = told.iter().map(|(of, level)| {
        let left = u64::try_from(*level).unwrap_or(0); // debt is nothing left
        format!("{} of {}", grouped(left), quota(*of))
    });
    // Writing to a string does not fail.
    let _ = writeln!(text, "# left: {}", left.collect::<Vec<_>>().join(", "));
    let _ = writeln!(text, "{}", limits.to_toml());
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use paceline::Unit;
    use paceline::providers::ProviderTable;

    use super::*;

    #[test]
    fn what_is_printed_is_a_limits_file() {
        let tokens = Quota::per_minute(Unit::Tokens, 30_000).unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let requests = Quota::new(Unit::Requests, 10_000, day).unwrap();
        let names = ["gpt-4.1", "ft:gpt-4o:a\"b\\c\n"];
        let told = [(tokens, 29_110), (requests, -1)];
        let text: String = names
            .iter()
            .map(|name| table(name, &told).unwrap().unwrap())
            .collect();
        assert!(
            text.starts_with(
                "[models.\"gpt-4.1\"]\n\
                 # left: 29,110 of 30,000 tokens per minute, 0 of 10,000 requests per day\n\
                 tpm = 30000\nrpd = 10000\n\n[models."
            ),
            "{text}"
        );
        let read = LimitTable::from_toml(&text).unwrap();
        for name in names {
            let limits = read.limits_for(name).to_string();
            let expected = "10000 requests per day, 30000 tokens per minute";
            let mut found: Vec<&str> = limits.split(", ").collect();
            found.sort_unstable();
            assert_eq!(found.join(", "), expected, "{name}");
        }
        assert_eq!(table("gpt-4.1", &[]).unwrap(), None);
    }

    #[test]
    fn each_model_is_asked_where_it_answers() {
        let (path, body) = smallest_request("text-embedding-3-small", None);
        assert_eq!(path, "/v1/embeddings");
        let expected = json!({"model": "text-embedding-3-small", "input": "."});
        assert_eq!(body, expected);
        let (path, body) = smallest_request("gpt-4.1", None);
        assert_eq!(path, "/v1/chat/completions");
        assert_eq!(body["max_completion_tokens"], 16);
        let anthropic = ProviderTable::global().get("anthropic").map(|it| &**it);
        let (path, body) = smallest_request("claude-haiku-4-5", anthropic);
        assert_eq!((path, &body["max_tokens"]), ("/v1/messages", &json!(16)));
    }
}
