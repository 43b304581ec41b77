//! Keys that are refused, money that has run out.

use paceline::sim::{SimConfig, Simulator};

use crate::harness::{Folder, KEY, chats, simulator};
use crate::server;

#[test]
fn a_wrong_key_stops_the_run_and_the_right_one_goes_on() {
    let config = SimConfig::new().api_key(Some("another key".to_owned()));
    let refusing = Simulator::start(config).unwrap();
    let folder = Folder::with_input(chats(30));
    let output = folder
        .run(&refusing.base_url())
        .args(["--max-in-flight", "2", "--summary", "-"])
        .ends_with(3);
    output.says(&[
        "stopped by an account error: the server answered 401",
        "nothing is lost",
        "the same command resumes the run",
    ]);
    let stopped = output.stderr.matches("stopped by an account error").count();
    assert_eq!(stopped, 1, "{output}");
    let summary = output.summary();
    assert_eq!(summary["succeeded"], 0);
    let received = refusing.report().received;
    assert!(received <= 3, "{received} were sent, two at once");
    assert_eq!(folder.lines("in.results.jsonl").len(), 0);

    let api = simulator();
    folder.run(&api.base_url()).ends_with(0);
    folder.assert_each_once(30);
}

#[test]
fn money_that_has_run_out_stops_the_run() {
    let server = server::answering(
        "429 Too Many Requests",
        r#"{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
    );
    let folder = Folder::with_input(chats(30));
    let output = folder
        .run(&server.base_url)
        .args(["--max-in-flight", "2"])
        .ends_with(3);
    output.says(&["insufficient_quota", "You exceeded your current quota."]);
    output.prints_nothing();
    assert!(server.arrived.try_iter().count() <= 3, "sent on and on");

    let api = simulator();
    folder.run(&api.base_url()).ends_with(0);
    folder.assert_each_once(30);
}

#[test]
fn a_key_that_is_missing_or_none_is_said_before_anything_is_done() {
    let folder = Folder::with_input(chats(1));
    let run = || folder.run("http://api.invalid/v1");
    let output = run().env_remove("OPENAI_API_KEY").ends_with(2);
    output.says(&["no API key", "OPENAI_API_KEY"]);
    let named = run().args(["--api-key-env", "MY_KEY"]);
    named.ends_with(2).says(&["MY_KEY"]);
    for key in ["", "  ", "a\nb"] {
        let output = run().env("OPENAI_API_KEY", key).ends_with(2);
        output.says(&["is empty or has characters that no key has"]);
    }
    assert_eq!(folder.files(), ["in.jsonl"]);
}

#[test]
fn a_key_with_its_line_end_is_the_key() {
    let config = SimConfig::new().api_key(Some(KEY.to_owned()));
    let api = Simulator::start(config).unwrap();
    let folder = Folder::with_input(chats(1));
    let run = folder.run(&api.base_url());
    run.env("OPENAI_API_KEY", &format!("{KEY}\n")).ends_with(0);
    let run = folder.run(&api.base_url()).args(["--fresh", "--verbose"]);
    run.ends_with(0).says(&["is now in.results.jsonl.1"]);
}
