//! Mistakes of a newcomer, in one table: each ends with status 2 before anything is sent or written, and its
//! message names what is wrong, where, and what to do.

use crate::harness::{Folder, chats};

const REQUESTS: &[&str] = &[
    "run",
    "in.jsonl",
    "--base-url",
    "https://api.example.com/v1",
];
const ROWS: &[&str] = &[
    "run",
    "r.csv",
    "--base-url",
    "https://api.example.com/v1",
    "--model",
    "m",
];
const ASKED: &[&str] = &[
    "run",
    "r.csv",
    "--base-url",
    "https://api.example.com/v1",
    "--model",
    "m",
    "--prompt",
    "{text}",
];
const BARE: &[&str] = &[];

/// A command, what is added to it, and what its message says: what is wrong, where, and what to do.
type Row<'a> = (&'a [&'a str], &'a [&'a str], [&'a str; 3]);

const TABLE: [Row<'_>; 60] = [
    // The command and its flags.
    (
        BARE,
        &["rnu", "in.jsonl"],
        ["unrecognized subcommand", "'rnu'", "paceline run FILE"],
    ),
    (
        BARE,
        &["in.jsonl"],
        ["unrecognized subcommand", "'in.jsonl'", "paceline run FILE"],
    ),
    (
        BARE,
        &["run"],
        [
            "required arguments",
            "<INPUT>",
            "Usage: paceline run <INPUT>",
        ],
    ),
    (
        BARE,
        &["limits"],
        ["required arguments", "<MODEL>", "Usage: paceline limits"],
    ),
    (
        BARE,
        &["extract", "in.jsonl"],
        [
            "required arguments",
            "--output <FILE>",
            "Usage: paceline extract",
        ],
    ),
    (
        REQUESTS,
        &["--promt", "x"],
        ["unexpected argument", "'--promt'", "'--prompt'"],
    ),
    (
        REQUESTS,
        &["--max-token", "5"],
        ["unexpected argument", "'--max-token'", "'--max-tokens'"],
    ),
    (
        REQUESTS,
        &["--temperature", "0"],
        ["unexpected argument", "'--temperature'", "--help"],
    ),
    (
        REQUESTS,
        &["--progress", "sometimes"],
        ["'sometimes'", "--progress", "auto, always, never"],
    ),
    (
        REQUESTS,
        &["--accounting", "max"],
        ["'max'", "--accounting", "possible values"],
    ),
    (
        REQUESTS,
        &["--log-format", "xml"],
        ["'xml'", "--log-format", "text, json"],
    ),
    (
        REQUESTS,
        &["--max-cost", "5"],
        ["required arguments", "--prices <FILE|builtin>", "Usage: "],
    ),
    (
        REQUESTS,
        &["--prompt", "{text}"],
        ["required arguments", "--model <NAME>", "Usage: "],
    ),
    (
        REQUESTS,
        &["--config", "no.toml"],
        ["No such file", "--config no.toml", "check the name"],
    ),
    // Numbers and times.
    (
        REQUESTS,
        &["--tpm", "30x"],
        ["no whole number", "--tpm", "such as 30000, 30_000 or 30k"],
    ),
    (
        REQUESTS,
        &["--rpm", "ten"],
        ["no whole number", "--rpm", "such as 30000"],
    ),
    (
        REQUESTS,
        &["--tpm", "gpt-4o:500"],
        ["no whole number", "--tpm <[MODEL=]N>", "such as 30000"],
    ),
    (
        REQUESTS,
        &["--tpm", "0"],
        ["admits nothing", "--tpm", "leave it out"],
    ),
    (
        REQUESTS,
        &["--max-in-flight", "0"],
        ["'0'", "--max-in-flight", "at least 1 is needed"],
    ),
    (
        REQUESTS,
        &["--max-in-flight", "many"],
        ["'many'", "--max-in-flight", "such as 100"],
    ),
    (
        REQUESTS,
        &["--max-retries", "x"],
        ["'x'", "--max-retries", "such as 8"],
    ),
    (
        REQUESTS,
        &["--deadline", "1x"],
        ["'1x'", "--deadline", "such as 30 (seconds)"],
    ),
    (
        REQUESTS,
        &["--timeout", "0"],
        ["above 0", "--timeout", "such as 30s"],
    ),
    (
        REQUESTS,
        &["--budget-tokens", "1X"],
        ["'1X'", "--budget-tokens", "such as 30000"],
    ),
    (
        REQUESTS,
        &["--max-cost", "five"],
        ["'five'", "--max-cost", "such as 20"],
    ),
    (
        REQUESTS,
        &["--shard", "0/8"],
        ["'0/8'", "--shard", "a part such as 1/8"],
    ),
    (
        REQUESTS,
        &["--shard", "9/8"],
        ["'9/8'", "--shard", "the last of which is 8/8"],
    ),
    (
        ASKED,
        &["--max-tokens", "x"],
        ["'x'", "--max-tokens", "such as 100"],
    ),
    (
        BARE,
        &["simulate", "--port", "99999"],
        ["99999", "--port", "0..=65535"],
    ),
    // Files.
    (
        BARE,
        &["run", "in.jsnl"],
        ["No such file", "in.jsnl", "check the name"],
    ),
    (
        BARE,
        &["run", "."],
        ["is a directory", ".: ", "name a file"],
    ),
    (
        BARE,
        &["count", "in.jsnl"],
        ["No such file", "in.jsnl", "check the name"],
    ),
    (
        REQUESTS,
        &["--limits", "no.toml"],
        ["No such file", "limits file no.toml", "check the name"],
    ),
    (
        REQUESTS,
        &["--limits", "torn.toml"],
        ["extra `=`", "torn.toml: line 1", "expected nothing"],
    ),
    (
        REQUESTS,
        &["--limits", "unknown.toml"],
        ["unknown field `tpmm`", "line 1", "expected one of"],
    ),
    (
        REQUESTS,
        &["--prices", "no.toml"],
        ["No such file", "prices file no.toml", "check the name"],
    ),
    (
        REQUESTS,
        &["--model-table", "no.toml"],
        ["No such file", "models file no.toml", "check the name"],
    ),
    (
        REQUESTS,
        &["--output", "in.jsonl"],
        [
            "is the input itself",
            "--output in.jsonl",
            "name another file",
        ],
    ),
    (
        REQUESTS,
        &["--errors", "in.results.jsonl"],
        ["the same file", "--output and --errors", "name two files"],
    ),
    (
        REQUESTS,
        &["--output", "no/a.jsonl"],
        ["No such file", "no/a.jsonl", "its folder exists"],
    ),
    (
        REQUESTS,
        &["--extract", "no/a.csv"],
        ["No such file", "no/a.csv", "its folder exists"],
    ),
    (
        REQUESTS,
        &["--prices", "prices.toml", "--max-cost", "5"],
        [
            "no price for \"gpt-4o-mini\"",
            "in.jsonl:1",
            "leave --max-cost out",
        ],
    ),
    // Addresses and keys.
    (
        BARE,
        &["run", "in.jsonl", "--base-url", "api.example.com/v1"],
        ["no scheme", "base URL \"api.", "put https://"],
    ),
    (
        BARE,
        &["run", "in.jsonl", "--base-url", "ftp://a/v1"],
        ["ftp://", "base URL", "such as https://"],
    ),
    (
        REQUESTS,
        &["--header", "nocolon"],
        ["is needed", "--header", "NAME=VALUE"],
    ),
    (
        REQUESTS,
        &["--share", "redis:/x"],
        ["no URL", "the address of the store", "redis://host:6379"],
    ),
    (
        REQUESTS,
        &[],
        [
            "no API key",
            "OPENAI_API_KEY",
            "set the environment variable",
        ],
    ),
    // Formats.
    (
        BARE,
        &["run", "text.txt"],
        [
            "none of its 2 lines can be sent",
            "text.txt:1: ",
            "--rows lines --prompt",
        ],
    ),
    (
        BARE,
        &["run", "r.csv"],
        ["can", "r.csv:1: ", "--prompt 'TEXT {column}' --model NAME"],
    ),
    (
        BARE,
        &["run", "array.json"],
        ["this is one JSON array", "array.json", "jq -c '.[]'"],
    ),
    (
        BARE,
        &["run", "rows.jsonl"],
        ["custom_id: a string is needed", "rows.jsonl:1", "--prompt"],
    ),
    (
        ASKED,
        &["--rows", "xml"],
        ["'xml'", "--rows", "csv, tsv, jsonl, lines"],
    ),
    (
        ASKED,
        &["--rows", "lines"],
        ["no column \"text\"", "r.csv", "there are \"line\""],
    ),
    // Columns, prompts and schemas.
    (
        ROWS,
        &["--prompt", "Summarize"],
        [
            "names no column",
            "--prompt",
            "--prompt 'Summarize: {text}'",
        ],
    ),
    (
        ROWS,
        &["--prompt", "{text"],
        [
            "no } closes",
            "line 1, character 1",
            "{{ stands for a brace",
        ],
    ),
    (
        ROWS,
        &["--prompt", "@no.txt"],
        ["No such file", "no.txt", "check the name"],
    ),
    (
        ROWS,
        &["--prompt", "{txet}"],
        ["no column \"txet\"", "r.csv:1", "is \"text\" meant?"],
    ),
    (
        ASKED,
        &["--id", "ID"],
        ["no column \"ID\"", "r.csv:1", "is \"id\" meant?"],
    ),
    (
        ASKED,
        &["--set", "temperature"],
        ["'temperature'", "--set", "such as temperature=0"],
    ),
    (
        ASKED,
        &["--schema", "torn.json"],
        ["column 3", "--schema torn.json:2", "expected value"],
    ),
];

#[test]
fn each_mistake_of_a_newcomer_is_named_with_its_place_and_a_way_out() {
    let folder = Folder::with_input(chats(1));
    let files = [
        ("r.csv", "id,text\n1,a\n"),
        ("text.txt", "How far?\nAnd now?\n"),
        ("array.json", "[{\"text\": \"a\"},\n {\"text\": \"b\"}]"),
        ("rows.jsonl", "{\"text\": \"a\"}\n"),
        ("torn.json", "{\"type\":\n  object}"),
        ("torn.toml", "tpm = = 5\n"),
        ("unknown.toml", "tpmm = 5\n"),
        ("prices.toml", "[models.other]\ninput = 1\noutput = 1\n"),
    ];
    for (name, text) in files {
        folder.write(name, text);
    }
    let before = folder.files();
    let mut wrong = Vec::new();
    for (command, more, said) in TABLE {
        let run = folder
            .paceline(command)
            .args(more)
            .env_remove("OPENAI_API_KEY");
        let output = run.ends_with(2);
        output.prints_nothing();
        let missing = said.iter().filter(|word| !output.stderr.contains(**word));
        missing.for_each(|word| wrong.push(format!("{word:?} is not in {output}")));
        assert_eq!(folder.files(), before, "{command:?} {more:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(TABLE.len() >= 50);
}
