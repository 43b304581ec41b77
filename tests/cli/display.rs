//! What is shown while it runs, and outputs that nobody reads.

use std::fs::File;
use std::io::pipe;

use crate::harness::{Folder, chats, simulator};

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
