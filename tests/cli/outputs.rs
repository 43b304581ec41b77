//! Files that cannot be written, or are no files.

use std::fs;

use crate::harness::{Folder, chats, simulator};

#[test]
fn an_output_that_cannot_be_written_is_named_before_anything_is_sent() {
    let folder = Folder::with_input(chats(2));
    fs::create_dir(folder.path("folder")).unwrap();
    folder.write("notes", "my notes");
    folder.write("prices.toml", "[models.gpt-4o-mini]\ninput = 1\noutput = 1");
    folder.write("limits.toml", "[default]\ntpm = 1000000");
    let api = simulator();
    let table: [(&[&str], &str); 18] = [
        (
            &["--output", "no/such.jsonl"],
            "no/such.jsonl: No such file",
        ),
        (
            &["--errors", "no/such.jsonl"],
            "no/such.jsonl: No such file",
        ),
        (&["--output", "folder"], "folder: is a directory"),
        (
            &["--output", "in.jsonl"],
            "--output in.jsonl is the input itself",
        ),
        (
            &["--errors", "./in.jsonl"],
            "--errors ./in.jsonl is the input itself",
        ),
        (&["--output", "a", "--errors", "./a"], "are the same file"),
        (
            &["--output", "notes"],
            "notes:1: not a line of an output file",
        ),
        (
            &["--errors", "notes"],
            "notes:1: not a line of an output file",
        ),
        (&["--errors", "-"], "--errors -: name a file"),
        (
            &["--output", "-", "--summary", "-"],
            "would both go to standard output",
        ),
        (&["--summary", "no/such.json"], "no/such.json: "),
        (&["--summary", "folder"], "folder: is a directory"),
        (
            &["--summary", "./in.jsonl"],
            "--summary would overwrite in.jsonl",
        ),
        (
            &["--summary", "in.results.jsonl"],
            "--summary would overwrite in.results.jsonl",
        ),
        (
            &["--prices", "prices.toml", "--report", "prices.toml"],
            "--report would overwrite prices.toml",
        ),
        (
            &["--limits", "limits.toml", "--summary", "./limits.toml"],
            "--summary would overwrite limits.toml",
        ),
        // None of these is there yet.
        (
            &["--summary", "./in.results.jsonl"],
            "--summary would overwrite in.results.jsonl",
        ),
        (
            &["--report", "./a.html", "--summary", "a.html"],
            "--report would overwrite a.html",
        ),
    ];
    for (flags, message) in table {
        let output = folder.run(&api.base_url()).args(flags).ends_with(2);
        output.says(&[message]).prints_nothing();
    }
    assert_eq!(api.report().received, 0);
    assert_eq!(folder.read("in.jsonl"), chats(2));
    assert_eq!(folder.read("notes"), "my notes");
}

#[test]
fn results_are_never_taken_for_failures() {
    let folder = Folder::with_input(chats(3));
    let api = simulator();
    folder.run(&api.base_url()).ends_with(0);
    let results = folder.read("in.results.jsonl");
    let swapped = [
        "--output",
        "in.errors.jsonl",
        "--errors",
        "in.results.jsonl",
    ];
    let output = folder.run(&api.base_url()).args(swapped).ends_with(2);
    output.says(&[
        "in.results.jsonl:1: a result in the file for failures",
        "mixed up",
    ]);
    assert_eq!(folder.read("in.results.jsonl"), results);
}

#[test]
fn devices_are_only_written_to() {
    let api = simulator();
    let folder = Folder::with_input(chats(5));
    let to = |output: &str, errors: &str| {
        let args = ["--output", output, "--errors", errors];
        folder.run(&api.base_url()).args(args)
    };
    to("/dev/null", "/dev/null")
        .ends_with(0)
        .says(&["5 succeeded"]);
    let output = to("/dev/stdout", "in.errors.jsonl").ends_with(0);
    assert_eq!(output.stdout.lines().count(), 5, "{output}");
    let full = to("/dev/full", "in.errors.jsonl").ends_with(2);
    full.says(&["/dev/full: No space left on device"]);
    // Two runs may share the null device.
    let first = folder
        .run(&api.base_url())
        .args(["--output", "one", "--errors", "/dev/null", "--rpm", "1"])
        .start();
    folder.wait_for_lines("one", 1);
    to("two", "/dev/null").ends_with(0);
    first.signal("INT");
    first.ends_with(130);
}

#[test]
fn results_may_go_to_standard_output() {
    let api = simulator();
    let folder = Folder::with_input(chats(40));
    let run = || {
        folder
            .run(&api.base_url())
            .args(["--output", "-", "--progress", "always"])
    };
    for flags in [&[][..], &["--fresh"]] {
        let output = run()
            .args(flags)
            .args(["--summary", "sum.json"])
            .ends_with(0);
        output.says(&["40 succeeded", "results in standard output"]);
        let lines = output.stdout.lines();
        let mut ids: Vec<_> = lines
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                line["custom_id"].as_str().unwrap().to_owned()
            })
            .collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 40, "{output}");
    }
    let files = ["in.errors.jsonl", "in.jsonl", "sum.json"];
    assert_eq!(folder.files(), files);
    assert_eq!(api.report().received, 80, "nothing is resumed");

    // From one pipe into the next.
    let piped = folder.paceline(["run", "-", "--base-url", &api.base_url()]);
    let piped = piped.args(["--output", "-", "--errors", "in.errors.jsonl"]);
    let output = piped.fed(chats(30), 0);
    assert_eq!(output.stdout.lines().count(), 30, "{output}");

    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = run().stdout(full).ends_with(2);
    output.says(&["standard output: No space left on device"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = run().stdout(writer).ends_with(2);
    output.says(&["standard output: Broken pipe"]);
}
