//! What a newcomer gets wrong. Each mistake ends with status 2 before anything is sent or written,
//! and is named with what is wrong, where, and what to do.

use crate::harness::{Folder, chat, chats, simulator};

const PROMPT: [&str; 4] = ["--model", "m", "--prompt", "{text}"];

/// A file, the flags beside it, and what is said.
type Mistake<'a> = (&'a str, &'a [u8], &'a [&'a str], &'a [&'a str]);

/// Holds each mistake to its words, on the disk and, if its start shows it, on standard input.
fn hold(table: &[Mistake<'_>], is_at_start: bool) {
    let api = simulator();
    for (name, bytes, flags, words) in table {
        let folder = Folder::new();
        folder.write(name, bytes);
        let before = folder.files();
        let base = api.base_url();
        let run = |input: &str| {
            let run = folder.paceline(["run", input, "--base-url", &base]);
            run.args(*flags)
        };
        run(name).ends_with(2).says(words).prints_nothing();
        assert_eq!(folder.files(), before, "{name} {flags:?}");
        if !is_at_start {
            continue;
        }
        // Standard input has no name that says its format.
        let format: &[&str] = match name.rsplit_once('.') {
            Some((_, "csv")) => &["--rows", "csv"],
            Some((_, "tsv")) => &["--rows", "tsv"],
            _ => &[],
        };
        let has_format = format.is_empty() || !flags.contains(&"--prompt");
        let format = if has_format || flags.contains(&"--rows") {
            &[]
        } else {
            format
        };
        let outputs = ["--output", "o.jsonl", "--errors", "e.jsonl"];
        let output = run("-").args(format).args(outputs).fed(bytes, 2);
        // The commands that convert a file name it, and standard input has no name.
        let words = words.iter();
        let words = words.filter(|word| !word.contains("r.") || word.starts_with(name));
        let words: Vec<_> = words
            .map(|word| word.replace(name, "standard input"))
            .collect();
        output.says(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(folder.files(), before, "- {flags:?}");
    }
    assert_eq!(api.report().received, 0);
}

#[test]
fn files_of_other_formats_are_refused_with_what_to_type() {
    hold(
        &[
            (
                "r.parquet",
                b"PAR1\x15\x04\x15",
                &PROMPT,
                &[
                    "r.parquet: this is a Parquet file",
                    "read_parquet('r.parquet')",
                ],
            ),
            (
                "r.xlsx",
                b"PK\x03\x04\x14\0\x06\0[Content_Types].xml",
                &PROMPT,
                &["r.xlsx: this is an Excel workbook", "to_csv('r.csv'"],
            ),
            (
                "r.xls",
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0",
                &PROMPT,
                &["this is an Excel workbook"],
            ),
            (
                "r.csv",
                b"PK\x03\x04\x14\0\x06\0xl/workbook",
                &PROMPT,
                &["r.csv: this is an Excel workbook"],
            ),
            (
                "r.pdf",
                b"%PDF-1.7\n%",
                &PROMPT,
                &["this is a PDF document", "pdftotext r.pdf r.txt"],
            ),
            (
                "r.db",
                b"SQLite format 3\0",
                &[],
                &["this is an SQLite database", "sqlite3"],
            ),
            ("r.npy", b"\x93NUMPY\x01\0", &[], &["this is a NumPy array"]),
            (
                "r.bz2",
                b"BZh91AY&SY",
                &[],
                &["packed with bzip2", "bzip2 -dc r.bz2 > "],
            ),
            (
                "r.json",
                b"[{\"text\": \"a\"},\n {\"text\": \"b\"}]",
                &PROMPT,
                &[
                    "r.json: this is one JSON array",
                    "jq -c '.[]' r.json > r.jsonl",
                ],
            ),
            (
                "r.jsonl",
                b"[\n{\"text\": \"a\"},\n{\"text\": \"b\"}\n]",
                &[],
                &["one JSON array", "jq -c '.[]' r.jsonl > r.converted.jsonl"],
            ),
            (
                "r.json",
                b"{\n  \"text\": \"a\"\n}\n",
                &PROMPT,
                &[
                    "a JSON object over several lines",
                    "jq -c . r.json > r.jsonl",
                ],
            ),
        ],
        true,
    );
}

#[test]
fn what_is_read_as_something_else_is_refused_with_the_flags_that_read_it() {
    let requests = chats(3);
    let csv: String = (0..150).map(|n| format!("{n},great thing\n")).collect();
    let csv = format!("id,text\n{csv}");
    hold(
        &[
            (
                "r.txt",
                b"How far is the moon?\nAnd the sun?\n",
                &[],
                &[
                    "none of its 2 lines can be sent",
                    "r.txt:1: ",
                    "--rows lines --prompt 'TEXT {line}'",
                ],
            ),
            (
                "r.txt",
                b"How far is the moon?\nAnd the sun?\n",
                &PROMPT,
                &["r.txt:1: ", "--rows lines"],
            ),
            (
                "r.csv",
                csv.as_bytes(),
                &[],
                &[
                    "none of its first 100 lines can be sent",
                    "r.csv:1: ",
                    "--prompt 'TEXT {column}' --model NAME",
                ],
            ),
            (
                "r.dat",
                csv.as_bytes(),
                &PROMPT,
                &["r.dat:1: ", "--rows csv"],
            ),
            (
                "r.jsonl",
                b"{\"text\": \"a\"}\n{\"text\": \"b\"}\n",
                &[],
                &[
                    "r.jsonl:1: custom_id: a string is needed",
                    "--prompt 'TEXT {column}' --model NAME",
                ],
            ),
            (
                "r.jsonl",
                requests.as_bytes(),
                &PROMPT,
                &["r.jsonl:1: no column \"text\"", "leave out --prompt"],
            ),
            (
                "r.jsonl",
                b"{}",
                &[],
                &["its only line cannot be sent", "r.jsonl:1: custom_id"],
            ),
        ],
        true,
    );
}

#[test]
fn tables_that_are_none_are_refused_at_their_row() {
    hold(
        &[
            (
                "r.csv",
                b"id,text\n1,a\n2,\"open\n3,b\n",
                &PROMPT,
                &[
                    "r.csv:3: a quote is opened in this row and not closed",
                    "write a quote in quotes twice",
                ],
            ),
            (
                "r.csv",
                b"id,text\n1,\"open\n2,\"b\"\n3,c\n",
                &PROMPT,
                &["r.csv:2: a quote is opened"],
            ),
        ],
        false,
    );
    hold(
        &[
            (
                "r.csv",
                b"id,tex\n1,a\n",
                &PROMPT,
                &[
                    "r.csv:1: no column \"text\", which the prompt names; there are \"id\", \"tex\"; is \"tex\" meant?",
                ],
            ),
            (
                "r.csv",
                b"1,a\n2,b\n",
                &PROMPT,
                &["r.csv:1: no column \"text\"", "is a header missing"],
            ),
            (
                "r.csv",
                b"text,text\n1,a\n",
                &PROMPT,
                &["r.csv:1: 2 columns are called \"text\"", "rename"],
            ),
            (
                "r.tsv",
                b"id,text\n1,a\n",
                &PROMPT,
                &["r.tsv:1: no column \"text\"", "there are \"id,text\""],
            ),
            (
                "r.csv",
                b"id,text\n1\n2\n",
                &PROMPT,
                &["r.csv:2: 1 fields, where the header has 2"],
            ),
            ("r.csv", b"", &PROMPT, &["r.csv: no requests in it"]),
            (
                "r.csv",
                b"id,text\n",
                &PROMPT,
                &["r.csv: no requests in it"],
            ),
        ],
        true,
    );
}

#[test]
fn other_encodings_separators_and_line_ends_are_read() {
    let api = simulator();
    let utf_16 = |text: &str| {
        text.encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>()
    };
    let requests = chat("a", "m") + "\n";
    let table: [(&str, Vec<u8>, &[&str]); 12] = [
        ("r.csv", utf_16("\u{feff}id,text\r\n1,Grüße\r\n"), &PROMPT),
        ("r.csv", utf_16("id;text\n1;Grüße\n"), &PROMPT),
        ("r.jsonl", utf_16(&format!("\u{feff}{requests}")), &[]),
        ("r.csv", b"id;text\n1;a, b\n".to_vec(), &PROMPT),
        ("r.csv", b"sep=;\nid;text\n1;a, b\n".to_vec(), &PROMPT),
        ("r.csv", b"id\ttext\n1\ta, b\n".to_vec(), &PROMPT),
        ("r.tsv", b"id\ttext\n1\ta, b\n".to_vec(), &PROMPT),
        ("r.csv", b"id|text\n1|a, b\n".to_vec(), &PROMPT),
        ("r.csv", b"id,text\r1,a\r".to_vec(), &PROMPT),
        ("r.jsonl", b"{\"text\": \"a\"}\r".to_vec(), &PROMPT),
        ("r.jsonl", b"{\"text\": \"a\"}\r\n\x1a".to_vec(), &PROMPT),
        (
            "r.txt",
            b"How far?\n\n".to_vec(),
            &["--model", "m", "--rows", "lines", "--prompt", "{line}"],
        ),
    ];
    for (name, bytes, flags) in table {
        let folder = Folder::new();
        folder.write(name, &bytes);
        let run = folder.paceline(["run", name, "--base-url", &api.base_url()]);
        run.args(flags)
            .ends_with(0)
            .says(&["1 succeeded, 0 failed"]);
    }
}

#[test]
fn flags_and_files_are_put_right_before_the_key() {
    let folder = Folder::with_input(chats(1));
    folder.write("r.csv", "id,text\n1,a\n");
    folder.write("torn.json", "{\"type\":\n  object}");
    folder.write("torn.toml", "tpm = = 5\n");
    folder.write("prices.toml", "[models.other]\ninput = 1\noutput = 1\n");
    let before = folder.files();
    let rows: [&str; 4] = ["--model", "m", "--prompt", "{text}"];
    let table: [(&str, &[&str], &[&str]); 29] = [
        ("in.jsnl", &[], &["in.jsnl: No such file"]),
        (".", &[], &[".: is a directory"]),
        (
            "in.jsonl",
            &["--limits", "no.toml"],
            &["limits file no.toml: No such file"],
        ),
        (
            "in.jsonl",
            &["--prices", "no.toml"],
            &["prices file no.toml: No such file"],
        ),
        (
            "in.jsonl",
            &["--model-table", "no.toml"],
            &["no.toml: No such file"],
        ),
        (
            "in.jsonl",
            &["--limits", "torn.toml"],
            &["limits file torn.toml", "line 1"],
        ),
        (
            "in.jsonl",
            &["--tpm", "30x"],
            &["--tpm", "\"30x\" is no whole number such as 30000"],
        ),
        (
            "in.jsonl",
            &["--rpm", "ten"],
            &["--rpm", "no whole number such as 30000"],
        ),
        (
            "in.jsonl",
            &["--tpm", "gpt-4o:500"],
            &["--tpm", "no whole number such as 30000"],
        ),
        (
            "in.jsonl",
            &["--max-in-flight", "0"],
            &["--max-in-flight", "at least 1 is needed, such as 100"],
        ),
        (
            "in.jsonl",
            &["--max-in-flight", "many"],
            &["--max-in-flight", "a whole number such as 100"],
        ),
        (
            "in.jsonl",
            &["--deadline", "1x"],
            &["--deadline", "a time is needed, such as 30"],
        ),
        (
            "in.jsonl",
            &["--timeout", "0"],
            &["--timeout", "above 0 is needed, such as 30"],
        ),
        (
            "in.jsonl",
            &["--budget-tokens", "1X"],
            &["--budget-tokens", "such as 30000"],
        ),
        (
            "in.jsonl",
            &["--shard", "0/8"],
            &["--shard", "1/8 is needed"],
        ),
        ("in.jsonl", &["--prompt", "{text}"], &["--model <NAME>"]),
        ("in.jsonl", &["--promt", "{text}"], &["--promt", "--prompt"]),
        (
            "in.jsonl",
            &["--prices", "prices.toml", "--max-cost", "5"],
            &[
                "in.jsonl:1: no price for \"gpt-4o-mini\"",
                "[models.\"gpt-4o-mini\"]",
                "prices.toml",
                "leave --max-cost out",
            ],
        ),
        (
            "r.csv",
            &[
                "--model",
                "m",
                "--prompt",
                "{text}",
                "--prices",
                "prices.toml",
                "--max-cost",
                "5",
            ],
            &["--model: no price for \"m\""],
        ),
        (
            "r.csv",
            &["--model", "m", "--prompt", "Summarize"],
            &["--prompt names no column", "--prompt 'Summarize: {text}'"],
        ),
        (
            "r.csv",
            &["--model", "m", "--prompt", ""],
            &["--prompt names no column"],
        ),
        (
            "r.csv",
            &["--model", "m", "--prompt", "{text"],
            &["prompt: line 1, character 1: a {"],
        ),
        (
            "r.csv",
            &["--model", "m", "--prompt", "@no.txt"],
            &["no.txt: No such file"],
        ),
        (
            "r.csv",
            &["--model", "m", "--prompt", "{txet}"],
            &["r.csv:1: no column \"txet\"", "is \"text\" meant?"],
        ),
        (
            "r.csv",
            &["--model", "m", "--prompt", "{text}", "--id", "ID"],
            &["no column \"ID\", which the id names", "is \"id\" meant?"],
        ),
        (
            "r.csv",
            &[
                "--model",
                "m",
                "--prompt",
                "{text}",
                "--schema",
                "torn.json",
            ],
            &["--schema torn.json:2: column 3: "],
        ),
        (
            "r.csv",
            &["--model", "m", "--prompt", "{text}", "--rows", "lines"],
            &["r.csv: no column \"text\", which the prompt names; there are \"line\""],
        ),
        (
            "r.csv",
            &[
                "--model",
                "m",
                "--prompt",
                "{text}",
                "--extract",
                "no/a.csv",
            ],
            &["no/a.csv: "],
        ),
        ("in.jsonl", &[], &["OPENAI_API_KEY"]), // all else is right
    ];
    for (input, flags, words) in table {
        let run = folder.paceline(["run", input, "--base-url", "https://api.example.com/v1"]);
        let run = run.args(flags).env_remove("OPENAI_API_KEY");
        let output = run.ends_with(2);
        output.says(words).prints_nothing();
        let asks_for_key = output.stderr.contains("API_KEY");
        assert_eq!(asks_for_key, words == ["OPENAI_API_KEY"], "{output}");
    }
    // What sends nothing to anybody needs no key.
    for more in [&["--dry-run"][..], &["--simulate", "--output", "o.jsonl"]] {
        let run = folder.paceline(["run", "r.csv"]).args(rows).args(more);
        run.env_remove("OPENAI_API_KEY").ends_with(0);
    }
    for file in before {
        assert!(folder.files().contains(&file));
    }
}

#[test]
fn a_limit_for_a_model_that_no_line_asks_for_is_said() {
    let folder = Folder::with_input(chats(2));
    let run = |flags: &[&str]| {
        let run = folder.paceline(["run", "in.jsonl", "--dry-run"]);
        run.args(flags).ends_with(0)
    };
    let said = "--tpm gpt-4o-min=…: no request is for this model; there are \"gpt-4o-mini\"";
    run(&["--tpm", "gpt-4o-min=500000"]).says(&[said]);
    run(&["--rpm", "o3=500"]).says(&["--rpm o3=…: no request"]);
    let right = run(&["--tpm", "gpt-4o-mini=500000", "--rpm", "500"]);
    assert_eq!(right.stderr, "");
}

#[test]
fn ten_bad_lines_are_shown_and_the_others_counted() {
    let api = simulator();
    let csv: String = (0..40).map(|n| format!("{},\n", n % 30)).collect();
    let folder = Folder::new();
    folder.write("r.csv", format!("id,text\ngood,a\n,b\n{csv}"));
    let output = folder
        .paceline(["run", "r.csv", "--base-url", &api.base_url(), "--id", "id"])
        .args(PROMPT)
        .ends_with(1);
    output.says(&[
        "paceline: r.csv:3: column \"id\": an id is needed\n",
        "paceline: r.csv:4: the prompt is empty: nothing stands in column \"text\"\n",
        "paceline: r.csv:12: the prompt is empty",
        "paceline: and 31 more lines that cannot be sent; all are in r.errors.jsonl\n",
    ]);
    assert!(!output.stderr.contains("r.csv:13:"), "{output}");
    assert_eq!(folder.lines("r.errors.jsonl").len(), 41);
    assert_eq!(api.report().received, 1);
}

#[test]
fn a_dry_run_counts_what_is_done_and_what_has_no_cap() {
    let api = simulator();
    let folder = Folder::with_input(chats(3));
    folder.run(&api.base_url()).ends_with(0);
    let uncapped = chat("u", "gpt-4o-mini").replace(",\"max_completion_tokens\":16", "");
    assert!(!uncapped.contains("max_completion"));
    folder.write("in.jsonl", chats(5) + &uncapped);
    let before = folder.read("in.results.jsonl");
    let dry = |flags: &[&str]| {
        let run = folder.paceline(["run", "in.jsonl", "--dry-run"]);
        run.args(flags).ends_with(0).stdout
    };
    let text = dry(&[]);
    assert!(
        text.contains("\n3 requests are done already and left out; 3 are left\n"),
        "{text}"
    );
    assert!(text.contains("\n1 requests have no output cap: "), "{text}");
    assert!(text.contains("\n3 requests, "), "{text}");
    let text = dry(&["--fresh"]);
    assert!(
        !text.contains("done already") && text.contains("\n6 requests, "),
        "{text}"
    );
    assert_eq!(folder.read("in.results.jsonl"), before);
}
