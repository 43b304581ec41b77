//! Files that a run reads, as inputs of a fuzzer.

use std::fs;
use std::io::Cursor;

use super::extract::Extract;
use super::fs::system;
use super::ids::Ids;
use super::input::Input;
use super::prompt::Prompt;
use super::{RowFormat, json};
use crate::batch::budget::prices::Prices;
use crate::batch::write::output::{Holds, Output};
use crate::quota::LimitTable;
use crate::tokens::{Endpoint, ModelTable, PromptRule, estimate};

/// Requests in the Batch format, each counted.
pub(crate) fn requests(bytes: &[u8]) {
    let input = Input::reader("x", Cursor::new(bytes.to_vec()));
    let mut requests = input.requests(Ids::default());
    let table = ModelTable::default();
    while let Ok(Some(line)) = requests.next() {
        if let Ok(request) = line {
            let profile = table.profile("gpt-4o");
            let endpoint = Endpoint::from_path(&request.url);
            let _ = estimate(endpoint, &request.body, &profile, PromptRule::default(), 10);
        }
    }
}

/// A table of rows.
pub(crate) fn rows(bytes: &[u8]) {
    let formats = [
        (RowFormat::Csv, "{a} {b}"),
        (RowFormat::Tsv, "{a}"),
        (RowFormat::Jsonl, "{a}"),
        (RowFormat::Lines, "{line}"),
    ];
    for (format, template) in formats {
        let Ok(prompt) = Prompt::new("m", template) else {
            continue;
        };
        let reader = Cursor::new(bytes.to_vec());
        let input = Input::rows_reader("x", reader, format, prompt.id_column("a"));
        let mut requests = input.requests(Ids::default());
        while let Ok(Some(_)) = requests.next() {}
    }
}

/// A template, and JSON as it stands.
pub(crate) fn prompt(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = Prompt::new("m", &text).and_then(|prompt| prompt.system(&text));
    if let Some(read) = json::Json::read_strictly(&text) {
        let compact = read.compact();
        assert!(json::value_of(&compact).is_ok(), "not JSON: {compact}");
    }
}

/// Tables of limits, prices and models.
pub(crate) fn toml(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = LimitTable::from_toml(&text);
    let _ = Prices::from_toml(&text);
    let _ = ModelTable::from_toml(&text);
}

/// A file of results: read, repaired, and read again without damage.
pub(crate) fn results(bytes: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else {
        return;
    };
    let path = folder.path().join("results.jsonl");
    if fs::write(&path, bytes).is_err() {
        return;
    }
    let _ = Extract::new(&path).write_to(folder.path().join("answers.csv"));
    let Ok(mut output) = Output::open(&system(), &path) else {
        return;
    };
    let mut lines = 0;
    let Ok(damage) = output.scan(Holds::Results, |_, _| lines += 1) else {
        return;
    };
    if output.repair(Holds::Results, &damage).is_err() {
        return;
    }
    let mut again = 0;
    let scanned = output.scan(Holds::Results, |_, _| again += 1);
    assert!(
        scanned.is_ok(),
        "what was repaired cannot be read: {scanned:?}"
    );
    assert_eq!(again, lines, "repairing loses or doubles lines");
}
