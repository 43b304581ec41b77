//! What stops a run, and what fails one request and no other.

use crate::harness::{Folder, chat, chats, simulator};
use crate::server;

const FORBIDDEN: &str = r#"{"error":{"message":"Your input was flagged.","code":403}}"#;
const ANSWER: &str = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;

/// Requests of which those whose number `is_flagged` ask for a model of their own.
fn flagged(count: usize, is_flagged: impl Fn(usize) -> bool) -> String {
    let line = |number| {
        let text = chat(&format!("r{number}"), "gpt-4o-mini");
        match is_flagged(number) {
            true => text.replace("the moon", "the flagged moon") + "\n",
            false => text + "\n",
        }
    };
    (0..count).map(line).collect()
}

/// Forbids the flagged ones.
fn moderating() -> server::Server {
    server::answering_each(|body| match body.contains("flagged") {
        true => ("403 Forbidden", FORBIDDEN),
        false => ("200 OK", ANSWER),
    })
}

#[test]
fn a_403_fails_its_request_and_no_other() {
    let server = moderating();
    // The first of all is forbidden, as are many that come before the first success.
    let folder = Folder::with_input(flagged(200, |number| number % 2 == 0 || number < 19));
    let output = folder
        .run(&server.base_url)
        .args(["--max-in-flight", "4", "--summary", "-"])
        .ends_with(1);
    let summary = output.summary();
    assert_eq!(summary["failed"], 109, "{output}");
    assert_eq!(summary["ending"], "finished");
    folder.assert_each_once(200);
    // The next run tries them again, and they are not the only ones that count.
    let output = folder
        .run(&server.base_url)
        .args(["--max-in-flight", "1", "--summary", "-"])
        .ends_with(3);
    assert_eq!(output.summary()["ending"], "forbidden");
    let sent = server.arrived.try_iter().count();
    assert_eq!(sent, 200 + 20, "twenty in a row of one model stop it");
    folder.assert_each_once(200);
    folder.run(&simulator().base_url()).ends_with(0);
}

#[test]
fn a_403_for_everything_stops_the_run() {
    let server = server::answering("403 Forbidden", FORBIDDEN);
    let folder = Folder::with_input(chats(300));
    let run = || folder.run(&server.base_url).args(["--max-in-flight", "4"]);
    let output = run().ends_with(3);
    output.says(&[
        "the server forbids request after request",
        "Your input was flagged",
    ]);
    let sent = server.arrived.try_iter().count();
    assert!((20..=24).contains(&sent), "{sent}");
    assert_eq!(folder.lines("in.errors.jsonl").len(), sent);
    run().args(["--keep-going"]).ends_with(1);
    assert_eq!(server.arrived.try_iter().count(), 300);
    folder.assert_each_once(300);
    // Of few requests, none was let in.
    let folder = Folder::with_input(chats(3));
    let output = folder.run(&server.base_url).ends_with(3);
    output.says(&["the server forbids request after request"]);
    folder.assert_each_once(3);
}

#[test]
fn failures_that_are_all_alike_stop_what_has_never_succeeded() {
    let table = [
        (
            "404 Not Found",
            r#"{"error":{"message":"No such model.","code":"model_not_found"}}"#,
            "No such model.",
        ),
        (
            "400 Bad Request",
            r#"{"error":{"message":"Unknown parameter.","code":"unknown_parameter"}}"#,
            "Unknown parameter.",
        ),
        ("404 Not Found", "404 page not found", "404 page not found"),
    ];
    for (status, body, reason) in table {
        let server = server::answering(status, body);
        let folder = Folder::with_input(chats(300));
        let run = || {
            let run = folder.run(&server.base_url);
            run.args(["--max-in-flight", "4", "--summary", "-"])
        };
        let output = run().ends_with(3);
        output.says(&["20 requests failed alike", reason, "--keep-going"]);
        assert_eq!(output.summary()["ending"], "same_failure", "{status}");
        let sent = server.arrived.try_iter().count();
        assert!((20..=24).contains(&sent), "{status}: {sent}");
        run().args(["--keep-going"]).ends_with(1);
        folder.assert_each_once(300);
        // One that has succeeded shows that it is the requests.
        let api = simulator();
        folder.write("one.jsonl", chat("first", "gpt-4o-mini"));
        let first = ["run", "one.jsonl", "--output", "r.jsonl", "--base-url"];
        folder
            .paceline(first.iter().copied().chain([&*api.base_url()]))
            .ends_with(0);
        let later = ["--output", "r.jsonl", "--errors", "e.jsonl"];
        run().args(later).ends_with(1);
    }
}

#[test]
fn a_run_that_was_in_flight_as_a_whole_has_the_same_verdict() {
    let server = server::answering("404 Not Found", "no such page");
    let folder = Folder::with_input(chats(60));
    let run = folder.run(&server.base_url).args(["--summary", "-"]);
    let output = run.args(["--max-in-flight", "100"]).ends_with(3);
    assert_eq!(output.summary()["ending"], "same_failure", "{output}");
    // Of twenty none was spared: they have failed, and that is all.
    let folder = Folder::with_input(chats(20));
    folder.run(&server.base_url).ends_with(1);
}

#[test]
fn slow_successes_among_quick_failures_dispel_a_suspicion() {
    let (gate, opened) = std::sync::mpsc::channel::<()>();
    let opened = std::sync::Arc::new(std::sync::Mutex::new(opened));
    let server = server::answering_each(move |body| match body.contains("flagged") {
        true => ("404 Not Found", "no such thing"),
        false => {
            let _ = opened.lock().unwrap().recv();
            ("200 OK", ANSWER)
        }
    });
    // The slow one is sent first, and ends last.
    let folder = Folder::with_input(flagged(100, |number| number > 0));
    let running = folder
        .run(&server.base_url)
        .args(["--max-in-flight", "2"])
        .start();
    folder.wait_for_lines("in.errors.jsonl", 20);
    drop(gate);
    running.ends_with(1);
    folder.assert_each_once(100);
}
