//! Prompts over tables, and the answers alone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::echo;
use crate::harness::{Cmd, Folder, simulator};

const CSV: &str = "\u{feff}sku,text,stars\r\n\
    a1,\"Lovely, {stars} of it.\r\nAgain \"\"soon\"\".\",5\r\n\
    b2,Broke after a day.,1\r\n\
    c3,,3\r\n";

fn run(folder: &Folder, input: &str, base_url: &str) -> Cmd {
    folder
        .paceline(["run", input, "--base-url", base_url])
        .args(["--tpm", "1_000_000_000", "--rpm", "100_000_000"])
}

/// What was asked, by id: the bodies that the echo sent back.
fn asked(folder: &Folder, answers: &str) -> BTreeMap<String, Value> {
    let lines = folder.lines(answers).into_iter();
    let lines = lines.filter(|line| !line["answer"].is_null());
    let parse = |line: Value| {
        let body = match &line["answer"] {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            json => json.clone(),
        };
        (
            line["custom_id"]
                .as_str()
                .or(line["sku"].as_str())
                .unwrap()
                .to_owned(),
            body,
        )
    };
    lines.map(parse).collect()
}

#[test]
fn each_row_of_a_csv_file_is_asked_and_answered() {
    let folder = Folder::new();
    folder.write("in.csv", CSV);
    folder.write("system.txt", "Judge {{strictly}}.\n");
    let url = echo::serve();
    let output = run(&folder, "in.csv", &url)
        .args([
            "--model",
            "gpt-4.1-mini",
            "--max-tokens",
            "16",
            "--id",
            "sku",
        ])
        .args([
            "--prompt",
            "{stars} stars: {text}",
            "--system",
            "@system.txt",
        ])
        .args(["--extract", "answers.jsonl", "--summary", "-"])
        .ends_with(0);
    assert_eq!(output.summary()["succeeded"], 3);
    output.says(&["results in in.results.jsonl", "3 answers in answers.jsonl"]);
    let expected = |user: &str| {
        json!({
            "model": "gpt-4.1-mini",
            "messages": [
                {"role": "system", "content": "Judge {strictly}."},
                {"role": "user", "content": user},
            ],
            "max_completion_tokens": 16,
        })
    };
    let expected: BTreeMap<_, _> = [
        ("a1", "5 stars: Lovely, {stars} of it.\r\nAgain \"soon\"."),
        ("b2", "1 stars: Broke after a day."),
        ("c3", "3 stars: "),
    ]
    .map(|(id, user)| (id.to_owned(), expected(user)))
    .into();
    assert_eq!(asked(&folder, "answers.jsonl"), expected);
    let files = [
        "answers.jsonl",
        "in.csv",
        "in.errors.jsonl",
        "in.results.jsonl",
        "system.txt",
    ];
    assert_eq!(folder.files(), files);
}

#[test]
fn a_run_that_goes_on_extracts_the_answers_of_all() {
    let api = simulator();
    let folder = Folder::new();
    let row = |number: usize| format!("row {number}\n");
    let csv = |rows: usize| format!("text\n{}", (1..=rows).map(row).collect::<String>());
    folder.write("in.csv", csv(20));
    let flags = [
        "--model",
        "gpt-4o-mini",
        "--prompt",
        "Say {text}",
        "--extract",
        "a.csv",
    ];
    run(&folder, "in.csv", &api.base_url())
        .args(flags)
        .ends_with(0);
    folder.write("in.csv", csv(50));
    let output = run(&folder, "in.csv", &api.base_url())
        .args(flags)
        .ends_with(0);
    output.says(&["30 succeeded", "20 done before", "50 answers in a.csv"]);
    assert_eq!(api.report().received, 50);
    let text = folder.read("a.csv");
    let mut lines = text.lines();
    let header = "text,custom_id,answer,finish_reason,refusal,error,input_tokens,output_tokens";
    assert_eq!(lines.next(), Some(header));
    // In the order of the table, not in that of the results.
    let ids: Vec<_> = lines.map(|line| line.split(',').nth(1).unwrap()).collect();
    let expected: Vec<_> = (1..=50).map(|number| format!("row-{number}")).collect();
    assert_eq!(ids, expected);
}

#[test]
fn rows_may_be_json_and_answers_may_follow_a_schema() {
    let folder = Folder::new();
    let rows = [
        r#"{"text": "a{text}b", "more": {"k": [1, null]}, "n": 7}"#,
        r#"{"text": "no more"}"#,
        "[1]",
        r#"{"text": "x", "more": null, "n": 1.50}"#,
    ];
    folder.write("in.jsonl", rows.join("\n"));
    folder.write(
        "schema.json",
        r#"{"title": "kind", "type": "object", "properties": {}}"#,
    );
    let url = echo::serve();
    run(&folder, "in.jsonl", &url)
        .args(["--model", "m", "--prompt", "{text} {more} {n}"])
        .args(["--schema", "schema.json", "--extract", "answers.jsonl"])
        .ends_with(1)
        .says(&["2 succeeded, 2 failed", "2 answers in answers.jsonl"]);
    // The answers are JSON, and stand there as such.
    assert!(
        folder
            .lines("answers.jsonl")
            .iter()
            .all(|line| line["answer"].is_object() != line["error"].is_string())
    );
    let asked = asked(&folder, "answers.jsonl");
    let user = |id: &str| asked[id]["messages"][0]["content"].clone();
    assert_eq!(user("row-1"), "a{text}b {\"k\":[1,null]} 7");
    assert_eq!(user("row-4"), "x null 1.50");
    let format = json!({
        "type": "json_schema",
        "json_schema": {
            "name": "kind",
            "strict": true,
            "schema": {"title": "kind", "type": "object", "properties": {}},
        },
    });
    assert_eq!(asked["row-1"]["response_format"], format);
    let mut messages: Vec<_> = folder
        .lines("in.errors.jsonl")
        .iter()
        .map(|line| line["error"]["message"].as_str().unwrap().to_owned())
        .collect();
    messages.sort();
    let expected = [
        "in.jsonl:2: no column \"more\"; there are \"text\"",
        "in.jsonl:3: a JSON object is needed",
    ];
    assert_eq!(messages, expected);
}

#[test]
fn rows_that_cannot_be_sent_are_named_with_their_lines() {
    let folder = Folder::new();
    let csv: &[u8] = b"key,text\na,1\n,2\na,\"3\n3\"\nb\nc,\xff\nd,5\n";
    folder.write("in.csv", csv);
    let api = simulator();
    let output = run(&folder, "in.csv", &api.base_url())
        .args([
            "--model",
            "gpt-4o-mini",
            "--prompt",
            "{text}",
            "--id",
            "key",
        ])
        .ends_with(1);
    output.says(&["2 succeeded, 4 failed"]);
    let mut errors: Vec<_> = folder
        .lines("in.errors.jsonl")
        .iter()
        .map(|line| line["error"]["message"].as_str().unwrap().to_owned())
        .collect();
    errors.sort();
    let expected = [
        "in.csv:3: column \"key\": an id is needed",
        "in.csv:4: custom_id \"a\" stands in line 2 already",
        "in.csv:6: 1 fields, where the header has 2; is a separator or a quote missing?",
        "in.csv:7: column \"text\": invalid UTF-8; if the file is in Windows-1252: iconv -f \
         WINDOWS-1252 -t UTF-8 converts it",
    ];
    assert_eq!(errors, expected);
}

#[test]
fn what_cannot_work_is_said_before_anything_is_done() {
    let folder = Folder::new();
    folder.write("in.csv", CSV);
    folder.write("empty.csv", "sku,text\n\n");
    folder.write("twice.csv", "text,text\n1,2\n");
    folder.write("bad.txt", "Judge {text}\nas {} would.\n");
    folder.write("list.json", "[1]");
    folder.write("torn.json", "{\"a\":\n");
    let before = folder.files();
    let api = simulator();
    let prompt = ["--model", "m", "--prompt", "{text}"];
    let table: [(&str, &[&str], &[&str]); 20] = [
        ("in.csv", &["--prompt", "{text}"], &["--model <NAME>"]),
        ("in.csv", &["--model", "m"], &["--prompt 'TEXT {column}'"]),
        ("in.csv", &["--system", "be brief"], &["--prompt <TEXT>"]),
        (
            "in.csv",
            &["--model", " ", "--prompt", ""],
            &["the name of a model is needed"],
        ),
        (
            "in.csv",
            &["--model", "m", "--prompt", "{txt}"],
            &[
                "in.csv:1: no column \"txt\", which the prompt names; there are \"sku\", \"text\", \"stars\"; is \"text\" meant?",
            ],
        ),
        (
            "in.csv",
            &["--system", "{Text}"],
            &["in.csv:1: no column \"Text\", which the system prompt names"],
        ),
        (
            "in.csv",
            &["--id", "key"],
            &["in.csv:1: no column \"key\", which the id names"],
        ),
        (
            "twice.csv",
            &[],
            &["twice.csv:1: 2 columns are called \"text\""],
        ),
        ("empty.csv", &[], &["empty.csv: no requests in it"]),
        ("none.csv", &[], &["none.csv: No such file"]),
        (
            "in.csv",
            &["--model", "m", "--prompt", "Is {text} good}?"],
            &["prompt: line 1, character 15: a } without a {"],
        ),
        (
            "in.csv",
            &["--model", "m", "--prompt", "@bad.txt"],
            &["bad.txt: prompt: line 2, character 4: {} names no column"],
        ),
        (
            "in.csv",
            &["--model", "m", "--prompt", "@none.txt"],
            &["none.txt: No such file"],
        ),
        (
            "in.csv",
            &["--system", "{"],
            &["system prompt: line 1, character 1: a {"],
        ),
        (
            "in.csv",
            &["--schema", "none.json"],
            &["none.json: No such file"],
        ),
        (
            "in.csv",
            &["--schema", "list.json"],
            &["--schema list.json: a JSON object is needed"],
        ),
        (
            "in.csv",
            &["--schema", "torn.json"],
            &["--schema torn.json:2: column 0: EOF"],
        ),
        (
            "in.csv",
            &["--rows", "xlsx"],
            &["--rows", "csv", "tsv", "jsonl", "lines"],
        ),
        (
            "in.csv",
            &["--max-tokens", "0"],
            &["--max-tokens", "at least 1"],
        ),
        ("in.csv", &["--extract-json"], &["--extract <FILE>"]),
    ];
    for (step, (input, flags, words)) in table.into_iter().enumerate() {
        let is_prompted = flags.first() == Some(&"--prompt") || flags.contains(&"--model");
        let more = if is_prompted || step == 2 {
            &[][..]
        } else {
            &prompt
        };
        let output = run(&folder, input, &api.base_url()).args(flags).args(more);
        output.ends_with(2).says(words).prints_nothing();
    }
    assert_eq!(folder.files(), before);
    assert_eq!(api.report().received, 0);
}

#[test]
fn answers_have_a_place_or_nothing_is_sent() {
    let folder = Folder::new();
    folder.write("in.csv", CSV);
    let api = simulator();
    let table: [(&[&str], &str); 8] = [
        (&["--extract", "-"], "--extract -: name a file"),
        (&["--extract", "in.csv"], "--extract would overwrite in.csv"),
        (
            &["--extract", "in.results.jsonl"],
            "--extract would overwrite in.results.jsonl",
        ),
        (
            &["--extract", "in.errors.jsonl"],
            "--extract would overwrite in.errors.jsonl",
        ),
        (&["--extract", "no/such.csv"], "no/such.csv: "),
        (
            &["--extract", "a.csv", "--summary", "a.csv"],
            "--summary would overwrite a.csv",
        ),
        (
            &["--extract", "a.csv", "--output", "-"],
            "--extract reads the results again",
        ),
        (
            &["--extract", "a.csv", "--output", "/dev/null"],
            "--extract reads the results again",
        ),
    ];
    for (flags, message) in table {
        let output = run(&folder, "in.csv", &api.base_url())
            .args(["--model", "m", "--prompt", "{text}"])
            .args(flags);
        output.ends_with(2).says(&[message]).prints_nothing();
    }
    assert_eq!(api.report().received, 0);
    assert_eq!(folder.files(), ["in.csv"]);
}
