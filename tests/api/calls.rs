//! What is sent, and what comes back.

use paceline::{ChatRequest, Cost, Message, RateLimitedClient};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::scripted::{Scripted, Step};
use super::support::{builder, client, free_simulator};

#[test]
fn a_client_serves_any_number_of_threads() {
    fn is_shared<T: Send + Sync + Clone>() {}
    is_shared::<RateLimitedClient>();
}

#[test]
fn chat_gives_text_usage_and_what_was_charged() {
    let simulator = free_simulator();
    let client = client(simulator.base_url());
    let answer = client.chat("What is the capital of Peru?").unwrap();
    let usage = answer.usage().unwrap();
    assert_eq!(answer.text().split(' ').count() as u64, usage.output_tokens);
    assert_eq!(usage.input_tokens, 8); // 28 characters and 4 of the role, by four
    assert!(matches!(answer.finish_reason(), Some("stop" | "length")));

    let response = answer.response();
    // 7 tokens of text, 1 of the role, 3 a message, 3 for the answer's beginning; and the cap.
    assert_eq!(response.charged, Cost::sized(14, 1_000));
    assert_eq!((response.status, response.attempts), (200, 1));
    assert!(response.request_id.is_some());
    assert_eq!(response.body["model"], "gpt-4.1");
    assert_eq!(simulator.report().tokens_charged, 1_008);
    assert_eq!(client.stats().sent, 1);
}

#[test]
fn defaults_are_sent_and_a_request_s_own_settings_go_before_them() {
    let table = [
        (ChatRequest::from("a"), json!(["gpt-4.1", 1_000, null])),
        (
            ChatRequest::from("a")
                .model("gpt-4o-mini")
                .max_completion_tokens(50),
            json!(["gpt-4o-mini", 50, null]),
        ),
        (
            // The older name for the cap; both together would be refused.
            ChatRequest::from("a").set("max_tokens", 70),
            json!(["gpt-4.1", null, 70]),
        ),
    ];
    let server = Scripted::start(table.iter().map(|_| Step::chat(1, 1)));
    let client = client(server.base_url());
    for (step, (request, expected)) in table.into_iter().enumerate() {
        client.chat(request).unwrap();
        let arrived = &server.requests()[step];
        assert_eq!(
            arrived.line, "POST /v1/chat/completions HTTP/1.1",
            "step {step}"
        );
        let body: Value = serde_json::from_str(&arrived.body).unwrap();
        let sent = json!([
            body["model"],
            body["max_completion_tokens"],
            body["max_tokens"]
        ]);
        assert_eq!(sent, expected, "step {step}");
        assert_eq!(
            body["messages"],
            json!([{"role": "user", "content": "a"}]),
            "step {step}"
        );
    }
}

#[test]
fn a_client_s_own_defaults_go_before_the_crate_s() {
    let server = Scripted::start([Step::chat(1, 1)]);
    let client = builder(server.base_url())
        .model("o3")
        .max_completion_tokens(20);
    let client = client.build().unwrap();
    client
        .chat([Message::system("b"), Message::user("a").named("c")].as_slice())
        .unwrap();
    let body: Value = serde_json::from_str(&server.requests()[0].body).unwrap();
    assert_eq!(body["model"], "o3");
    assert_eq!(body["max_completion_tokens"], 20);
    assert_eq!(body["messages"][1]["name"], "c");
}

/// A request as another crate would declare it. Its fields are in no alphabetical order: that
/// of a schema's properties is the order in which a model writes its answer.
#[derive(Serialize)]
struct Foreign {
    model: &'static str,
    input: &'static str,
    zebra: Option<f64>,
    schema: Schema,
    max_output_tokens: u64,
}

#[derive(Serialize)]
struct Schema {
    reasoning: &'static str,
    answer: &'static str,
}

#[derive(Deserialize, Debug, PartialEq)]
struct ForeignAnswer {
    object: String,
    usage: ForeignUsage,
}

#[derive(Deserialize, Debug, PartialEq)]
struct ForeignUsage {
    input_tokens: u64,
}

const FOREIGN: Foreign = Foreign {
    model: "gpt-4.1",
    input: "abcdefgh",
    zebra: Some(0.1),
    schema: Schema {
        reasoning: "first",
        answer: "second",
    },
    max_output_tokens: 30,
};

#[test]
fn foreign_types_go_through_untouched() {
    let server = Scripted::start([Step::json(200, &[], r#"{"zebra": [1], "a": 0.25}"#)]);
    let answer = client(server.base_url())
        .post("/anything", &FOREIGN)
        .unwrap();
    let arrived = &server.requests()[0];
    assert_eq!(arrived.body, serde_json::to_string(&FOREIGN).unwrap());
    assert_eq!(arrived.line, "POST /v1/anything HTTP/1.1");
    assert_eq!(answer.body, json!({"zebra": [1], "a": 0.25}));
    assert_eq!(answer.usage, None);
}

#[test]
fn foreign_types_can_be_answers_too() {
    let simulator = free_simulator();
    let client = client(simulator.base_url());
    let answer = client.post("/v1/responses", &FOREIGN).unwrap();
    assert_eq!(answer.charged.output_tokens, 30);
    let read: ForeignAnswer = answer.clone().json().unwrap();
    let expected = ForeignAnswer {
        object: "response".to_owned(),
        usage: ForeignUsage { input_tokens: 2 },
    };
    assert_eq!(read, expected);
    let error = answer.json::<Vec<u8>>().unwrap_err().to_string();
    assert!(error.starts_with("http://127.0.0.1"), "{error}");
    assert!(error.contains("/v1/responses: "), "{error}");
}

#[test]
fn embeddings_come_in_the_order_of_their_inputs() {
    let simulator = free_simulator();
    let client = client(simulator.base_url());
    let model = "text-embedding-3-small";
    let all = client.embeddings(model, &["one", "two", "three"]).unwrap();
    assert_eq!(all.vectors.len(), 3);
    assert!(all.usage.is_some_and(|usage| usage.output_tokens == 0));
    for (step, input) in ["one", "two", "three"].into_iter().enumerate() {
        let alone = client.embeddings(model, &[input.to_owned()]).unwrap();
        assert_eq!(alone.vectors[0], all.vectors[step], "step {step}");
    }
    assert_ne!(all.vectors[0], all.vectors[1]);
}
