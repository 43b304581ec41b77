//! Lines, good and bad.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Folder, chat, chats, simulator};

/// The message that a line got in the errors file.
fn message(errors: &[Value], part: &str) -> Value {
    let has = |line: &&Value| {
        line["error"]["message"]
            .as_str()
            .is_some_and(|m| m.contains(part))
    };
    let found = errors.iter().find(has);
    found
        .unwrap_or_else(|| panic!("no {part:?} in {errors:#?}"))
        .clone()
}

#[test]
fn bad_lines_go_to_the_errors_and_good_ones_run() {
    let with = |change: &str, to: &str| {
        let line = chat("x", "gpt-4o-mini");
        assert!(line.contains(change), "{change} in {line}");
        line.replace(change, to)
    };
    let body = r#""body":{"#;
    let mut lines: Vec<Vec<u8>> = [
        chat("good1", "gpt-4o-mini"),                   // 1
        r#"{"custom_id": "torn", "url": }"#.to_owned(), // 2
        with(r#""custom_id":"x","#, ""),                // 3
        with(r#""x""#, r#""good1""#),                   // 4
        with(r#""model":"gpt-4o-mini""#, r#""model":" ""#).replace(r#""x""#, r#""no-model""#), // 5
        with("/v1/chat/completions", "v1/files").replace(r#""x""#, r#""url""#), // 6
        with(body, r#""body":7,"unused":{"#).replace(r#""x""#, r#""body""#), // 7
        with(":16", ":90000").replace(r#""x""#, r#""huge""#), // 8
        String::new(),                                  // 9
        "[1, 2]".to_owned(),                            // 10
        chat("good2", "gpt-4o-mini"),                   // 11
    ]
    .map(String::into_bytes)
    .to_vec();
    lines.push(b"{\"custom_id\": \"\xff\xfe\"}".to_vec()); // 12
    let folder = Folder::with_input(lines.join(&b'\n'));
    let api = simulator();
    let output = folder
        .run(&api.base_url())
        .args(["--tpm", "gpt-4o-mini=50_000", "--summary", "-"])
        .ends_with(1);
    let summary = output.summary();
    assert_eq!(summary["succeeded"], 2, "{summary}");
    assert_eq!(summary["failed"], 9, "{summary}");
    let good = folder.lines("in.results.jsonl");
    let mut good: Vec<_> = good.iter().map(|line| line["custom_id"].as_str()).collect();
    good.sort_unstable();
    assert_eq!(good, [Some("good1"), Some("good2")]);

    let errors = folder.lines("in.errors.jsonl");
    assert_eq!(errors.len(), 9);
    for line in &errors {
        assert!(line["response"].is_null(), "{line}");
        assert!(
            line["id"].as_str().unwrap().starts_with("batch_req_"),
            "{line}"
        );
    }
    let table = [
        (
            "in.jsonl:2: column 30: expected value",
            None,
            "invalid_line",
        ),
        (
            "in.jsonl:3: custom_id: a string is needed",
            None,
            "invalid_line",
        ),
        (
            "in.jsonl:4: custom_id \"good1\" stands in line 1 already",
            Some("good1"),
            "invalid_line",
        ),
        (
            "in.jsonl:5: body.model: the name of a model is needed",
            Some("no-model"),
            "invalid_line",
        ),
        (
            "in.jsonl:6: url: \"v1/files\" is no path",
            Some("url"),
            "invalid_line",
        ),
        (
            "in.jsonl:7: body: an object is needed",
            Some("body"),
            "invalid_line",
        ),
        (
            "can never pass a limit of 50000 tokens per minute",
            Some("huge"),
            "request_too_large",
        ),
        ("in.jsonl:10: a JSON object is needed", None, "invalid_line"),
        (
            "in.jsonl:12: column 16: invalid unicode",
            None,
            "invalid_line",
        ),
    ];
    for (step, (part, id, code)) in table.into_iter().enumerate() {
        let line = message(&errors, part);
        assert_eq!(line["custom_id"].as_str(), id, "step {step}: {line}");
        assert_eq!(line["error"]["code"], code, "step {step}: {line}");
    }
    assert_eq!(api.report().received, 2);
}

#[test]
fn line_ends_and_marks_of_other_systems_do_no_harm() {
    let api = simulator();
    let (a, b) = (chat("r0", "gpt-4o-mini"), chat("r1", "gpt-4o-mini"));
    for (step, text) in [
        format!("{a}\r\n{b}\r\n"),
        format!("\u{feff}{a}\n{b}\n"),
        format!("{a}\n{b}"),
        format!("\n\n{a}\n  \n{b}\n\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = Folder::with_input(&text);
        let output = folder.run(&api.base_url()).ends_with(0);
        output.says(&["2 requests", "2 succeeded"]);
        folder.assert_each_once(2);
        assert_eq!(api.report().received, 2 * (step as u64 + 1), "step {step}");
    }
}

#[test]
fn an_input_that_is_none_is_named() {
    let folder = Folder::new();
    folder.write("empty.jsonl", "");
    folder.write("blank.jsonl", "\n  \r\n");
    fs::create_dir(folder.path("folder")).unwrap();
    let table = [
        ("empty.jsonl", "empty.jsonl: no requests in it"),
        ("blank.jsonl", "blank.jsonl: no requests in it"),
        ("missing.jsonl", "missing.jsonl: No such file"),
        ("folder", "folder: is a directory"),
    ];
    for (input, message) in table {
        for more in [&["--simulate"][..], &["--dry-run"]] {
            let output = folder.paceline(["run", input]).args(more).ends_with(2);
            output.says(&[message]).prints_nothing();
        }
        folder
            .paceline(["count", input])
            .ends_with(2)
            .says(&[message]);
    }
    assert_eq!(folder.files(), ["blank.jsonl", "empty.jsonl", "folder"]);
}

#[test]
fn standard_input_needs_names_for_its_outputs() {
    let folder = Folder::new();
    let api = simulator();
    let run = |more: &[&str]| {
        let cmd = folder.paceline(["run", "-", "--base-url", &api.base_url()]);
        cmd.args(more)
    };
    let named = [
        "--output",
        "in.results.jsonl",
        "--errors",
        "in.errors.jsonl",
    ];
    let missing = "is needed when the input is not a file";
    run(&[]).fed(chats(1), 2).says(&["--output", missing]);
    run(&["--output", "-"])
        .fed(chats(1), 2)
        .says(&["--errors", missing]);
    assert_eq!(folder.files(), [""; 0]);

    // Failures go beside the results, if those are named.
    run(&named[..2]).fed(chats(40), 0).says(&["40 succeeded"]);
    run(&named)
        .fed(chats(50), 0)
        .says(&["10 succeeded", "40 done before"]);
    folder.assert_each_once(50);
    assert_eq!(api.report().received, 50);
    run(&named)
        .fed("", 2)
        .says(&["standard input: no requests in it"]);
    let bad = run(&named).fed(format!("{{}}\n{}", chats(50)), 1);
    bad.says(&["1 failed"]);
    let errors = folder.lines("in.errors.jsonl");
    assert_eq!(
        errors[0]["error"]["message"],
        "standard input:1: custom_id: a string is needed"
    );
}

#[test]
fn an_input_that_is_a_pipe_is_read_once() {
    let api = simulator();
    let folder = Folder::new();
    let made = Command::new("mkfifo").arg(folder.path("pipe")).status();
    assert!(made.unwrap().success());
    let missing = folder.paceline(["run", "pipe", "--base-url", &api.base_url()]);
    missing
        .ends_with(2)
        .says(&["--output is needed when the input is not a file"]);
    for input in ["pipe", "/dev/stdin"] {
        let running = folder
            .paceline(["run", input, "--base-url", &api.base_url(), "--fresh"])
            .args([
                "--output",
                "in.results.jsonl",
                "--errors",
                "in.errors.jsonl",
            ]);
        if input == "pipe" {
            let running = running.start();
            fs::write(folder.path("pipe"), chats(30)).unwrap();
            running.ends_with(0);
            fs::remove_file(folder.path("pipe")).unwrap(); // the folder's last look would hang on it
        } else {
            running.fed(chats(30), 0);
        }
        folder.assert_each_once(30);
    }
}
