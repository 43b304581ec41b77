//! What is shown while it runs, and outputs that nobody reads.

use std::ffi::OsStr;
use std::fs::File;
use std::io::pipe;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Cmd, Folder, chats, simulator};

#[test]
fn progress_goes_to_standard_error_and_only_when_asked() {
    let api = simulator();
    for (when, expected) in [("always", true), ("never", false), ("auto", false)] {
        let folder = Folder::with_input(chats(75));
        let output = folder
            .run(&api.base_url())
            .args(["--rpm", "gpt-4o-mini=1500", "--burst-seconds", "1"])
            .args(["--progress", when, "--summary", "-"])
            .ends_with(0);
        assert_eq!(output.summary()["succeeded"], 75);
        let shown = output.stderr.contains(" of 75 done, ");
        assert_eq!(shown, expected, "{output}");
    }
}

/// The command under a terminal of this width, which is all of what it prints to. `None` where
/// there is no `script` to make one.
pub(crate) fn on_a_terminal(run: Cmd, columns: usize, status: i32) -> Option<String> {
    if Command::new("script").arg("--version").output().is_err() {
        println!("skipped: there is no script(1) to make a terminal");
        return None;
    }
    let line = r#"stty cols $0 rows 24; exec "$@""#.replace("$0", &columns.to_string());
    let run = run.in_shell(&line).env("TERM", "xterm-256color");
    // The words of the command go through another shell, each in quotes.
    let quoted = |word: &OsStr| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\\''"));
    let words: Vec<String> = [run.command.get_program()]
        .into_iter()
        .chain(run.command.get_args())
        .map(quoted)
        .collect();
    let mut script = Cmd {
        command: Command::new("script"),
    };
    script.command.args(["-qec", &words.join(" "), "/dev/null"]);
    script
        .command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in run.command.get_envs() {
        match value {
            Some(value) => script.command.env(name, value),
            None => script.command.env_remove(name),
        };
    }
    script
        .command
        .current_dir(run.command.get_current_dir().unwrap());
    Some(script.ends_with(status).stdout)
}

/// What stood on each line of the terminal, one after the other: moves taken out, and wrapped as
/// the terminal does, which the display counts on.
pub(crate) fn drawn(output: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut chars = output.chars();
    while let Some(char) = chars.next() {
        let line = lines.last_mut().unwrap();
        match char {
            '\u{1b}' => {
                // To the letter that ends it.
                let _ = chars.by_ref().skip(1).find(char::is_ascii_alphabetic);
                lines.push(String::new());
            }
            '\r' | '\n' => lines.push(String::new()),
            char if line.chars().count() == columns => lines.push(char.into()),
            char => line.push(char),
        }
    }
    lines.retain(|line| !line.trim().is_empty());
    lines
}

#[test]
fn a_terminal_has_a_live_display_that_fits_into_it() {
    let api = simulator();
    for columns in [48, 100] {
        let folder = Folder::with_input(chats(75));
        folder.write(
            "prices.toml",
            "[models.gpt-4o-mini]\ninput = 1\noutput = 2\n",
        );
        let run = folder
            .run(&api.base_url())
            .args(["--rpm", "gpt-4o-mini=1200", "--burst-seconds", "1"])
            .args(["--prices", "prices.toml", "--summary", "summary.json"]);
        let Some(output) = on_a_terminal(run, columns, 0) else {
            return;
        };
        let lines = drawn(&output, columns);
        for words in [
            " of 75 done",
            " in flight",
            " tokens used of about ",
            "gpt-4o-mini ",
            " % of 1,000,000,000 ",
        ] {
            let found = lines.iter().any(|line| line.contains(words));
            assert!(found, "no {words:?} at {columns}: {output:?}");
        }
        if columns == 100 {
            let is_starred =
                |line: &String| line.contains('*') && line.contains(" % of 1,200 requests/minute");
            assert!(lines.iter().any(is_starred), "{output:?}");
            for words in [" USD of about ", " left"] {
                let found = lines.iter().any(|line| line.contains(words));
                assert!(found, "no {words:?} at {columns}: {output:?}");
            }
        }
        // Each begins as a line of the display does: none goes on from the one before. What is said
        // at the end may wrap.
        let end = lines
            .iter()
            .position(|line| line.contains("75 requests in"));
        for line in &lines[..end.unwrap()] {
            assert!(line.starts_with(['█', '░', ' ']), "{line:?} at {columns}");
        }
        assert!(output.contains("75 succeeded, 0 failed"), "{output:?}");
        let summary: Value = serde_json::from_str(&folder.read("summary.json")).unwrap();
        assert_eq!(summary["succeeded"], 75);
    }
}

#[test]
fn never_is_never_on_a_terminal_too() {
    let api = simulator();
    let folder = Folder::with_input(chats(30));
    let run = folder
        .run(&api.base_url())
        .args(["--rpm", "gpt-4o-mini=600", "--burst-seconds", "1"])
        .args(["--progress", "never"]);
    if let Some(output) = on_a_terminal(run, 100, 0) {
        assert!(!output.contains(" of 30 done"), "{output:?}");
        assert!(output.contains("30 succeeded"), "{output:?}");
    }
}

#[test]
fn an_output_that_nobody_reads_ends_nothing() {
    let folder = Folder::with_input(chats(3));
    let simulated = ["run", "in.jsonl", "--simulate", "--fresh", "--summary", "-"];
    let (dry, count) = (["run", "in.jsonl", "--dry-run"], ["count", "in.jsonl"]);
    for args in [&simulated[..], &dry, &count, &["--help"]] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        folder.paceline(args).stdout(writer).ends_with(0);
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        folder.paceline(args).stderr(writer).ends_with(0);
        let closed = folder.paceline(args).in_shell(r#"exec "$@" 2>&-"#);
        closed.ends_with(0);
    }
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    folder
        .paceline(["run", "nowhere"])
        .stderr(writer)
        .ends_with(2);
}

#[test]
fn an_output_that_cannot_be_written_is_said() {
    let folder = Folder::with_input(chats(3));
    let simulated = ["run", "in.jsonl", "--simulate", "--fresh", "--summary", "-"];
    for args in [&simulated[..], &["run", "in.jsonl", "--dry-run"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = folder.paceline(args).stdout(full).ends_with(2);
        output.says(&["standard output: No space left on device"]);
    }
}
