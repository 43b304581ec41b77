//! Answers that are cut off, and asked again; runs looked at from another terminal.

use serde_json::Value;

use crate::harness::{Folder, chats};
use crate::server;

const SHORT: &str = r#"{"model":"gpt-4o-mini","choices":[{"message":{"content":"It"},"finish_reason":"length"}],"usage":{"prompt_tokens":13,"completion_tokens":16}}"#;
const LONG: &str = r#"{"model":"gpt-4o-mini","choices":[{"message":{"content":"It is far."},"finish_reason":"stop"}],"usage":{"prompt_tokens":13,"completion_tokens":20}}"#;
const NO: &str = r#"{"error":{"message":"no"}}"#;

/// Answers in full where the cap is large enough, or never.
fn server(is_kind: bool) -> server::Server {
    server::answering_each(move |body| {
        let cap = serde_json::from_str::<Value>(body).unwrap()["max_completion_tokens"].as_u64();
        match (cap, is_kind) {
            (Some(16), _) => ("200 OK", SHORT),
            (Some(32), true) => ("200 OK", LONG),
            _ => ("400 Bad Request", NO),
        }
    })
}

fn answers(folder: &Folder) -> Vec<(String, String)> {
    let lines = folder.lines("in.results.jsonl").into_iter();
    let mut answers: Vec<_> = lines
        .map(|line| {
            let choice = &line["response"]["body"]["choices"][0];
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (
                text(&line["custom_id"]),
                text(&choice["message"]["content"]),
            )
        })
        .collect();
    answers.sort();
    answers
}

#[test]
fn an_answer_that_is_cut_off_is_asked_again_in_the_same_run() {
    let kind = server(true);
    let folder = Folder::with_input(chats(3));
    let run = || {
        folder
            .run(&kind.base_url)
            .args(["--retry-cut-off", "2", "--summary", "-"])
    };
    let summary = run().ends_with(0).summary();
    assert_eq!(
        (&summary["succeeded"], &summary["cut_off"]),
        (&3.into(), &0.into())
    );
    assert!(
        answers(&folder)
            .iter()
            .all(|(_, text)| text == "It is far.")
    );
    folder.assert_each_once(3);
    // What the first answers used is not forgotten.
    let lines = folder.lines("in.results.jsonl");
    let lost = lines
        .iter()
        .filter_map(|line| line["lost"]["tokens"].as_u64())
        .max();
    assert_eq!(lost, Some(3 * 29));
    assert_eq!(run().ends_with(0).summary()["resumed"], 3);
}

#[test]
fn answers_of_an_earlier_run_stay_until_longer_ones_are_there() {
    let (kind, unkind) = (server(true), server(false));
    let folder = Folder::with_input(chats(3));
    folder
        .run(&kind.base_url)
        .ends_with(0)
        .says(&["3 cut off at the output cap"]);
    // None longer comes: the shorter ones stay.
    let again = ["--retry-cut-off", "2"];
    folder.run(&unkind.base_url).args(again).ends_with(1);
    assert!(answers(&folder).iter().all(|(_, text)| text == "It"));
    assert_eq!(answers(&folder).len(), 3);
    // Nor does one without the flag ask again.
    folder.run(&kind.base_url).ends_with(0);
    assert!(answers(&folder).iter().all(|(_, text)| text == "It"));
    folder.run(&kind.base_url).args(again).ends_with(0);
    assert!(
        answers(&folder)
            .iter()
            .all(|(_, text)| text == "It is far.")
    );
    folder.assert_each_once(3);
    // In one run a failure leaves the shorter answer, too, which succeeded.
    let folder = Folder::with_input(chats(2));
    folder
        .run(&unkind.base_url)
        .args(again)
        .ends_with(0)
        .says(&["2 cut off at the output cap"]);
    folder.assert_each_once(2);
}

#[test]
fn a_factor_has_to_be_larger_than_one() {
    let folder = Folder::with_input(chats(1));
    for factor in ["1", "0", "x", "-2", "inf"] {
        let flag = format!("--retry-cut-off={factor}");
        folder
            .run("http://127.0.0.1:9")
            .args([flag])
            .ends_with(2)
            .says(&["from 1.01 to 1000"]);
    }
}

#[test]
fn a_run_is_looked_at_from_another_terminal() {
    let folder = Folder::with_input(chats(5));
    let status = || {
        folder
            .paceline(["status", "in.jsonl", "--json"])
            .ends_with(0)
    };
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let before = parse(&status().stdout);
    assert_eq!(
        (&before["total"], &before["succeeded"]),
        (&5.into(), &0.into())
    );
    assert_eq!(before["is_running"], false);
    let (gated, gate) = server::gated("200 OK");
    let running = folder.run(&gated.base_url).start();
    gated.arrived.recv().unwrap();
    let during = parse(&status().stdout);
    assert_eq!(
        (&during["is_running"], &during["succeeded"]),
        (&true.into(), &0.into())
    );
    folder
        .paceline(["status", "in.jsonl"])
        .ends_with(0)
        .stdout
        .contains("in.jsonl: 0 of 5 done, 0 failed")
        .then_some(())
        .unwrap();
    drop(gate);
    running.ends_with(0);
    let after = parse(&status().stdout);
    assert_eq!(
        (&after["is_running"], &after["succeeded"]),
        (&false.into(), &5.into())
    );
    let text = folder.paceline(["status", "in.jsonl"]).ends_with(0).stdout;
    assert!(
        text.contains("5 of 5 done") && text.contains("finished"),
        "{text}"
    );
}
