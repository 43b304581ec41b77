//! Responses that are more than their status: failures inside a 200, answers that are not quite
//! JSON, and waits that a server names.

use serde_json::{Value, json};

use crate::harness::{Folder, chats, simulator};
use crate::server;

#[test]
fn a_failure_inside_a_200_is_no_result_and_is_sent_again_by_the_next_run() {
    let table = [
        (
            r#"{"error":{"message":"Provider returned error","code":502}}"#,
            "Provider returned error",
        ),
        (
            r#"{"choices":null,"usage":null}"#,
            "the response has no choices",
        ),
        ("null", "the response is no object"),
        ("{}", "the response has no choices"),
    ];
    for (body, message) in table {
        let server = server::answering("200 OK", body);
        let folder = Folder::with_input(chats(2));
        let run = folder.run(&server.base_url);
        run.args(["--max-retries", "1"])
            .ends_with(1)
            .says(&["200 but"]);
        assert_eq!(server.arrived.try_iter().count(), 4, "{body}");
        assert_eq!(folder.read("in.results.jsonl"), "", "{body}");
        for line in folder.lines("in.errors.jsonl") {
            assert_eq!(line["response"]["status_code"], 200);
            assert_eq!(line["response"]["body"].to_string(), body);
            assert_eq!(line["error"]["code"], "failed_response");
            let said = line["error"]["message"].as_str().unwrap();
            assert!(said.contains(message), "{said}");
        }
        folder.run(&simulator().base_url()).ends_with(0);
        folder.assert_each_once(2);
    }
}

#[test]
fn a_repaired_answer_is_a_result_that_says_so() {
    let server = server::answering(
        "200 OK",
        "\u{feff}{\"choices\": [{\"message\": {\"content\": \"paid\tfor\"}, \"logprob\": -Infinity}]}\n",
    );
    let folder = Folder::with_input(chats(1));
    folder.run(&server.base_url).ends_with(0);
    assert_eq!(server.arrived.try_iter().count(), 1);
    let line = &folder.lines("in.results.jsonl")[0];
    let expected = json!({"choices": [{"message": {"content": "paid\tfor"}, "logprob": null}]});
    assert_eq!(line["response"]["body"], expected);
    let repaired = json!([
        "byte order mark dropped",
        "control characters were escaped",
        "NaN or Infinity became null",
    ]);
    assert_eq!(line["repaired"], repaired);
    assert_eq!(line["error"], Value::Null);
    // It is known as a result.
    folder.run(&server.base_url).ends_with(0);
    assert_eq!(server.arrived.try_iter().count(), 0);
}

#[test]
fn a_page_in_place_of_json_is_asked_for_once_more_and_quoted() {
    let page = "<html>\n<title>Log in to Guest Wi-Fi</title></html>";
    let server = server::answering("200 OK", page);
    let folder = Folder::with_input(chats(2));
    let run = folder.run(&server.base_url);
    run.args(["--max-retries", "8"]).ends_with(1);
    assert_eq!(server.arrived.try_iter().count(), 4);
    for line in folder.lines("in.errors.jsonl") {
        let said = line["error"]["message"].as_str().unwrap();
        assert!(
            said.contains("<html> <title>Log in to Guest Wi-Fi"),
            "{said}"
        );
    }
}

#[test]
fn a_wait_of_minutes_that_the_server_names_fails_nothing() {
    const LIMITED: &str = r#"{"error":{"message":"Rate limit reached for m on tokens per day (TPD): Limit 100000, Used 99900, Requested 600. Please try again in 11m0s.","type":"tokens","code":"rate_limit_exceeded"}}"#;
    let server = server::answering("429 Too Many Requests", LIMITED);
    let folder = Folder::with_input(chats(8));
    let run = folder.run(&server.base_url).args(["--grace", "1", "-v"]);
    let mut running = run.start();
    // Who was in flight has its refusal, and does not fail of it.
    let stderr = running.wait_for_word("trying again in 660");
    running.signal("TERM");
    running.wait_for_end(stderr, "", 143);
    assert_eq!(folder.read("in.errors.jsonl"), "");
    assert_eq!(folder.read("in.results.jsonl"), "");
}
