//! Flags and settings that cannot work.

use crate::harness::{Folder, chats, simulator};

#[test]
fn wrong_flags_are_named_with_what_would_be_right() {
    let table: [(&[&str], &[&str]); 27] = [
        (&["--no-such-flag"], &["--no-such-flag"]),
        (&["--tpm", "0"], &["--tpm", "a limit of 0 admits nothing"]),
        (
            &["--tpm", "99999999999999999999"],
            &["--tpm", "99999999999999999999"],
        ),
        (
            &["--tpm", "9999999999999999999"],
            &["--tpm", "the largest limit is"],
        ),
        (
            &["--rpm", "many"],
            &["--rpm", "\"many\" is no whole number such as 30000"],
        ),
        (&["--rpm", "-5"], &["-5"]),
        (
            &["--rpm", "=5"],
            &["--rpm", "a model is missing before the ="],
        ),
        (&["--rpm", "gpt-4o="], &["--rpm", "\"\" is no whole number"]),
        (
            &["--timeout", "0"],
            &["--timeout", "a time above 0 is needed"],
        ),
        (&["--timeout", "soon"], &["--timeout", "a time is needed"]),
        (&["--burst-seconds", "0"], &["--burst-seconds", "above 0"]),
        (
            &["--max-in-flight", "0"],
            &["--max-in-flight", "at least 1"],
        ),
        (&["--max-retries", "-1"], &["-1"]),
        (&["--progress", "sometimes"], &["auto", "always", "never"]),
        (
            &["--accounting", "all"],
            &[
                "prompt-plus-cap",
                "larger",
                "actual",
                "prompt-only",
                "as-used",
            ],
        ),
        (&["--sim-latency", "1"], &["--simulate"]),
        (
            &["--learn-output"],
            &["--learn-output", "--accounting actual", "leave this out"],
        ),
        (
            &["--learn-output=0.9", "--accounting", "larger"],
            &["--learn-output", "--accounting actual"],
        ),
        (
            &["--learn-output=95", "--accounting", "actual"],
            &["--learn-output", "a quantile from 0.5 to 0.99 is needed"],
        ),
        (
            &["--budget-tokens", "0"],
            &["--budget-tokens", "at least 1"],
        ),
        (
            &["--budget-tokens", "many"],
            &["--budget-tokens", "a whole number such as 30000"],
        ),
        (&["--max-failures", "0"], &["--max-failures", "at least 1"]),
        (&["--deadline", "0"], &["--deadline", "above 0"]),
        (&["--max-cost", "5"], &["--prices <FILE|builtin>"]),
        (
            &["--prices", "p", "--max-cost", "5 dollars"],
            &["--max-cost", "an amount is needed, such as 20, 12.50"],
        ),
        (&["--expect-latency", "1"], &["--dry-run"]),
        (
            &["--simulate", "--base-url", "http://h/v1"],
            &["--simulate", "--base-url"],
        ),
    ];
    let folder = Folder::with_input(chats(1));
    for (flags, words) in table {
        let output = folder
            .paceline(["run", "in.jsonl"])
            .args(flags)
            .ends_with(2);
        output.says(words).prints_nothing();
    }
    assert_eq!(folder.files(), ["in.jsonl"]);
}

#[test]
fn a_base_url_that_is_none_is_said_before_anything_is_done() {
    let folder = Folder::with_input(chats(1));
    for url in ["nonsense", "ftp://x", "http://", "http://a b/v1", ""] {
        let output = folder.run(url).ends_with(2);
        output.says(&[
            "base URL",
            "an address such as https://api.openai.com/v1 is needed",
        ]);
    }
    let output = folder.run("http://me:pw@host/v1").ends_with(2);
    output.says(&["base URL", "no user name or password"]);
    let variable = folder.paceline(["run", "in.jsonl"]);
    let output = variable.env("OPENAI_BASE_URL", "nonsense").ends_with(2);
    output.says(&["base URL \"nonsense\""]);
    assert_eq!(folder.files(), ["in.jsonl"]);
}

#[test]
fn the_base_url_of_the_environment_is_used_and_gives_way() {
    let api = simulator();
    let folder = Folder::with_input(chats(2));
    let run = folder.paceline(["run", "in.jsonl"]);
    run.env("OPENAI_BASE_URL", &api.base_url()).ends_with(0);
    let run = folder.run(&api.base_url()).args(["--fresh"]);
    run.env("OPENAI_BASE_URL", "nonsense").ends_with(0);
    assert_eq!(api.report().received, 4);
    // Where nothing is sent to it, it plays no part.
    for command in [
        &["run", "in.jsonl", "--simulate", "--fresh"][..],
        &["run", "in.jsonl", "--dry-run"],
        &["count", "in.jsonl"],
    ] {
        let run = folder.paceline(command);
        run.env("OPENAI_BASE_URL", "nonsense").ends_with(0);
    }
    assert_eq!(api.report().received, 4);
    // An empty one is no mistake: the run gets as far as its files, and no further.
    let run = folder.paceline(["run", "in.jsonl", "--output", "no/such"]);
    let output = run.env("OPENAI_BASE_URL", "").ends_with(2);
    output.says(&["no/such: No such file"]);
}

#[test]
fn a_mistake_in_a_limits_file_is_named_with_its_place() {
    let folder = Folder::with_input(chats(1));
    let run = || folder.paceline(["run", "in.jsonl", "--simulate", "--limits", "limits.toml"]);
    run().ends_with(2).says(&["limits.toml", "No such file"]);
    folder.write("limits.toml", "[models.gpt-4o]\ntokens_per_minute = = 5\n");
    run()
        .ends_with(2)
        .says(&["limits.toml", "line 2", "column"]);
    folder.write("limits.toml", "[models.gpt-4o]\nno_such_key = 5\n");
    run()
        .ends_with(2)
        .says(&["limits.toml", "line 2", "no_such_key"]);
}

#[test]
fn help_says_what_the_exit_statuses_mean() {
    let folder = Folder::new();
    let output = folder.paceline(["run", "--help"]).ends_with(0);
    let text = output
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for words in [
        "Exit status:",
        "4 stopped at a bound",
        "130 interrupted",
        "OPENAI_BASE_URL",
        "--dry-run",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    folder
        .paceline([""; 0])
        .ends_with(2)
        .says(&["Usage: paceline"]);
}
