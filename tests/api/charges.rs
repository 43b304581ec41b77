//! What the limiter is charged in the end.

use paceline::tokens::PromptRule;
use paceline::{Accounting, ChatRequest, Cost};
use serde_json::Value;

use super::scripted::{Scripted, Step};
use super::support::{builder, free_simulator, left_by, level, still};

#[test]
fn usage_settles_the_charge_by_the_client_s_rule() {
    // rule, tokens of prompt and answer, what it is charged: 8 and a cap of 100 were reserved
    let table = [
        (Accounting::PromptPlusCap, (8, 20), 108),
        (Accounting::PromptPlusCap, (8, 20_000), 20_008), // debt
        (Accounting::Larger, (8, 20), 100),
        (Accounting::Actual, (8, 20), 28),
        (Accounting::Actual, (8, 20_000), 20_008),
        (Accounting::PromptOnly, (8, 20), 8),
    ];
    for (step, (rule, (prompt, output), charged)) in table.into_iter().enumerate() {
        let server = Scripted::start([Step::chat(prompt, output)]);
        let registry = still();
        let client = builder(server.base_url()).registry(registry.clone());
        let client = client.accounting(rule).build().unwrap();
        let answer = client.chat(ChatRequest::from("a").max_completion_tokens(100));
        let response = answer.unwrap().into_response();
        assert_eq!(response.charged.tokens, charged, "step {step}: {rule:?}");
        let limiter = registry.limiter_for(client.model());
        let left = left_by(response.charged);
        assert_eq!(level(&limiter), left, "step {step}: {rule:?}");
    }
}

#[test]
fn an_answer_without_usage_keeps_what_was_reserved() {
    let server = Scripted::start([Step::json(200, &[], r#"{"choices":[{}]}"#)]);
    let registry = still();
    let client = builder(server.base_url()).registry(registry.clone());
    let client = client.accounting(Accounting::Actual).build().unwrap();
    let answer = client.chat("a").unwrap();
    assert_eq!((answer.text(), answer.usage()), ("", None));
    assert_eq!(answer.response().charged, Cost::sized(8, 1_000));
}

#[test]
fn a_request_that_is_withdrawn_costs_nothing_and_one_that_is_dropped_does() {
    let server = Scripted::start([]);
    let registry = still();
    let client = builder(server.base_url()).registry(registry.clone());
    let client = client.build().unwrap();
    let admit = || {
        let body = serde_json::json!({"input": "a", "model": "text-embedding-3-small"});
        let request = client.prepare("/embeddings", &body).unwrap();
        (
            request.cost(),
            request.admit(paceline::AcquireOptions::new()).unwrap(),
        )
    };
    let limiter = registry.limiter_for("text-embedding-3-small");
    let (_, admitted) = admit();
    admitted.withdraw();
    assert_eq!(level(&limiter), left_by(Cost::default()));
    let (cost, admitted) = admit();
    drop(admitted);
    assert_eq!(level(&limiter), left_by(cost));
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn by_characters_the_client_reserves_what_the_simulator_charges() {
    let simulator = free_simulator();
    let client = builder(simulator.base_url());
    let client = client.prompt_rule(PromptRule::Characters).build().unwrap();
    let lines = include_str!("../../examples/requests.jsonl").lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut charged = 0;
    for line in lines {
        let body = &line["body"];
        // Without a cap the two reserve differently, and that is stated.
        if body.get("max_completion_tokens").is_none() {
            continue;
        }
        let cost = client.post("/chat/completions", body).unwrap().charged;
        let now = simulator.report().tokens_charged;
        assert_eq!(now - charged, cost.tokens, "{}", line["custom_id"]);
        charged = now;
    }
    assert!(
        charged > 50_000,
        "only {charged}: the examples were not read"
    );
}
