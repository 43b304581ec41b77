//! What servers, inputs and slips of the hand put on the screen: no commands, no keys.

use super::harness::{Folder, KEY, chat};
use super::server::answering;

/// Clears the screen, sets its title, and does so again with C1; then reads from right to left.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\u{2066}\u{7f}";

fn assert_plain(text: &str) {
    let commands = |char: &char| {
        (char.is_control() && *char != '\n' && *char != '\t')
            || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let found: Vec<char> = text.chars().filter(commands).collect();
    assert!(found.is_empty(), "{found:?} in {text:?}");
}

#[test]
fn nothing_that_a_server_or_an_input_says_commands_the_terminal() {
    let request = chat(&format!("id{EVIL}"), &format!("model{EVIL}"));
    let statuses = [
        "401 Unauthorized",
        "400 Bad Request",
        "200 OK",
        "500 Failed",
    ];
    let json = r#"{"error":{"message":"\u001b[2J\u009b2J\u202e\u007f","code":"\u001b]0;x\u0007"}}"#;
    for status in statuses {
        for body in [json, "<html>\u{1b}[2J\u{9b}2J\u{202e}</html>"] {
            let folder = Folder::with_input(format!("{request}\n{request}\n"));
            let server = answering(status, body);
            let run = folder
                .run(&server.base_url)
                .args(["-v", "--max-retries", "1"]);
            let run = run.args(["--progress", "always", "--keep-going"]);
            let output = run.start().ends_in([1, 3]);
            assert_plain(&output.stderr);
            assert_plain(&output.stdout);
        }
    }
    let folder = Folder::with_input(format!("{request}\nnot JSON {EVIL}\n"));
    for command in [
        vec!["count", "in.jsonl"],
        vec!["run", "in.jsonl", "--dry-run"],
        vec!["run", "in.jsonl", "--simulate", "--tpm", "1e"],
        vec!["run", EVIL],
        vec!["run", "in.jsonl", EVIL],
        vec!["run", "in.jsonl", "--tpm", EVIL],
        vec!["run", "in.jsonl", "--accounting", EVIL],
        vec!["run", "in.jsonl", "--prompt", EVIL],
        vec!["run", "in.jsonl", "--limits", EVIL],
        vec!["run", "in.jsonl", "--base-url", EVIL],
        vec!["run", "in.jsonl", "--api-key-env", EVIL],
        vec!["run", "in.jsonl", "--header", EVIL],
        vec![EVIL],
    ] {
        let output = folder.paceline(&command).start().ends_in([0, 1, 2]);
        assert_plain(&output.stderr);
        assert_plain(&output.stdout);
    }
}

#[test]
fn a_key_that_is_typed_in_a_wrong_place_is_not_repeated() {
    // Besides the one that is set as a variable, one that only looks like one.
    for key in [
        KEY,
        "sk-ant-api03-Ab3dEf6hIj9lMn2pQr5t",
        "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    ] {
        let folder = Folder::with_input(chat("a", "gpt-4o-mini"));
        let with = format!("--api-key={key}");
        for command in [
            vec![key],
            vec!["run", key],
            vec!["run", "in.jsonl", key],
            vec!["run", "in.jsonl", &with],
            vec!["run", "in.jsonl", "--tpm", key],
            vec!["run", "in.jsonl", "--rpm", key],
            vec!["run", "in.jsonl", "--accounting", key],
            vec!["run", "in.jsonl", "--max-cost", key],
            vec!["run", "in.jsonl", "--timeout", key],
            vec!["run", "in.jsonl", "--shard", key],
            vec!["run", "in.jsonl", "--limits", key],
            vec!["run", "in.jsonl", "--prices", key],
            vec!["run", "in.jsonl", "--base-url", key],
            vec!["run", "in.jsonl", "--api-key-env", key],
            vec!["run", "in.jsonl", "--header", key],
            vec!["run", "in.jsonl", "--header-env", key],
            vec!["count", key],
            vec!["count", "in.jsonl", "--model", key],
            vec!["simulate", key],
            vec!["limits", "--header", key, "m"],
        ] {
            let output = folder.paceline(&command).ends_with(2);
            assert!(!output.stderr.contains(key), "{}", output.stderr);
            assert!(!output.stdout.contains(key), "{}", output.stdout);
        }
    }
}
