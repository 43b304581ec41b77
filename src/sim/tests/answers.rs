//! Shapes of answers.

use super::*;

fn events(answer: &Answer) -> Vec<String> {
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let events = text.split_terminator("\n\n");
    events
        .map(|event| event.strip_prefix("data: ").unwrap().to_owned())
        .collect()
}

#[test]
fn a_chat_completion_has_its_choices_and_its_usage() {
    let simulator = start(SimConfig::new().output_tokens(5..=5));
    let mut client = Client::new(&simulator);
    let mut body = chat(10, 5);
    body["n"] = json!(2);
    let answer = client.post(CHAT, &body).json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "gpt-4o-mini");
    assert_eq!(answer["choices"].as_array().unwrap().len(), 2);
    assert_eq!(answer["choices"][1]["index"], 1);
    assert_eq!(answer["choices"][1]["finish_reason"], "length");
    assert_eq!(answer["choices"][0]["message"]["role"], "assistant");
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(text.split(' ').count(), 5);
    assert_eq!(answer["usage"]["prompt_tokens"], 10);
    assert_eq!(answer["usage"]["completion_tokens"], 10);
    assert_eq!(answer["usage"]["total_tokens"], 20);
    assert_eq!(simulator.report().tokens_charged, 20);
}

#[test]
fn a_request_may_say_how_long_its_answer_is() {
    let simulator = start(SimConfig::new().output_tokens(5..=5));
    let mut client = Client::new(&simulator);
    let table = [
        (json!({"simulated_output_tokens": "7"}), 7),
        (json!({"simulated_output_tokens": 7}), 7),
        (json!({"simulated_output_tokens": "70"}), 20), // the cap
        (json!({"simulated_output_tokens": "many"}), 5),
        (json!({"other": "7"}), 5),
        (json!("7"), 5),
        (json!(null), 5),
    ];
    for (step, (metadata, tokens)) in table.into_iter().enumerate() {
        let mut body = chat(10, 20);
        body["metadata"] = metadata;
        let usage = &client.post(CHAT, &body).json()["usage"];
        assert_eq!(usage["completion_tokens"], tokens, "step {step}");
    }
}

#[test]
fn names_tools_and_schemas_are_charged_with_the_text() {
    let simulator = start(SimConfig::new());
    let mut client = Client::new(&simulator);
    let mut body = chat(10, 1);
    body["messages"][0]["name"] = json!("Ada!");
    body["tools"] = json!(["123456"]); // ["123456"] is 10 characters
    body["response_format"] = json!({"type": "json_schema", "json_schema": {}});
    assert_eq!(
        client.post(CHAT, &body).json()["usage"]["prompt_tokens"],
        14
    );
}

#[test]
fn a_stream_says_the_same_in_pieces() {
    let simulator = start(SimConfig::new());
    let mut client = Client::new(&simulator);
    let mut body = chat(10, 300);
    body["stream"] = json!(true);
    let without = events(&client.post(CHAT, &body));
    body["stream_options"] = json!({"include_usage": true});
    let answer = client.post(CHAT, &body);
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/event-stream")
    );

    let mut events = events(&answer);
    assert_eq!(events.pop().as_deref(), Some("[DONE]"));
    let chunks: Vec<Value> = events
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    let (last, chunks) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    let tokens = last["usage"]["completion_tokens"].as_u64().unwrap();
    let text: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text.split(' ').count() as u64, tokens);
    let reasons: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str())
        .collect();
    assert_eq!(reasons.len(), 1, "one end");
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["object"] == "chat.completion.chunk")
    );
    assert!(chunks.iter().all(|chunk| chunk["usage"] == Value::Null));

    assert_eq!(without.last().map(String::as_str), Some("[DONE]"));
    assert!(without.iter().all(|event| !event.contains("usage")));
}

#[test]
fn the_same_request_gets_the_same_answer_and_another_seed_another() {
    let answers = |seed| {
        let simulator = start(SimConfig::new().seed(seed));
        let mut client = Client::new(&simulator);
        [1, 2, 1].map(|prompt| client.post(CHAT, &chat(prompt, 1_000)).body)
    };
    let [first, second, again] = answers(1);
    assert_eq!(first, again);
    assert_ne!(first, second);
    assert_eq!([first, second, again], answers(1));
    assert_ne!(answers(1), answers(2));
}

#[test]
fn embeddings_are_charged_their_input_and_go_with_the_text() {
    let simulator = start(SimConfig::new());
    let mut client = Client::new(&simulator);
    let mut embed = |input: Value| {
        let body = json!({"model": "text-embedding-3-small", "input": input});
        let answer = client.post("/v1/embeddings", &body);
        assert_eq!(answer.status, 200);
        answer.json()
    };
    // input, vectors, tokens
    let table = [
        (json!("abcdefgh"), 1, 2),
        (json!(["abcd", "abcdefgh", ""]), 3, 3),
        (json!([1, 2, 3]), 1, 3),
        (json!([[1, 2], [3]]), 2, 3),
    ];
    let mut vectors = Vec::new();
    for (step, (input, count, tokens)) in table.into_iter().enumerate() {
        let answer = embed(input);
        let data = answer["data"].as_array().unwrap();
        assert_eq!(data.len(), count, "step {step}");
        assert_eq!(answer["usage"]["total_tokens"], tokens, "step {step}");
        vectors.extend(data.iter().map(|it| it["embedding"].clone()));
    }
    assert_eq!(vectors[0], vectors[2], "the same text");
    assert_ne!(vectors[0], vectors[1]);
    let squares = vectors[0].as_array().unwrap().iter();
    let length: f64 = squares.map(|it| it.as_f64().unwrap().powi(2)).sum();
    assert!((length - 1.0).abs() < 1e-6, "{length}");
    assert_eq!(simulator.report().tokens_charged, 11);
}

#[test]
fn the_other_endpoints_answer_in_their_own_shapes() {
    let config = SimConfig::new()
        .output_tokens(1..=1)
        .limits("gpt-4o", limits(None, None));
    let simulator = start(config);
    let mut client = Client::new(&simulator);

    let body = json!({"model": "m", "prompt": ["abcd", "efgh"], "max_tokens": 3, "best_of": 2});
    let answer = client.post("/v1/completions", &body).json();
    assert_eq!(answer["choices"].as_array().unwrap().len(), 2);
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(simulator.report().tokens_charged, 2 + 3 * 4);

    let body = json!({"model": "m", "input": "abcd", "instructions": "abcd"});
    let answer = client.post("/v1/responses", &body).json();
    assert_eq!(answer["object"], "response");
    assert_eq!(answer["output"][0]["content"][0]["type"], "output_text");
    assert_eq!(answer["usage"]["total_tokens"], 3);
    assert_eq!(simulator.report().tokens_charged, 2 + 3 * 4 + 2 + 16);

    let answer = client.get("GET", "/v1/models?limit=3").json();
    let names: Vec<_> = answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["id"])
        .collect();
    assert_eq!(names, ["gpt-4o", "m"]);
}

#[test]
fn bad_requests_are_told_what_is_wrong_and_cost_nothing() {
    let simulator = start(SimConfig::new());
    let mut client = Client::new(&simulator);
    let good = chat(1, 1);
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body.to_string()
    };
    // path, body, param
    let table = [
        (CHAT, String::new(), Value::Null),
        (CHAT, "{".to_owned(), Value::Null),
        (CHAT, "[]".to_owned(), Value::Null),
        (CHAT, "[".repeat(100_000), Value::Null),
        (CHAT, "{}".to_owned(), json!("model")),
        (CHAT, with("model", json!(null)), json!("model")),
        (CHAT, with("model", json!(7)), json!("model")),
        (CHAT, with("messages", json!(null)), json!("messages")),
        (CHAT, with("messages", json!([])), json!("messages")),
        (CHAT, with("messages", json!("hi")), json!("messages")),
        (CHAT, with("messages", json!(["hi"])), json!("messages")),
        (
            CHAT,
            with("max_completion_tokens", json!(-1)),
            json!("max_completion_tokens"),
        ),
        (
            CHAT,
            with("max_completion_tokens", json!(0.5)),
            json!("max_completion_tokens"),
        ),
        (CHAT, with("n", json!(0)), json!("n")),
        (CHAT, with("n", json!(129)), json!("n")),
        (CHAT, with("stream", json!("yes")), json!("stream")),
        ("/v1/embeddings", good.to_string(), json!("input")),
        ("/v1/embeddings", with("input", json!([])), json!("input")),
        ("/v1/completions", good.to_string(), json!("prompt")),
        ("/v1/responses", good.to_string(), json!("input")),
    ];
    let tried = table.len() as u64;
    for (step, (path, body, param)) in table.into_iter().enumerate() {
        let answer = client.post_with(path, "Authorization: Bearer key\r\n", &body);
        assert_eq!(answer.status, 400, "step {step}");
        assert_eq!(answer.error("param"), param, "step {step}");
        assert_eq!(answer.error("type"), "invalid_request_error", "step {step}");
    }
    let report = simulator.report();
    assert_eq!((report.bad_requests, report.received), (tried, tried));
    assert_eq!(report.tokens_charged, 0);
}
