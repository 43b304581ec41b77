//! Answers that call tools, follow schemas, have log probabilities, or come in pieces elsewhere than
//! in chat.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::*;

fn client() -> (Simulator, Client) {
    let simulator = start(SimConfig::new());
    let client = Client::new(&simulator);
    (simulator, client)
}

/// The events of a stream: names, where they have any, and data.
fn events(answer: &Answer) -> Vec<(Option<String>, Value)> {
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let events = text
        .split_terminator("\n\n")
        .filter(|it| *it != "data: [DONE]");
    let read = |event: &str| {
        let (name, data) = match event.split_once('\n') {
            Some((name, data)) => (name.strip_prefix("event: ").map(str::to_owned), data),
            None => (None, event),
        };
        let data = data.strip_prefix("data: ").unwrap();
        (name, serde_json::from_str(data).unwrap())
    };
    events.map(read).collect()
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {
        "name": name,
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Oslo"]}},
            "required": ["city"],
        },
    }})
}

#[test]
fn a_tool_is_called_with_arguments_of_its_schema_until_its_result_is_there() {
    let (_simulator, mut client) = client();
    let mut body = chat(10, 100);
    body["tools"] = json!([tool("look"), tool("jump")]);
    let answer = client.post(CHAT, &body).json();
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "look");
    assert_eq!(call["function"]["arguments"], "{\"city\":\"Oslo\"}");

    body["stream"] = json!(true);
    let streamed: String = events(&client.post(CHAT, &body))
        .iter()
        .filter_map(|(_, chunk)| {
            let call = &chunk["choices"][0]["delta"]["tool_calls"][0];
            call["function"]["arguments"].as_str().map(str::to_owned)
        })
        .collect();
    assert_eq!(streamed, "{\"city\":\"Oslo\"}");

    body["stream"] = json!(false);
    body["tool_choice"] = json!({"type": "function", "function": {"name": "jump"}});
    let answer = client.post(CHAT, &body).json();
    let call = &answer["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "jump");

    body["tool_choice"] = json!("auto");
    body["messages"] = json!([{"role": "tool", "tool_call_id": "a", "content": "rain"}]);
    let answer = client.post(CHAT, &body).json();
    assert!(answer["choices"][0]["message"]["content"].is_string());
}

#[test]
fn structured_outputs_follow_their_schema_in_every_endpoint() {
    let (_simulator, mut client) = client();
    let schema = json!({
        "type": "object",
        "properties": {"mood": {"enum": ["good", "bad"]}, "stars": {"type": "integer", "minimum": 1, "maximum": 5}},
        "required": ["mood", "stars"],
        "additionalProperties": false,
    });
    let mut body = chat(10, 100);
    body["response_format"] = json!({
        "type": "json_schema", "json_schema": {"name": "review", "schema": schema},
    });
    let answer = client.post(CHAT, &body).json();
    let of_chat = answer["choices"][0]["message"]["content"].clone();
    let body = json!({
        "model": "gpt-4o-mini", "input": "x", "max_output_tokens": 100,
        "text": {"format": {"type": "json_schema", "name": "review", "schema": schema}},
    });
    let answer = client.post("/v1/responses", &body).json();
    let of_responses = answer["output"][0]["content"][0]["text"].clone();
    for text in [of_chat, of_responses] {
        let value: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        assert!(value["mood"] == "good" || value["mood"] == "bad", "{value}");
        assert!(
            (1..=5).contains(&value["stars"].as_i64().unwrap()),
            "{value}"
        );
    }
}

#[test]
fn log_probabilities_are_one_for_each_token() {
    let (_simulator, mut client) = client();
    let mut body = chat(10, 5);
    body["logprobs"] = json!(true);
    body["top_logprobs"] = json!(2);
    let answer = client.post(CHAT, &body).json();
    let content = answer["choices"][0]["logprobs"]["content"]
        .as_array()
        .unwrap();
    assert_eq!(content.len() as u64, answer["usage"]["completion_tokens"]);
    let text: String = content
        .iter()
        .map(|it| it["token"].as_str().unwrap())
        .collect();
    assert_eq!(answer["choices"][0]["message"]["content"], text);
    assert!(
        content
            .iter()
            .all(|it| it["top_logprobs"].as_array().unwrap().len() == 2)
    );

    let body = json!({"model": "gpt-4o-mini", "prompt": "x", "max_tokens": 5, "logprobs": 1});
    let answer = client.post("/v1/completions", &body).json();
    let logprobs = &answer["choices"][0]["logprobs"];
    assert_eq!(logprobs["text_offset"][0], 0);
    let tokens = logprobs["tokens"].as_array().unwrap().len();
    assert_eq!(tokens as u64, answer["usage"]["completion_tokens"]);
}

#[test]
fn embeddings_as_base64_are_the_same_numbers() {
    let (_simulator, mut client) = client();
    let mut body = json!({"model": "text-embedding-3-small", "input": ["a"]});
    let floats = client.post("/v1/embeddings", &body).json();
    body["encoding_format"] = json!("base64");
    let packed = client.post("/v1/embeddings", &body).json();
    let text = packed["data"][0]["embedding"].as_str().unwrap();
    let bytes = BASE64_STANDARD.decode(text).unwrap();
    let unpacked: Vec<f32> = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|it| f32::from_le_bytes(*it))
        .collect();
    assert_eq!(floats["data"][0]["embedding"], json!(unpacked));
    body["encoding_format"] = json!("hex");
    assert_eq!(client.post("/v1/embeddings", &body).status, 400);
}

#[test]
fn responses_stream_as_named_events_that_end_with_the_whole() {
    let (_simulator, mut client) = client();
    let mut body = json!({"model": "gpt-4o-mini", "input": "x", "max_output_tokens": 300});
    let whole = client.post("/v1/responses", &body).json();
    body["stream"] = json!(true);
    let answer = client.post("/v1/responses", &body);
    let events = events(&answer);
    for (at, (name, data)) in events.iter().enumerate() {
        assert_eq!(data["type"].as_str(), name.as_deref(), "event {at}");
        assert_eq!(data["sequence_number"], at);
    }
    assert_eq!(events[0].0.as_deref(), Some("response.created"));
    let last = &events.last().unwrap().1;
    let ends = ["response.completed", "response.incomplete"];
    assert!(ends.contains(&last["type"].as_str().unwrap()));
    let deltas = events
        .iter()
        .filter(|(_, data)| data["type"] == "response.output_text.delta");
    let text: String = deltas
        .map(|(_, data)| data["delta"].as_str().unwrap())
        .collect();
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], text);
    assert!(whole["usage"]["output_tokens"].as_u64().is_some());

    body["tools"] = json!([{"type": "function", "name": "look", "parameters": {"type": "object"}}]);
    let called = client.post("/v1/responses", &body);
    let called = String::from_utf8(called.body).unwrap();
    assert!(
        called.contains("event: response.function_call_arguments.done"),
        "{called}"
    );
}

#[test]
fn completions_and_messages_stream_too() {
    let (_simulator, mut client) = client();
    let body = json!({
        "model": "gpt-4o-mini", "prompt": "x", "max_tokens": 300, "stream": true,
        "stream_options": {"include_usage": true},
    });
    let events_of_completion = events(&client.post("/v1/completions", &body));
    let (last, chunks) = events_of_completion.split_last().unwrap();
    let text: String = chunks
        .iter()
        .map(|(_, chunk)| chunk["choices"][0]["text"].as_str().unwrap())
        .collect();
    assert_eq!(
        text.split(' ').count() as u64,
        last.1["usage"]["completion_tokens"]
    );

    let body = json!({
        "model": "claude-sim", "max_tokens": 300, "stream": true,
        "messages": [{"role": "user", "content": "x"}],
    });
    let headers = "X-Api-Key: key\r\nanthropic-version: 2023-06-01\r\n";
    let answer = client.post_with("/v1/messages", headers, &body.to_string());
    let events = events(&answer);
    let names: Vec<&str> = events
        .iter()
        .filter_map(|(name, _)| name.as_deref())
        .collect();
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(
        names[names.len() - 3..],
        ["content_block_stop", "message_delta", "message_stop"]
    );
    let text: String = events
        .iter()
        .filter_map(|(_, data)| data["delta"]["text"].as_str())
        .collect();
    let (_, end) = &events[events.len() - 2];
    assert_eq!(
        text.split(' ').count() as u64,
        end["usage"]["output_tokens"]
    );
}

#[test]
fn moderations_need_no_model_and_models_are_described() {
    let (_simulator, mut client) = client();
    let answer = client
        .post("/v1/moderations", &json!({"input": ["a", "b"]}))
        .json();
    assert_eq!(answer["results"].as_array().unwrap().len(), 2);
    assert_eq!(answer["results"][1]["flagged"], false);
    let model = client.get("GET", "/v1/models/gpt-4o").json();
    assert_eq!(
        (&model["id"], &model["object"]),
        (&json!("gpt-4o"), &json!("model"))
    );
}

#[test]
fn what_is_not_simulated_says_so() {
    let (_simulator, mut client) = client();
    let table = [
        ("/v1/audio/speech", json!({}), 404),
        ("/v1/images/generations", json!({}), 404),
        (
            "/v1/responses",
            json!({"model": "m", "input": "x", "background": true}),
            400,
        ),
        (
            "/v1/responses",
            json!({"model": "m", "input": "x", "previous_response_id": "r"}),
            400,
        ),
    ];
    for (path, body, status) in table {
        let answer = client.post(path, &body);
        assert_eq!(answer.status, status, "{path}");
        let message = answer.error("message");
        assert!(
            message.as_str().unwrap().contains("not simulated"),
            "{path}: {message}"
        );
    }
}
