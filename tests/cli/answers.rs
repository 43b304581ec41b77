//! Rows with their answers: at the end of a run, and by `paceline extract`.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Cmd, Folder, chats, simulator};

fn run(folder: &Folder, input: &str, base_url: &str) -> Cmd {
    folder
        .paceline(["run", input, "--base-url", base_url])
        .args(["--tpm", "1_000_000_000", "--rpm", "100_000_000"])
}

const SCHEMA: &str = r#"{"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}, "stars": {"type": "integer"}},
    "required": ["mood", "stars"], "additionalProperties": false}"#;

/// The rows of a CSV file that has no quotes in it.
fn cells(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split(',').collect()).collect()
}

#[test]
fn rows_keep_their_order_and_columns_and_those_without_an_answer_stay() {
    let api = simulator();
    let folder = Folder::new();
    let mut csv = String::from("answer,text\n");
    for number in 0..40 {
        let text = if number == 7 { "" } else { "=1+1" };
        let _ = writeln!(csv, "{number},{text}");
    }
    folder.write("in.csv", csv);
    folder.write("schema.json", SCHEMA);
    folder.write(
        "prices.toml",
        "[models.\"gpt-4o-mini\"]\ninput = 0.15\noutput = 0.60\n",
    );
    let flags = [
        "--model",
        "gpt-4o-mini",
        "--prompt",
        "{text}",
        "--schema",
        "schema.json",
    ];
    run(&folder, "in.csv", &api.base_url())
        .args(flags)
        .args(["--prices", "prices.toml", "--extract", "out.csv"])
        .ends_with(1)
        .says(&["39 answers in out.csv, and 1 rows without one, which say why"]);
    let text = folder.read("out.csv");
    let expected = "answer,text,custom_id,answer_2,mood,stars,finish_reason,refusal,error,input_tokens,output_tokens,cost";
    assert_eq!(text.lines().next(), Some(expected));
    let mut reader = text.lines().skip(1).enumerate();
    assert!(
        reader.all(|(at, line)| line.starts_with(&format!("{at},"))),
        "{text}"
    );
    let failed = text.lines().nth(8).unwrap();
    assert!(failed.starts_with("7,,row-8,,,,,,"), "{failed}");
    assert!(
        failed.contains("the prompt is empty: nothing stands in column"),
        "{failed}"
    );
    // The table's own cells are what they were; the answers have a column for each property.
    let row = text.lines().nth(1).unwrap();
    assert!(row.starts_with("0,=1+1,row-1,\"{"), "{row}");
    assert!(row.contains(",stop,,,"), "{row}");
    let cost: f64 = row.rsplit(',').next().unwrap().parse().unwrap();
    assert!(cost > 0.0 && cost < 0.01, "{row}");
}

#[test]
fn an_extract_later_is_that_of_the_run_and_merges_parts() {
    let api = simulator();
    let folder = Folder::new();
    let rows: String = (0..60)
        .map(|number| format!("k{number}\tone {number}\n"))
        .collect();
    folder.write("in.tsv", format!("key\ttext\n{rows}"));
    let flags = ["--model", "m", "--prompt", "{text}", "--id", "key"];
    run(&folder, "in.tsv", &api.base_url())
        .args(flags)
        .args(["--extract", "whole.jsonl"])
        .ends_with(0);
    for part in ["1/3", "3/3"] {
        run(&folder, "in.tsv", &api.base_url())
            .args(flags)
            .args(["--shard", part, "--extract", "part.tsv"])
            .ends_with(0);
    }
    let extract = |results: &[&str], output: &str| {
        folder
            .paceline(["extract", "in.tsv", "--id", "key", "--output", output])
            .args(results)
    };
    extract(&["in.results.jsonl"], "later.jsonl").ends_with(0);
    assert_eq!(folder.read("later.jsonl"), folder.read("whole.jsonl"));
    let parts = ["in.results.1-of-3.jsonl", "in.results.3-of-3.jsonl"];
    extract(&parts, "two.tsv")
        .ends_with(1)
        .says(&["rows without one"]);
    run(&folder, "in.tsv", &api.base_url())
        .args(flags)
        .args(["--shard", "2/3"])
        .ends_with(0);
    let parts = [parts[0], "in.results.2-of-3.jsonl", parts[1]];
    extract(&parts, "merged.jsonl")
        .ends_with(0)
        .says(&["60 answers in merged.jsonl"]);
    // The simulator answers the same prompt with the same words, but for what it counts.
    let keys = |name: &str| -> Vec<Value> {
        folder
            .lines(name)
            .iter()
            .map(|line| line["key"].clone())
            .collect()
    };
    let expected: Vec<Value> = (0..60).map(|number| json!(format!("k{number}"))).collect();
    assert_eq!(keys("merged.jsonl"), expected);
    let two = folder.read("two.tsv");
    let without = two
        .lines()
        .filter(|line| line.contains("no answer yet"))
        .count();
    let part = folder.read("part.1-of-3.tsv").lines().count() - 1;
    let third = folder.read("part.3-of-3.tsv").lines().count() - 1;
    assert_eq!(without + part + third, 60);
}

#[test]
fn failures_stand_beside_their_rows_and_answers_of_other_requests_do_not() {
    let folder = Folder::new();
    folder.write(
        "in.jsonl",
        "{\"text\": \"a\", \"n\": 1.50}\nnothing\n{\"text\": \"c\"}\n{\"text\": \"d\"}\n",
    );
    let line = |id: &str, status: u16, body: Value| {
        let response = json!({"status_code": status, "request_id": null, "body": body});
        json!({"id": "batch_req_1", "custom_id": id, "response": response, "error": null})
            .to_string()
            + "\n"
    };
    let answer = |text: &str| json!({"choices": [{"message": {"content": text}, "finish_reason": "length"}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}});
    let refusal = json!({"choices": [{"message": {"content": null, "refusal": "No."}, "finish_reason": "stop"}]});
    folder.write(
        "r.jsonl",
        [
            line("row-1", 200, answer("old")),
            line("row-1", 200, answer("new")),
            line("row-3", 200, refusal),
        ]
        .concat(),
    );
    let error = json!({"error": {"message": "no such model"}});
    folder.write(
        "r.errors.jsonl",
        [line("row-4", 404, error.clone()), line("row-1", 500, error)].concat(),
    );
    folder
        .paceline(["extract", "in.jsonl", "r.jsonl", "-o", "out.jsonl"])
        .ends_with(1);
    let lines = folder.lines("out.jsonl");
    assert!(
        folder
            .read("out.jsonl")
            .starts_with("{\"text\":\"a\",\"n\":1.50,\"custom_id\":\"row-1\",")
    );
    let fields = |at: usize| {
        [
            "answer",
            "finish_reason",
            "refusal",
            "error",
            "output_tokens",
        ]
        .map(|name| lines[at][name].clone())
    };
    let null = Value::Null;
    assert_eq!(
        fields(0),
        [
            json!("new"),
            json!("length"),
            null.clone(),
            null.clone(),
            json!(4)
        ]
    );
    assert!(
        fields(1)[3].as_str().unwrap().contains("expected"),
        "{:?}",
        lines[1]
    );
    assert_eq!(
        fields(2),
        [
            null.clone(),
            json!("stop"),
            json!("No."),
            null.clone(),
            null.clone()
        ]
    );
    assert_eq!(fields(3)[3], "status 404: no such model");
}

#[test]
fn an_ending_that_says_no_format_is_refused_at_once() {
    let api = simulator();
    let folder = Folder::with_input(chats(2));
    folder
        .run(&api.base_url())
        .args(["--extract", "out.xlsx"])
        .ends_with(2)
        .says(&["--extract out.xlsx: its ending says in which format answers are written: .csv, .tsv or .jsonl"]);
    assert_eq!((api.report().received, folder.files().len()), (0, 1));
    folder
        .run(&api.base_url())
        .args(["--extract", "out.csv"])
        .ends_with(0);
    let text = folder.read("out.csv");
    let header = "custom_id,answer,finish_reason,refusal,error,input_tokens,output_tokens";
    assert_eq!(text.lines().next(), Some(header));
    assert_eq!(cells(&text)[1][0], "r0");
    for (output, said) in [
        ("out.parquet", "its ending says"),
        ("in.results.jsonl", "it would overwrite what it is made of"),
        ("in.jsonl", "it would overwrite what it is made of"),
    ] {
        folder
            .paceline(["extract", "in.jsonl", "in.results.jsonl", "-o", output])
            .ends_with(2)
            .says(&[said]);
    }
}

#[test]
fn a_kill_leaves_the_file_whole_or_as_it_was() {
    let folder = Folder::new();
    let (mut input, mut results) = (String::from("text\n"), String::new());
    let body =
        json!({"choices": [{"message": {"content": "x".repeat(200)}, "finish_reason": "stop"}]});
    for number in 1..=20_000 {
        let _ = writeln!(input, "{number}");
        let _ = writeln!(
            results,
            "{}",
            json!({"id": "x", "custom_id": format!("row-{number}"), "response": {"status_code": 200, "body": body}, "error": null})
        );
    }
    folder.write("in.csv", input);
    folder.write("r.jsonl", results);
    folder.write("out.csv", "before\n");
    let start = || {
        folder
            .paceline(["extract", "in.csv", "r.jsonl", "-o", "out.csv"])
            .start()
    };
    for wait in [1, 5, 20, 60, 120] {
        let mut running = start();
        std::thread::sleep(Duration::from_millis(wait));
        running.child.kill().unwrap();
        let _ = running.child.wait();
        let text = folder.read("out.csv");
        assert!(
            text == "before\n" || text.lines().count() == 20_001,
            "after {wait} ms"
        );
    }
    start().ends_with(0);
    assert_eq!(folder.read("out.csv").lines().count(), 20_001);
    // What kills have left beside it is gone.
    assert_eq!(folder.files(), ["in.csv", "out.csv", "r.jsonl"]);
}

/// The rows of a matrix in the format of `NumPy`.
fn matrix(bytes: &[u8]) -> Vec<Vec<f32>> {
    let size = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let head = std::str::from_utf8(&bytes[10..10 + size]).unwrap();
    let shape = head.split(['(', ')']).nth(1).unwrap();
    let shape: Vec<usize> = shape.split(", ").map(|it| it.parse().unwrap()).collect();
    let numbers: Vec<f32> = bytes[10 + size..]
        .chunks(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    assert_eq!(numbers.len(), shape[0] * shape[1]);
    numbers.chunks(shape[1]).map(<[f32]>::to_vec).collect()
}

#[test]
fn texts_are_embedded_together_and_each_row_gets_its_vector() {
    let api = simulator();
    let folder = Folder::new();
    let mut csv = String::from("text\n");
    for number in 0..3_000 {
        let text = if number == 1_234 {
            String::new()
        } else {
            format!("text {}", number % 1_000)
        };
        let _ = writeln!(csv, "\"{text}\"");
    }
    folder.write("in.csv", csv);
    let flags = ["--embed", "text", "--model", "text-embedding-3-small"];
    run(&folder, "in.csv", &api.base_url())
        .args(flags)
        .args(["--extract", "m.npy"])
        .ends_with(1)
        .says(&["2,999 answers in m.npy, and 1 rows without one"]);
    assert_eq!(api.report().received, 2, "2,048 rows and the rest");
    let rows = matrix(&std::fs::read(folder.path("m.npy")).unwrap());
    assert_eq!((rows.len(), rows[0].len()), (3_000, 8));
    assert!(rows[1_234].iter().all(|number| number.is_nan()));
    // The same text has the same vector, in whatever request, and another text another one.
    assert_eq!(rows[5], rows[2_005]);
    assert_ne!(rows[5], rows[6]);
    assert_eq!(rows[234], rows[2_234]);

    let status = folder.paceline(["status", "in.csv", "--json"]).ends_with(0);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(
        (&status["total"], &status["succeeded"], &status["failed"]),
        (&3_000.into(), &2_999.into(), &1.into())
    );

    // Later, as a column, and as the same matrix.
    let extract = |output: &str| {
        folder.paceline([
            "extract",
            "in.csv",
            "in.results.jsonl",
            "--embed",
            "text",
            "-o",
            output,
        ])
    };
    extract("later.npy").ends_with(1);
    let later = std::fs::read(folder.path("later.npy")).unwrap();
    assert!(later == std::fs::read(folder.path("m.npy")).unwrap());
    extract("v.jsonl").ends_with(1);
    let lines = folder.lines("v.jsonl");
    let vector: Vec<f32> = serde_json::from_value(lines[6]["embedding"].clone()).unwrap();
    assert_eq!(vector, rows[6]);
    assert!(
        lines[1_234]["error"]
            .as_str()
            .unwrap()
            .contains("nothing to embed")
    );
    // An input that has changed has no vectors of other rows.
    let changed = folder.read("in.csv").replacen("\"text 7\"", "\"\"", 1);
    folder.write("in.csv", changed);
    extract("changed.jsonl").ends_with(1);
    let lines = folder.lines("changed.jsonl");
    assert!(
        lines[6]["error"]
            .as_str()
            .unwrap()
            .contains("has the input changed?"),
        "{}",
        lines[6]
    );
    assert!(lines[2_500]["embedding"].is_array());
}
