//! The main job, from first to last.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use paceline::sim::{SimConfig, SimLimits, Simulator};

use crate::harness::{Folder, chat, chats, simulator};

const KEYS: [&str; 15] = [
    "requests",
    "succeeded",
    "failed",
    "resumed",
    "retries",
    "rate_limited",
    "reasons",
    "tokens_reserved",
    "tokens_used",
    "abandoned",
    "wall_seconds",
    "utilisation",
    "binding",
    "max_in_flight",
    "ending",
];

/// The example file, with limits that hold nothing up.
fn examples() -> Folder {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/requests.jsonl");
    Folder::with_input(std::fs::read(file).unwrap())
}

const SIMULATED: [&str; 10] = [
    "run",
    "in.jsonl",
    "--simulate",
    "--sim-latency",
    "0",
    "--tpm=1_000_000_000",
    "--rpm=100_000_000",
    "--burst-seconds=60",
    "--summary",
    "-",
];

#[test]
fn the_examples_run_and_a_second_start_has_nothing_to_do() {
    let folder = examples();
    let output = folder.paceline(SIMULATED).ends_with(0);
    let summary = output.summary();
    for key in KEYS {
        assert!(summary.get(key).is_some(), "{key} is not in {summary}");
    }
    for (key, value) in [
        ("requests", 240),
        ("succeeded", 240),
        ("failed", 0),
        ("resumed", 0),
        ("retries", 0),
        ("rate_limited", 0),
    ] {
        assert_eq!(summary[key], value, "{key} in {summary}");
    }
    let number = |key: &str| summary[key].as_f64().unwrap();
    assert!(number("tokens_used") <= number("tokens_reserved") && number("tokens_used") > 0.0);
    assert!((0.0..=1.0).contains(&number("utilisation")), "{summary}");
    assert!(number("max_in_flight") >= 1.0 && number("wall_seconds") > 0.0);
    assert!(summary["binding"].as_str().unwrap().contains(" per minute"));
    output.says(&[
        "240 requests",
        "240 succeeded",
        "in.simulated.results.jsonl",
    ]);

    let lines = folder.lines("in.simulated.results.jsonl");
    let ids: BTreeSet<_> = lines
        .iter()
        .map(|line| line["custom_id"].as_str())
        .collect();
    assert_eq!((lines.len(), ids.len()), (240, 240));
    for line in folder.lines("in.simulated.results.jsonl") {
        let fields: Vec<_> = line.as_object().unwrap().keys().collect();
        assert_eq!(
            fields,
            ["id", "custom_id", "response", "error", "simulated"]
        );
        assert!(line["id"].as_str().unwrap().starts_with("batch_req_"));
        assert!(line["error"].is_null());
        let response = &line["response"];
        assert_eq!(response["status_code"], 200);
        assert!(response["request_id"].is_string());
        assert!(response["body"]["choices"].is_array());
    }
    assert_eq!(folder.read("in.simulated.errors.jsonl"), "");

    let before = folder.read("in.simulated.results.jsonl");
    let again = folder.paceline(SIMULATED).ends_with(0);
    let summary = again.summary();
    for (key, value) in [
        ("requests", 240),
        ("succeeded", 0),
        ("resumed", 240),
        ("tokens_reserved", 0),
    ] {
        assert_eq!(summary[key], value, "{key} in {summary}");
    }
    again.says(&["240 done before"]);
    assert_eq!(folder.read("in.simulated.results.jsonl"), before);

    folder.paceline(SIMULATED).args(["--fresh"]).ends_with(0);
    assert_eq!(folder.read("in.simulated.results.jsonl.1"), before);
    assert_eq!(folder.lines("in.simulated.results.jsonl").len(), 240);
}

#[test]
fn nothing_is_sent_twice_and_failures_are_tried_again() {
    let api = simulator();
    let folder = Folder::with_input(chats(20));
    let refusing = SimConfig::new().default_limits(SimLimits::none().tokens_per_minute(1));
    let refusing = Simulator::start(refusing).unwrap();
    let output = folder.run(&refusing.base_url()).ends_with(1);
    output.says(&[
        "20 failed",
        "in.errors.jsonl; they fail again until the cause is corrected",
    ]);
    let failures = folder.lines("in.errors.jsonl");
    assert_eq!(failures.len(), 20);
    for line in failures {
        assert_eq!(line["response"]["status_code"], 429, "{line}");
        assert!(line["error"].is_null(), "an answer is an answer: {line}");
    }
    assert_eq!(refusing.report().received, 20, "too large is final");

    folder.run(&api.base_url()).ends_with(0);
    folder.assert_each_once(20);
    folder.run(&api.base_url()).ends_with(0);
    assert_eq!(api.report().received, 20);
}

#[test]
fn a_run_that_has_to_wait_meets_no_429() {
    let limits = SimLimits::none()
        .tokens_per_minute(60_000)
        .requests_per_minute(1_500);
    // Room for what a busy machine may delay; all at once would still be 25 too many.
    let config = SimConfig::new()
        .default_limits(limits)
        .burst(Duration::from_secs(2));
    let api = Simulator::start(config).unwrap();
    let folder = Folder::with_input(chats(75));
    let output = folder
        .paceline(["run", "in.jsonl", "--base-url", &api.base_url()])
        .args(["--tpm", "60000", "--rpm", "1500", "--burst-seconds", "1"])
        .args(["--summary", "-"])
        .ends_with(0);
    let (summary, report) = (output.summary(), api.report());
    assert_eq!((report.refused(), report.received), (0, 75));
    assert_eq!(report.violations(), []);
    // 25 a second, of which 25 may go at once: 2 s for the other 50.
    let wall = summary["wall_seconds"].as_f64().unwrap();
    assert!(wall >= 2.0, "{summary}");
    assert_eq!(summary["rate_limited"], 0);
    assert_eq!(summary["binding"], "gpt-4o-mini: 1500 requests per minute");
    folder.assert_each_once(75);
}

#[test]
fn a_model_that_is_out_of_tokens_holds_up_no_other() {
    let api = simulator();
    let mut text: String = (0..3)
        .map(|n| chat(&format!("slow{n}"), "o3") + "\n")
        .collect();
    text.push_str(&chats(50));
    let folder = Folder::with_input(text);
    // One of the slow ones goes at once, the next one waits for a minute.
    let running = folder.run(&api.base_url()).args(["--rpm", "o3=1"]).start();
    folder.wait_for_lines("in.results.jsonl", 51);
    running.signal("INT");
    running
        .ends_with(130)
        .says(&["the same command resumes the run"]);
    let ids = folder.ids();
    assert_eq!(ids.len(), 51, "{ids:?}");
}
