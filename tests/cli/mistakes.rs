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
