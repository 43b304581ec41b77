//! Numbers keep their digits, in requests and in answers.

use serde_json::{Value, json};

use crate::echo;
use crate::harness::Folder;

/// What a model was sent, from answers that are the requests.
fn sent(folder: &Folder, name: &str) -> Vec<String> {
    let lines = folder.lines(name).into_iter();
    let content =
        |line: Value| line["response"]["body"]["choices"][0]["message"]["content"].clone();
    lines
        .map(|line| content(line).as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_body_is_sent_with_the_digits_the_keys_and_the_order_that_it_has() {
    let folder = Folder::new();
    let body = r#"{"zeta": 1.10, "model":"m","messages":[{"content":"caf\u00e9", "role":"user"}], "seed":12345678901234567890123,"top_p":0.1000,"big":[1e400,-1E+5],"max_tokens":5}"#;
    let line = format!(
        r#"{{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{body}}}"#
    );
    folder.write("in.jsonl", &line);
    let url = echo::serve();
    let run = || folder.paceline(["run", "in.jsonl", "--base-url", &url]);
    run().ends_with(0);
    assert_eq!(sent(&folder, "in.results.jsonl"), [body]);
    run().ends_with(0).says(&["1 done before"]);
    // White space and other ways to write a number change nothing; other digits do.
    folder.write(
        "in.jsonl",
        line.replace("1.10, ", "1.10,").replace(":5}", ": 5}"),
    );
    run().ends_with(0).says(&["1 done before"]);
    folder.write("in.jsonl", line.replace("890123", "890124"));
    run().ends_with(2).says(&["1 answer to other requests"]);
}

#[test]
fn rows_and_schemas_keep_their_digits() {
    let folder = Folder::new();
    let row = r#"{"n": 0.1000, "big": 12345678901234567890123, "list": [1.10, "\u00e9"], "huge": 1e400, "i": 7}"#;
    folder.write("in.jsonl", row);
    folder.write("schema.json", "{\"type\": \"object\", \"minimum\": 1.10}");
    let url = echo::serve();
    folder
        .paceline(["run", "in.jsonl", "--base-url", &url, "--model", "m"])
        .args([
            "--prompt",
            "{n} {big} {list} {huge} {i}",
            "--schema",
            "schema.json",
        ])
        .args(["--extract", "a.jsonl"])
        .ends_with(0);
    let sent = sent(&folder, "in.results.jsonl");
    let body: Value = serde_json::from_str(&sent[0]).unwrap();
    let prompt = "0.1000 12345678901234567890123 [1.10,\"é\"] 1e400 7";
    assert_eq!(body["messages"][0]["content"], json!(prompt));
    assert!(sent[0].contains("\"minimum\":1.10"), "{}", sent[0]);
    let answers = folder.read("a.jsonl");
    assert!(answers.contains("\"minimum\":1.10"), "{answers}");
}

#[test]
fn answers_are_written_as_they_came() {
    let folder = Folder::with_input(crate::harness::chats(1));
    let body = r#"{"choices":[{"message":{"content":"x"}}],"score":1.10,"big":[1e999,12345678901234567890123]}"#;
    let server = crate::server::answering("200 OK", body);
    folder.run(&server.base_url).ends_with(0);
    assert!(folder.read("in.results.jsonl").contains(body));
}
