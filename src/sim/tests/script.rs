//! Answers that a test has written.

use super::*;
use crate::sim::{SimAnswer, SimRequest};

fn script(request: &SimRequest<'_>) -> SimAnswer {
    let text = request.text();
    match text {
        "number" => SimAnswer::text(request.number().to_string()),
        "path" => SimAnswer::text(request.path()),
        "json" => SimAnswer::json(&json!({"a": [1, 2]})),
        "tool" => SimAnswer::tool_call("look", &json!({"at": "it"})),
        "down" => SimAnswer::status(503, "down").retry_after(Duration::from_millis(1_500)),
        "fine" => SimAnswer::status(200, "no error"),
        _ => SimAnswer::made_up(),
    }
}

fn ask(client: &mut Client, text: &str) -> Value {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    client.post(CHAT, &body).json()
}

#[test]
fn a_script_answers_in_the_shape_that_is_asked_for() {
    let simulator = start(SimConfig::new().answer(script));
    let mut client = Client::new(&simulator);
    let content = |answer: &Value| answer["choices"][0]["message"]["content"].clone();
    assert_eq!(content(&ask(&mut client, "number")), "0");
    assert_eq!(content(&ask(&mut client, "number")), "1");
    assert_eq!(content(&ask(&mut client, "path")), CHAT);
    assert_eq!(content(&ask(&mut client, "json")), r#"{"a":[1,2]}"#);
    let called = ask(&mut client, "tool");
    let function = &called["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(
        *function,
        json!({"name": "look", "arguments": r#"{"at":"it"}"#})
    );
    assert_eq!(called["choices"][0]["finish_reason"], "tool_calls");
    assert!(content(&ask(&mut client, "anything")).is_string());

    let body = json!({"model": "m", "input": "json"});
    let response = client.post("/v1/responses", &body).json();
    assert_eq!(
        response["output"][0]["content"][0]["text"],
        r#"{"a":[1,2]}"#
    );
    let mut body = json!({"model": "m", "stream": true});
    body["messages"] = json!([{"role": "user", "content": "path"}]);
    let streamed = client.post(CHAT, &body).body;
    let streamed = String::from_utf8(streamed).unwrap();
    assert!(
        streamed.contains("/v1/") && streamed.contains("[DONE]"),
        "{streamed}"
    );
}

#[test]
fn a_status_of_a_script_is_an_error_and_charges_nothing() {
    let simulator = start(SimConfig::new().answer(script));
    let mut client = Client::new(&simulator);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "down"}]});
    let answer = client.post(CHAT, &body);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after-ms"), Some("1500"));
    assert_eq!(answer.json()["error"]["message"], "down");
    assert_eq!(ask(&mut client, "fine")["error"]["message"], "no error");
    assert_eq!(simulator.report().tokens_charged, 0);
}
