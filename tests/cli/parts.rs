//! Parts of an input, each run by a process of its own.

use std::collections::BTreeSet;

use crate::harness::{Cmd, Folder, chat, chats, simulator};

fn part(folder: &Folder, input: &str, base_url: &str, part: &str) -> Cmd {
    folder
        .paceline(["run", input, "--base-url", base_url, "--shard", part])
        .args([
            "--tpm",
            "1_000_000_000",
            "--rpm",
            "100_000_000",
            "--summary",
            "-",
        ])
}

fn ids(folder: &Folder, name: &str) -> Vec<String> {
    let lines = folder.lines(name).into_iter();
    lines
        .map(|line| line["custom_id"].as_str().unwrap_or("(none)").to_owned())
        .collect()
}

#[test]
fn parts_are_disjoint_and_together_everything() {
    let api = simulator();
    let folder = Folder::with_input(chats(200));
    let (mut all, mut sum) = (Vec::new(), 0);
    // At once, as job arrays run them.
    let runs =
        ["1/3", "2/3", "3/3"].map(|of| part(&folder, "in.jsonl", &api.base_url(), of).start());
    for (number, run) in runs.into_iter().enumerate() {
        let summary = run.ends_with(0).summary();
        let ids = ids(&folder, &format!("in.results.{}-of-3.jsonl", number + 1));
        assert_eq!(summary["succeeded"], ids.len(), "part {}", number + 1);
        assert!(
            (30..110).contains(&ids.len()),
            "part {} has {}",
            number + 1,
            ids.len()
        );
        sum += ids.len();
        all.extend(ids);
    }
    let set: BTreeSet<_> = all.into_iter().collect();
    let expected = (0..200).map(|number| format!("r{number}")).collect();
    assert_eq!((sum, set), (200, expected));
    assert_eq!(api.report().received, 200);
}

#[test]
fn a_request_stays_in_its_part_when_lines_move() {
    let api = simulator();
    let folder = Folder::with_input(chats(100));
    let url = api.base_url();
    for of in ["1/2", "2/2"] {
        part(&folder, "in.jsonl", &url, of).ends_with(0);
    }
    let mut lines: Vec<String> = chats(120).lines().map(str::to_owned).collect();
    lines.reverse();
    folder.write("in.jsonl", lines.join("\n"));
    let mut new = 0;
    for of in ["1/2", "2/2"] {
        let output = part(&folder, "in.jsonl", &url, of).ends_with(0);
        new += output.summary()["succeeded"].as_u64().unwrap();
    }
    assert_eq!((new, api.report().received), (20, 120));
}

#[test]
fn progress_knows_how_many_are_of_the_part() {
    let api = simulator();
    let folder = Folder::with_input(chats(60));
    let output = part(&folder, "in.jsonl", &api.base_url(), "2/4")
        .args([
            "--progress",
            "always",
            "--rpm",
            "gpt-4o-mini=240",
            "--burst-seconds",
            "1",
        ])
        .ends_with(0);
    let own = ids(&folder, "in.results.2-of-4.jsonl").len();
    assert!(own < 60);
    output.says(&[&format!(" of {own} done")]);
}

#[test]
fn each_bad_line_is_told_by_one_part_and_twins_meet_in_one() {
    let api = simulator();
    let mut lines: Vec<String> = chats(20).lines().map(str::to_owned).collect();
    lines.extend(["torn {", "[]", "{\"custom_id\": 7}"].map(str::to_owned));
    lines.extend((0..20).map(|number| chat(&format!("r{number}"), "gpt-4o-mini")));
    let folder = Folder::with_input(lines.join("\n"));
    let mut messages = Vec::new();
    for number in 1..=3 {
        let output = part(&folder, "in.jsonl", &api.base_url(), &format!("{number}/3"));
        output.ends_with(1);
        let errors = folder
            .lines(&format!("in.errors.{number}-of-3.jsonl"))
            .into_iter();
        messages.extend(errors.map(|line| line["error"]["message"].as_str().unwrap().to_owned()));
    }
    let lines: BTreeSet<u32> = messages
        .iter()
        .map(|message| message.split(':').nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(messages.len(), 23, "{messages:#?}");
    assert_eq!(lines, (21..=43).collect());
    assert_eq!(api.report().received, 20);
}

#[test]
fn a_part_may_be_empty_and_rows_have_parts_too() {
    let api = simulator();
    let folder = Folder::with_input(chats(1));
    folder.write("in.csv", "text\none\ntwo\nthree\nfour\n");
    let (mut lines, mut rows) = (0, 0);
    for number in 1..=4 {
        let of = format!("{number}/4");
        let output = part(&folder, "in.jsonl", &api.base_url(), &of).ends_with(0);
        lines += output.summary()["requests"].as_u64().unwrap();
        let output = part(&folder, "in.csv", &api.base_url(), &of)
            .args(["--model", "gpt-4o-mini", "--prompt", "{text}"])
            .args([
                "--output",
                &format!("rows.{number}"),
                "--errors",
                &format!("errors.{number}"),
            ])
            .ends_with(0);
        rows += output.summary()["requests"].as_u64().unwrap();
    }
    assert_eq!((lines, rows), (1, 4));
}

#[test]
fn a_part_that_there_is_not_is_refused() {
    let folder = Folder::with_input(chats(1));
    for of in ["0/8", "9/8", "8", "1/0", "a/b"] {
        let output = part(&folder, "in.jsonl", "http://127.0.0.1:9/v1", of).ends_with(2);
        output
            .says(&["--shard", "a part such as 1/8 is needed"])
            .prints_nothing();
    }
    // The lock holds two off one file, whatever their parts.
    let api = simulator();
    let slow = part(&folder, "in.jsonl", &api.base_url(), "1/1");
    let taken = slow
        .args(["--output", "one", "--errors", "two"])
        .ends_with(0);
    assert_eq!(taken.summary()["requests"], 1);
    assert_eq!(folder.files(), ["in.jsonl", "one", "two"]);
}
