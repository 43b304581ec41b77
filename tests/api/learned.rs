//! What is reserved for answers, where that is learned.

use std::fmt::Write;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use paceline::batch::{Input, Run, StopReason};
use paceline::{
    Accounting, AcquireOptions, ClientBuilder, Cost, Error, LimitTable, Limits, ManualClock,
    RateLimitedClient, Registry,
};
use serde_json::{Value, json};

use crate::scripted::{Scripted, Step};
use crate::support::{TOKENS, builder, free_simulator, left_by, level};

const CHAT: &str = "/chat/completions";
const MINUTE: Duration = Duration::from_secs(60);

fn learning(base_url: impl Into<String>) -> ClientBuilder {
    builder(base_url)
        .accounting(Accounting::Actual)
        .learned_output(0.95)
        .max_retries(0)
}

fn body(cap: u64) -> Value {
    json!({
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "a"}],
        "max_completion_tokens": cap,
    })
}

/// What a request would reserve for its answer now.
fn reserved(client: &RateLimitedClient, body: &Value) -> u64 {
    client.prepare(CHAT, body).unwrap().cost().output_tokens
}

#[test]
fn it_needs_a_share_and_a_server_that_charges_what_was_used() {
    let charges = [
        Accounting::PromptPlusCap,
        Accounting::Larger,
        Accounting::PromptOnly,
    ];
    let wrong = charges.map(|charge| (charge, 0.95, "set the charge to usage"));
    let shares = [0.0, 0.49, 0.995, 1.0, 95.0, f64::NAN];
    let wrong = wrong
        .into_iter()
        .chain(shares.map(|share| (Accounting::Actual, share, "a share from 0.5 to 0.99")));
    for (step, (charge, share, words)) in wrong.enumerate() {
        let client = builder("http://127.0.0.1:1/v1").accounting(charge);
        let error = client.learned_output(share).build().unwrap_err();
        assert!(matches!(error, Error::Config(_)), "step {step}");
        let text = error.to_string();
        let what = format!("learned output of {share}: ");
        assert!(text.starts_with(&what) && text.contains(words), "{text}");
    }
}

#[test]
fn the_cap_is_reserved_until_enough_answers_came_and_then_what_they_needed() {
    let failed = [
        Step::error(500, "server_error", &[]),
        Step::json(200, &[], "{"),
        Step::json(200, &[], r#"{"choices":[{}]}"#), // does not say what it used
    ];
    let steps = (0..18).map(|_| Step::chat(8, 30)).chain(failed);
    let server = Scripted::start(steps.chain([Step::chat(8, 30), Step::chat(8, 500)]));
    let clock = ManualClock::new();
    let limits = LimitTable::empty(Limits::tokens_per_minute(TOKENS).unwrap());
    let registry = Registry::new(limits).jitter(Duration::ZERO).clock(&clock);
    let registry = Arc::new(registry);
    let client = learning(server.base_url()).registry(registry.clone());
    let client = client.build().unwrap();
    let post = || {
        clock.advance(MINUTE); // the bucket is full again
        client.post(CHAT, &body(300))
    };
    let counted_before = client.prepare(CHAT, &body(400)).unwrap();
    for number in 0..18 {
        assert_eq!(reserved(&client, &body(400)), 400, "after {number}");
        post().unwrap();
    }
    for ends_well in [false, false, true] {
        assert_eq!(post().is_ok(), ends_well);
        assert_eq!(reserved(&client, &body(400)), 400, "a failure has taught");
    }
    post().unwrap();
    // Whatever has the same model and endpoint, and a cap between 257 and 512.
    assert_eq!(
        [257, 400, 512].map(|cap| reserved(&client, &body(cap))),
        [30; 3]
    );
    assert_eq!(
        [20, 256, 513].map(|cap| reserved(&client, &body(cap))),
        [20, 256, 513]
    );
    let mut other = body(400);
    other["model"] = json!("gpt-4o");
    assert_eq!(reserved(&client, &other), 400);
    other = json!({"model": "gpt-4o-mini", "input": "a", "max_output_tokens": 400});
    let responses = client.prepare("/responses", &other).unwrap();
    assert_eq!(responses.cost().output_tokens, 400);

    // One that was counted long ago reserves by what is known when it joins the line.
    clock.advance(MINUTE);
    let admitted = counted_before.admit(AcquireOptions::new()).unwrap();
    let limiter = registry.limiter_for("gpt-4o-mini");
    assert_eq!(admitted.cost(), Cost::sized(8, 30));
    assert_eq!(level(&limiter), left_by(Cost::sized(8, 30)));
    // And what it used above that is charged.
    let charged = admitted.send(AcquireOptions::new()).unwrap().charged;
    assert_eq!(charged, Cost::sized(8, 500));
    assert_eq!(level(&limiter), left_by(charged));
    // Of 20 answers 0.95 needed no more than the largest; and no more than the cap is reserved.
    let caps = [257, 400, 512];
    assert_eq!(caps.map(|cap| reserved(&client, &body(cap))), caps);
}

#[test]
fn a_server_that_asks_for_the_whole_cap_is_given_it_from_then_on() {
    // what was requested, as the server says it, and what is reserved from then on
    for (step, (requested, expected)) in [(308, 300), (38, 30)].into_iter().enumerate() {
        let body_of_refusal = json!({"error": {
            "message": format!(
                "Rate limit reached for m on tokens per min (TPM): Limit 10000, Used 9900, \
                 Requested {requested}. Please try again in 1ms."
            ),
            "type": "tokens",
            "code": "rate_limit_exceeded",
        }});
        let refusal = Step::json(429, &[], &body_of_refusal.to_string());
        let steps = (0..19).map(|_| Step::chat(8, 30)).chain([refusal]);
        let server = Scripted::start(steps);
        let client = learning(server.base_url()).build().unwrap();
        for _ in 0..19 {
            client.post(CHAT, &body(300)).unwrap();
        }
        assert_eq!(reserved(&client, &body(300)), 30, "step {step}");
        let refused = client.post(CHAT, &body(300)).unwrap_err();
        assert!(matches!(refused, Error::Api(_)), "step {step}: {refused}");
        assert_eq!(reserved(&client, &body(300)), expected, "step {step}");
    }
}

#[test]
fn without_the_setting_nothing_is_learned() {
    let simulator = free_simulator();
    let client = builder(simulator.base_url()).accounting(Accounting::Actual);
    let client = client.build().unwrap();
    for _ in 0..30 {
        client.post(CHAT, &body(300)).unwrap();
    }
    assert_eq!(reserved(&client, &body(300)), 300);
}

/// Requests under way may use their whole caps, whatever is reserved for them.
#[test]
fn a_budget_goes_by_the_caps() {
    let simulator = free_simulator();
    let mut text = String::new();
    for number in 0..200 {
        let mut body = body(4_000);
        let length = if number < 100 { 10 } else { 4_000 };
        body["metadata"] = json!({"simulated_output_tokens": length});
        let url = "/v1/chat/completions";
        let line =
            json!({"custom_id": number.to_string(), "method": "POST", "url": url, "body": body});
        writeln!(text, "{line}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let client = learning(simulator.base_url()).build().unwrap();
    let budget = 30_000;
    let run = Run::new(client, Input::reader("in.jsonl", Cursor::new(text)))
        .output(folder.path().join("results.jsonl"))
        .errors(folder.path().join("errors.jsonl"))
        .budget_tokens(budget);
    let summary = run.run().unwrap();
    assert!(
        matches!(summary.ending, StopReason::Bound(_)),
        "{summary:?}"
    );
    assert!(summary.tokens_used <= budget, "{summary:?}");
    assert!(summary.succeeded > 100, "{summary:?}");
    // And what was learned was reserved.
    let by_caps = summary.succeeded * 4_000;
    assert!(summary.tokens_reserved < by_caps / 2, "{summary:?}");
}
