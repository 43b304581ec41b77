//! Waits that are too long to be left unsaid, and usage that nobody can have had.

use super::harness::{Folder, chats};
use super::server::answering_each;

const FINE: &str = r#"{"choices":[{"message":{"content":"fine"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;
const YEAR: &str = r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#;

/// The status and the body for a request by its number, which its id ends in.
fn for_third(
    status: &'static str,
    body: &'static str,
) -> impl Fn(&str) -> (&'static str, &'static str) + Clone + Send + 'static {
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    move |_| match seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        2 => (status, body),
        _ => ("200 OK", FINE),
    }
}

#[test]
fn a_wait_of_a_year_is_said_and_ends_the_run() {
    for status in [
        "429 No\r\nretry-after: 31536000",
        "503 No\r\nretry-after: 31536000",
    ] {
        let folder = Folder::with_input(chats(30));
        let server = answering_each(for_third(status, YEAR));
        let run = folder.run(&server.base_url).args(["--max-in-flight", "2"]);
        let output = run.args(["--progress", "never"]).ends_with(4);
        output.says(&[
            "wait until",
            "365 days",
            "stopped",
            "the same command resumes the run",
        ]);
        let done = folder.whole_lines("in.results.jsonl");
        assert!((2..30).contains(&done), "{done} of 30 are done");
        let failed = folder.whole_lines("in.errors.jsonl");
        assert_eq!(
            failed,
            0,
            "a request failed by it: {:?}",
            folder.read("in.errors.jsonl")
        );
        // The same command goes on.
        folder.run(&server.base_url).ends_with(0);
        folder.assert_each_once(30);
    }
}

#[test]
fn usage_that_has_wrapped_stops_nothing() {
    const WRAPPED: &str = r#"{"choices":[{"message":{"content":"fine"}}],"usage":{"prompt_tokens":4294967295,"completion_tokens":5}}"#;
    let folder = Folder::with_input(chats(30));
    let server = answering_each(for_third("200 OK", WRAPPED));
    let args = [
        "run",
        "in.jsonl",
        "--base-url",
        &server.base_url,
        "--tpm",
        "30000",
    ];
    let output = folder
        .paceline(args)
        .args(["--accounting", "actual"])
        .ends_with(0);
    output.says(&["4294967300 tokens", "not believed"]);
    folder.assert_each_once(30);
}
