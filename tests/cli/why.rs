//! What fails says why: while it runs, and at the end.

use crate::display::{drawn, on_a_terminal};
use crate::harness::{Folder, chat, chats, simulator};
use crate::server::answering;

const BOOM: &str = r#"{"error":{"message":"the cable is \u001b[2Jout","type":"server_error"}}"#;

/// `18:42:30Z `, at the beginning of a line.
fn begins_with_a_time(line: &str) -> bool {
    let shape = |char: char| if char.is_ascii_digit() { '0' } else { char };
    line.chars().map(shape).take(10).eq("00:00:00Z ".chars())
}

#[test]
fn a_run_that_retries_hold_up_says_so_while_it_goes_on_and_why_at_the_end() {
    let server = answering("500 Internal Server Error", BOOM);
    let folder = Folder::with_input(chats(3));
    let run = folder
        .run(&server.base_url)
        .args(["--max-retries", "2", "--progress", "always", "-v"])
        .args(["--summary", "summary.json"]);
    let output = run.ends_with(1);
    let during = |words: &str| {
        let found = output.stderr.lines().find(|line| line.contains(words));
        let line = found.unwrap_or_else(|| panic!("no {words:?} in {output}"));
        assert!(begins_with_a_time(line), "{line}");
    };
    during(" of 3 done");
    during("attempts fail: 500 server_error (r");
    // Each retry and each failure names its request, once.
    let error = "the server answered 500 (server_error): the cable is \u{fffd}[2Jout";
    let log = |id: &str, end: &str| {
        let line = format!("paceline: {id}: {error}{end}");
        output
            .stderr
            .lines()
            .filter(|it| it.starts_with(&line))
            .count()
    };
    for id in ["r0", "r1", "r2"] {
        assert_eq!(log(id, "; trying again in "), 2, "{id} in {output}");
        assert_eq!(log(id, ""), 3, "{id} in {output}");
    }
    output.says(&[
        "  3 failed, 6 retried: 500 server_error (r",
        "): the cable is \u{fffd}[2Jout\n",
        "in.errors.jsonl; the same command tries them again\n",
    ]);
    let summary: serde_json::Value = serde_json::from_str(&folder.read("summary.json")).unwrap();
    let reasons = summary["reasons"].as_array().unwrap();
    assert_eq!(reasons.len(), 1, "{summary}");
    for (key, value) in [("failed", 3), ("retried", 6)] {
        assert_eq!(reasons[0][key], value, "{key} in {summary}");
    }
    assert_eq!(reasons[0]["reason"], "500 server_error");
    assert_eq!(reasons[0]["retryable"], true);
}

#[test]
fn the_reason_is_on_the_screen_within_the_run() {
    let server = answering("500 Internal Server Error", BOOM);
    for columns in [40, 120] {
        let folder = Folder::with_input(chats(2));
        let run = folder.run(&server.base_url).args(["--max-retries", "1"]);
        let Some(output) = on_a_terminal(run, columns, 1) else {
            return;
        };
        let lines = drawn(&output, columns);
        let end = lines.iter().position(|line| line.contains("succeeded, "));
        let during = &lines[..end.unwrap()];
        for words in ["500 server_error: 2 retried", "last: 500 server_error (r"] {
            let found = during.iter().any(|line| line.contains(words));
            assert!(found, "no {words:?} at {columns}: {output:?}");
        }
        assert!(!output.contains("\u{1b}[2Jout"), "{output:?}");
        for line in during {
            assert!(line.starts_with(['█', '░', ' ']), "{line:?} at {columns}");
        }
    }
}

#[test]
fn what_a_retry_cannot_help_is_not_said_to_be_tried_again() {
    let folder = Folder::with_input(chats(2) + "no request\n");
    let refusing = answering(
        "400 Bad Request",
        r#"{"error":{"message":"no","code":"bad"}}"#,
    );
    let output = folder.run(&refusing.base_url).ends_with(1);
    output.says(&[
        "  2 failed: 400 bad (r",
        "  1 failed: invalid line: in.jsonl:3: ",
        "in.errors.jsonl; they fail again until the cause is corrected\n",
    ]);
    assert!(!output.stderr.contains("the same command"), "{output}");
}

#[test]
fn a_model_whose_name_commands_the_terminal_is_shown_without_that() {
    let api = simulator();
    let evil = "m\u{1b}]0;owned\u{7}";
    let folder = Folder::with_input(chat("a", evil));
    for arguments in [
        &["count", "in.jsonl"][..],
        &["run", "in.jsonl", "--dry-run"],
    ] {
        let output = folder.paceline(arguments).ends_with(0);
        assert!(
            output.stdout.contains("m\u{fffd}]0;owned\u{fffd}"),
            "{output}"
        );
        assert!(!output.stdout.contains('\u{1b}'), "{output}");
    }
    let output = folder.run(&api.base_url()).ends_with(0);
    assert!(!output.stderr.contains('\u{1b}'), "{output}");
}

#[test]
fn a_wait_that_the_server_names_is_shown_with_its_end() {
    let server = answering(
        "429 Too Many Requests\r\nretry-after: 660",
        r#"{"error":{"message":"Rate limit reached for gpt-4o-mini on tokens per day (TPD): Limit 100000, Used 99990, Requested 18.","code":"rate_limit_exceeded"}}"#,
    );
    let folder = Folder::with_input(chats(3));
    let run = folder.run(&server.base_url).args(["--grace", "0"]);
    let mut running = run.start();
    let stderr = running.wait_for_word("Z: rate limit of gpt-4o-mini, tokens per day (429)\n");
    running.signal("INT");
    running.wait_for_end(stderr, "interrupted: 0 of 3 requests are done", 130);
}

#[test]
fn the_cap_on_requests_in_flight_is_named_where_it_holds_a_run_back() {
    let folder = Folder::with_input(chats(12));
    let run = ["run", "in.jsonl", "--simulate", "--sim-latency", "0.2"];
    let run = folder
        .paceline(run)
        .args(["--max-in-flight", "1", "--progress", "always"]);
    let output = run.ends_with(0);
    let during = output
        .stderr
        .lines()
        .find(|line| line.contains(" of 12 done"));
    let during = during.unwrap_or_else(|| panic!("no line in {output}"));
    assert!(during.contains("; held back by "), "{during}");
    output.says(&["held back mostly by --max-in-flight 1 ("]);
}

#[test]
fn limits_that_nobody_has_stated_are_called_guesses() {
    let folder = Folder::with_input(chats(2));
    let table: [(&[&str], bool); 2] = [(&[], true), (&["--tpm", "30_000", "--rpm", "500"], false)];
    for (flags, is_guess) in table {
        let dry = folder
            .paceline(["run", "in.jsonl", "--dry-run"])
            .args(flags);
        let output = dry.ends_with(0);
        assert_eq!(
            output.stdout.contains("per minute (guess)"),
            is_guess,
            "{output}"
        );
        let run = [
            "run",
            "in.jsonl",
            "--simulate",
            "--sim-latency",
            "0",
            "--fresh",
        ];
        let output = folder.paceline(run).args(flags).ends_with(0);
        assert!(
            output.stderr.contains("busiest limit gpt-4o-mini: "),
            "{output}"
        );
        assert!(
            !output.stderr.contains("(guess)"),
            "the server has reported it: {output}"
        );
    }
}
