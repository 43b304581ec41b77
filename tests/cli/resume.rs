//! What earlier runs did, and lines that have changed since.

use paceline::sim::{SimConfig, SimLimits, Simulator};

use crate::harness::{Folder, chat, chats, simulator};

/// An API that refuses every request for good.
fn refusing() -> Simulator {
    let config = SimConfig::new().default_limits(SimLimits::none().tokens_per_minute(1));
    Simulator::start(config).unwrap()
}

#[test]
fn a_finished_line_that_has_changed_is_not_sent_and_named() {
    let api = simulator();
    let folder = Folder::with_input(chats(6));
    let run = folder.run(&api.base_url());
    run.args(["--sync-every", "0"]).ends_with(0);
    let results = folder.read("in.results.jsonl");
    let line = |number: usize| chat(&format!("r{number}"), "gpt-4o-mini");
    let changed = [
        line(0),
        line(1).replace("moon", "sun"),
        line(2).replace("chat/completions", "responses"),
        line(3).replace("\":", "\" : "),
        line(4),
        line(5).replace(":16", ":17"),
        line(6),
    ];
    folder.write("in.jsonl", changed.join("\n"));
    let output = folder
        .run(&api.base_url())
        .args(["--summary", "-"])
        .ends_with(1);
    let summary = output.summary();
    for (key, value) in [("resumed", 3), ("succeeded", 1), ("failed", 3)] {
        assert_eq!(summary[key], value, "{key} in {summary}");
    }
    assert_eq!(api.report().received, 7, "only the new one was sent");
    assert!(folder.read("in.results.jsonl").starts_with(&results));

    let mut said: Vec<_> = folder
        .lines("in.errors.jsonl")
        .into_iter()
        .map(|line| line["error"]["message"].as_str().unwrap().to_owned())
        .collect();
    said.sort();
    let recorded = |id: &str| {
        let lines = folder.lines("in.results.jsonl");
        let line = lines.iter().find(|line| line["custom_id"] == id).unwrap();
        line["id"].as_str().unwrap()["batch_req_".len()..][..16].to_owned()
    };
    assert_eq!(said.len(), 3);
    for (message, (line, id)) in said.iter().zip([(2, "r1"), (3, "r2"), (6, "r5")]) {
        let before = recorded(id);
        let begin = format!(
            "in.jsonl:{line}: custom_id \"{id}\" has a result already, of a request with another \
             url or body (fingerprint {before}, here "
        );
        assert!(message.starts_with(&begin), "{message}");
        let end = "); give this one another custom_id, or start over with --fresh";
        assert!(message.ends_with(end), "{message}");
    }

    let fresh = folder.run(&api.base_url()).args(["--fresh"]);
    fresh.ends_with(1).says(&["6 succeeded", "1 failed"]); // one is none for that endpoint
}

#[test]
fn results_of_others_are_finished_whatever_their_request_was() {
    let api = simulator();
    let folder = Folder::with_input(chats(2));
    let line = r#"{"id": "batch_req_6740c1ea3ea88190", "custom_id": "r0", "response": {"status_code": 200, "request_id": "x", "body": {}}, "error": null}"#;
    folder.write("in.results.jsonl", format!("{line}\n"));
    let output = folder.run(&api.base_url()).ends_with(0);
    output.says(&["1 succeeded", "1 done before"]);
    assert_eq!(api.report().received, 1);
}

#[test]
fn failures_are_kept_when_that_is_asked_for_and_else_tried_again() {
    let refusing = refusing();
    let folder = Folder::with_input(chats(5) + "no request\n");
    folder.run(&refusing.base_url()).ends_with(1);
    let api = simulator();
    for more in [&["--keep-failed"][..], &["--retry-failed", "--keep-failed"]] {
        let run = folder.run(&api.base_url()).args(more);
        let output = run.args(["--summary", "-"]).ends_with(1);
        output.says(&["without --keep-failed"]);
        let summary = output.summary();
        for (key, value) in [("requests", 6), ("failed", 6), ("succeeded", 0)] {
            assert_eq!(summary[key], value, "{key} in {summary}");
        }
        assert_eq!(api.report().received, 0);
        assert_eq!(folder.lines("in.errors.jsonl").len(), 6);
    }
    let again = ["--keep-failed", "--retry-failed"];
    let output = folder.run(&api.base_url()).args(again).ends_with(1);
    output.says(&[
        "5 succeeded",
        "1 failed",
        "fails again until the cause is corrected",
    ]);
    assert_eq!(folder.lines("in.errors.jsonl").len(), 1);
    assert_eq!(api.report().received, 5);
}
