//! What files say of earlier runs, and what becomes of it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::Error;
use crate::batch::fingerprint::Fingerprint;
use crate::batch::fs::tests::{CrashDisk, Fault, Mutation};
use crate::batch::fs::{Disk, system};
use crate::batch::input::BadLine;
use crate::client::PassedOn;

const PRINT: Fingerprint = Fingerprint(0x0123_4567_89ab_cdef);
const FRESH: Resume = Resume {
    fresh: true,
    retry_cut_off: false,
    keep_failed: false,
};

fn open(
    input: Option<&Path>,
    results: &Path,
    errors: &Path,
    resume: Resume,
) -> Result<(Journal, Ids)> {
    let disk = system();
    let names = Names {
        disk: &disk,
        input: ("in.jsonl", input),
        results,
        errors,
        simulated: false,
    };
    let (earlier, mut ids) = Earlier::open(names, resume)?;
    let journal = earlier.begin(names, resume, &mut ids)?;
    Ok((journal, ids))
}

struct Files {
    _dir: TempDir,
    results: PathBuf,
    errors: PathBuf,
}

impl Files {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        Self {
            results: dir.path().join("r.jsonl"),
            errors: dir.path().join("e.jsonl"),
            _dir: dir,
        }
    }

    fn open(&self) -> Result<(Journal, Ids)> {
        self.resume(Resume::default())
    }

    fn resume(&self, resume: Resume) -> Result<(Journal, Ids)> {
        open(None, &self.results, &self.errors, resume)
    }

    /// What failed and how, in the order of the errors file.
    fn failures(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(&self.errors).unwrap();
        let parse = |line| serde_json::from_str::<Value>(line).unwrap();
        let text_of = |value: &Value| value.as_str().unwrap_or("none").to_owned();
        text.lines()
            .map(parse)
            .map(|line| {
                (
                    text_of(&line["custom_id"]),
                    text_of(&line["error"]["message"]),
                )
            })
            .collect()
    }
}

fn success(id: &str) -> Record {
    let response = PassedOn {
        status: 200,
        request_id: None,
        completion: crate::Completion::Complete,
        repaired: Vec::new(),
        body: "{}".to_owned(),
        usage: None,
        tier: None,
        attempts: 1,
        waited: Duration::ZERO,
    };
    Record::success(id.to_owned(), PRINT, response)
}

/// A failure whose message holds `reason`.
fn failure(id: &str, reason: &str) -> Record {
    Record::failure(
        id.to_owned(),
        PRINT,
        &Error::InvalidRequest(reason.to_owned()),
    )
}

fn bad_line(id: &str) -> Record {
    Record::bad_line(BadLine {
        line: 1,
        custom_id: Some(id.to_owned()),
        message: "bad".to_owned(),
    })
}

/// Those of `a` to `g` that are finished.
fn finished(ids: &Ids) -> String {
    let is_finished = |id: &char| {
        let known = ids.get(&id.to_string());
        assert!(known.is_none() || known == Some(Known::Finished(Some(PRINT))));
        known.is_some()
    };
    ('a'..='g').filter(is_finished).collect()
}

fn write(journal: &mut Journal, records: &[Record]) {
    for record in records {
        journal.write(record).unwrap();
    }
}

#[test]
fn what_was_written_is_finished_on_the_next_start_and_failures_are_not() {
    let files = Files::new();
    let (mut journal, ids) = files.open().unwrap();
    assert_eq!(finished(&ids), "");
    write(
        &mut journal,
        &[success("a"), success("b"), failure("c", "no")],
    );
    journal.finish().unwrap();
    drop(journal);
    let (_journal, ids) = files.open().unwrap();
    assert_eq!(finished(&ids), "ab");
}

#[test]
fn ids_of_others_are_finished_and_tell_of_no_request() {
    let files = Files::new();
    let line = r#"{"id":"batch_req_6740c1ea","custom_id":"a","response":{"status_code":200,"request_id":"r","body":{}},"error":null}"#;
    fs::write(&files.results, format!("{line}\n")).unwrap();
    let (_journal, ids) = files.open().unwrap();
    assert_eq!(ids.get("a"), Some(Known::Finished(None)));
}

#[test]
fn failures_among_the_results_are_sent_again() {
    let files = Files::new();
    let (mut journal, _) = files.open().unwrap();
    write(&mut journal, &[success("a"), success("b")]);
    drop(journal);
    let text = fs::read_to_string(&files.results).unwrap();
    let failed = text.replacen("\"body\":{}", "\"body\":{\"error\":{\"code\":502}}", 1);
    fs::write(&files.results, failed).unwrap();
    let (_journal, ids) = files.open().unwrap();
    assert_eq!(finished(&ids), "b");
}

fn said(of: &[(&str, &str)]) -> Vec<(String, String)> {
    let message = |text: &str| match text {
        "bad" => text.to_owned(),
        text => Error::InvalidRequest(text.to_owned()).to_string(),
    };
    of.iter()
        .map(|(id, text)| ((*id).to_owned(), message(text)))
        .collect()
}

#[test]
fn a_failure_stays_until_its_line_was_dealt_with_anew() {
    let files = Files::new();
    let (mut journal, _) = files.open().unwrap();
    let first = ["a", "b", "c", "d"].map(|id| failure(id, "first"));
    write(&mut journal, &first);
    write(&mut journal, &[bad_line("e")]);
    journal.finish().unwrap();
    drop(journal);
    let all = [
        ("a", "first"),
        ("b", "first"),
        ("c", "first"),
        ("d", "first"),
    ];
    // This one is killed: it does not come to its end.
    let (mut journal, _) = files.open().unwrap();
    assert_eq!(files.failures(), said(&all), "without the bad line");
    write(&mut journal, &[success("a"), failure("b", "second")]);
    drop(journal);
    let (mut journal, ids) = files.open().unwrap();
    assert_eq!(finished(&ids), "a");
    let left = [("c", "first"), ("d", "first"), ("b", "second")];
    assert_eq!(files.failures(), said(&left));
    // And this one does, though it was stopped on its way.
    write(
        &mut journal,
        &[failure("b", "third"), success("c"), bad_line("e")],
    );
    journal.finish().unwrap();
    let left = said(&[("d", "first"), ("b", "third"), ("e", "bad")]);
    assert_eq!(files.failures(), left);
    // It can be written to as before, and is still locked.
    write(&mut journal, &[failure("f", "late")]);
    assert_eq!(files.failures().len(), 4);
    let second = files.open().unwrap_err().to_string();
    assert!(second.contains("another run is writing to it"), "{second}");
    let names = fs::read_dir(files.errors.parent().unwrap()).unwrap();
    assert_eq!(names.count(), 2, "nothing is left behind");
}

#[test]
fn failures_that_are_kept_stay_and_bad_lines_are_not_doubled() {
    let files = Files::new();
    let (mut journal, _) = files.open().unwrap();
    let records = [failure("a", "first"), bad_line("b"), success("c")];
    write(&mut journal, &records);
    drop(journal);
    let keep = Resume {
        keep_failed: true,
        ..Resume::default()
    };
    for round in 0..3 {
        let (mut journal, ids) = files.resume(keep).unwrap();
        assert_eq!(
            ids.get("a"),
            Some(Known::Failed(Some(PRINT))),
            "round {round}"
        );
        assert_eq!(ids.get("b"), None, "round {round}");
        assert_eq!(ids.get("c"), Some(Known::Finished(Some(PRINT))));
        write(&mut journal, &[bad_line("b")]);
        journal.finish().unwrap();
        let expected = said(&[("a", "first"), ("b", "bad")]);
        assert_eq!(files.failures(), expected, "round {round}");
    }
    // A line that failed and is no request any more has one word, the new one.
    let (mut journal, _) = files.resume(keep).unwrap();
    write(&mut journal, &[bad_line("a")]);
    journal.finish().unwrap();
    assert_eq!(files.failures(), said(&[("a", "bad")]));
}

#[test]
fn a_run_that_has_written_everything_does_not_fail_for_an_old_word() {
    let mut went_wrong = 0;
    for at in 1.. {
        let crash = CrashDisk::new(None);
        let disk: Disk = Arc::new(crash.clone());
        let open = || {
            let names = Names {
                disk: &disk,
                input: ("in.jsonl", None),
                results: Path::new("/d/r.jsonl"),
                errors: Path::new("/d/e.jsonl"),
                simulated: false,
            };
            let (earlier, mut ids) = Earlier::open(names, Resume::default()).unwrap();
            earlier.begin(names, Resume::default(), &mut ids).unwrap()
        };
        let mut journal = open();
        write(&mut journal, &[failure("a", "first")]);
        journal.finish().unwrap();
        drop(journal);
        let mut journal = open();
        write(&mut journal, &[success("a"), failure("b", "no")]);
        journal.sync().unwrap();
        // What is to take the file's place cannot be made, and so on.
        crash.plan(Some((at, Fault::Fails(io::ErrorKind::StorageFull, 1))));
        let finished = journal.finish();
        if !crash.has_failed() {
            break;
        }
        went_wrong += u32::from(finished.is_ok());
        drop(journal);
        crash.plan(None);
        drop(open());
        let (text, _) = crash.read("/d/e.jsonl").unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 1, "call {at}: {text}");
        assert!(text.contains("\"b\""), "call {at}: {text}");
    }
    assert!(
        went_wrong > 5,
        "only {went_wrong} calls failed and ended nothing"
    );
}

#[test]
fn in_a_folder_that_must_not_be_written_to_lines_are_appended() {
    let crash = CrashDisk::new(Some(Mutation::ReadOnlyFolder));
    let disk: Disk = Arc::new(crash.clone());
    let names = Names {
        disk: &disk,
        input: ("in.jsonl", None),
        results: Path::new("/d/r.jsonl"),
        errors: Path::new("/d/e.jsonl"),
        simulated: false,
    };
    let open = || {
        let (earlier, mut ids) = Earlier::open(names, Resume::default())?;
        earlier.begin(names, Resume::default(), &mut ids)
    };
    let error = open().unwrap_err().to_string();
    assert!(error.starts_with("/d/r.jsonl: "), "{error}");
    for path in ["/d/r.jsonl", "/d/e.jsonl"] {
        crash.put(path, b"", 0o600);
    }
    for records in [[failure("a", "first")], [success("a")], [success("b")]] {
        let mut journal = open().unwrap();
        write(&mut journal, &records);
        journal.finish().unwrap();
    }
    let lines = |path: &str| crash.read(path).unwrap().0.split(|it| *it == b'\n').count() - 1;
    assert_eq!(
        (lines("/d/r.jsonl"), lines("/d/e.jsonl")),
        (2, 1),
        "old words stay"
    );
}

#[test]
fn results_that_are_failures_go_when_their_requests_are_dealt_with() {
    let files = Files::new();
    let failed = |id: &str| {
        let mut record = success(id);
        let line = String::from_utf8(record.line).unwrap();
        record.line = line
            .replace("{}", r#"{"error":{"message":"no"}}"#)
            .into_bytes();
        record
    };
    let (mut journal, _) = files.open().unwrap();
    write(
        &mut journal,
        &[failed("a"), failed("b"), failed("c"), success("d")],
    );
    journal.finish().unwrap();
    drop(journal);
    let results = || {
        let text = fs::read_to_string(&files.results).unwrap();
        let ids = text.lines().map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["custom_id"].as_str().unwrap().to_owned()
        });
        ids.collect::<Vec<_>>().concat()
    };
    assert_eq!(results(), "abcd");
    // Killed after one of them: what is not dealt with keeps its reason.
    let (mut journal, ids) = files.open().unwrap();
    assert_eq!(finished(&ids), "d");
    write(&mut journal, &[success("a")]);
    drop(journal);
    let (mut journal, ids) = files.open().unwrap();
    assert_eq!(
        (results(), finished(&ids)),
        ("bcda".to_owned(), "ad".to_owned())
    );
    write(&mut journal, &[failure("b", "again")]);
    journal.finish().unwrap();
    assert_eq!(results(), "cda");
    assert_eq!(files.failures(), said(&[("b", "again")]));
}

#[cfg(unix)]
#[test]
fn an_errors_file_behind_a_link_stays_there_with_its_rights() {
    use std::os::unix::fs::PermissionsExt;

    let files = Files::new();
    let real = files.errors.with_file_name("real.jsonl");
    fs::write(&real, "").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(&real, &files.errors).unwrap();
    for _ in 0..2 {
        let (mut journal, _) = files.open().unwrap();
        write(&mut journal, &[bad_line("a"), failure("b", "no")]);
        journal.finish().unwrap();
    }
    assert!(files.errors.is_symlink());
    assert_eq!(files.failures().len(), 2);
    assert_eq!(
        fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_torn_last_line_is_cut_off_unless_only_its_end_is_missing() {
    let files = Files::new();
    let (mut journal, _) = files.open().unwrap();
    write(&mut journal, &[success("a"), success("b")]);
    drop(journal);
    let whole = fs::read(&files.results).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in first..whole.len() {
        fs::write(&files.results, &whole[..length]).unwrap();
        let expected = if length == whole.len() - 1 { "ab" } else { "a" };
        let (mut journal, ids) = files.open().unwrap();
        assert_eq!(finished(&ids), expected, "torn after {length} bytes");
        write(&mut journal, &[success("c")]);
        drop(journal);
        let (_journal, ids) = files.open().unwrap();
        assert_eq!(
            finished(&ids),
            format!("{expected}c"),
            "after {length} bytes"
        );
    }
}

#[test]
fn a_file_that_holds_something_else_is_left_alone() {
    let files = Files::new();
    for path in [&files.results, &files.errors] {
        // Without a line end it is no torn line of ours either.
        for notes in ["my notes\n", "my notes", "{\"id\":7}"] {
            fs::write(path, notes).unwrap();
            let error = files.open().unwrap_err().to_string();
            assert!(
                error.contains(".jsonl:1: not a line of an output file"),
                "{error}"
            );
            assert_eq!(fs::read_to_string(path).unwrap(), notes);
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn results_are_not_taken_for_failures_nor_failures_for_results() {
    let files = Files::new();
    let (mut journal, _) = files.open().unwrap();
    write(&mut journal, &[success("a"), failure("b", "no")]);
    drop(journal);
    let before = fs::read(&files.results).unwrap();
    for (results, errors) in [
        (&files.errors, &files.results),
        (&files.errors, &files.errors.with_extension("new")),
    ] {
        let error = open(None, results, errors, Resume::default()).unwrap_err();
        assert!(error.to_string().contains("mixed up"), "{error}");
    }
    let unused = files.results.with_extension("new");
    let error = open(None, &unused, &files.results, Resume::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a result in the file for failures"),
        "{error}"
    );
    assert_eq!(fs::read(&files.results).unwrap(), before);
}

#[test]
fn fresh_moves_aside_and_deletes_nothing() {
    let files = Files::new();
    for round in 0..3 {
        let (mut journal, ids) = files.resume(FRESH).unwrap();
        assert_eq!(finished(&ids), "", "round {round}");
        write(&mut journal, &[success("a")]);
    }
    for aside in ["r.jsonl.1", "r.jsonl.2", "r.jsonl"] {
        let path = files.results.with_file_name(aside);
        assert_eq!(
            fs::read_to_string(path).unwrap().lines().count(),
            1,
            "{aside}"
        );
    }
}

#[test]
fn two_runs_on_one_output_are_refused_and_so_is_the_input_as_output() {
    let files = Files::new();
    let running = files.open().unwrap();
    for resume in [Resume::default(), FRESH] {
        let error = files.resume(resume).unwrap_err().to_string();
        assert!(error.contains("another run is writing to it"), "{error}");
    }
    drop(running);
    let dotted = files.results.parent().unwrap().join(".").join("r.jsonl");
    let error = open(
        Some(&dotted),
        &files.results,
        &files.errors,
        Resume::default(),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("is the input itself")
    );
    let error = open(None, &files.results, &files.results, Resume::default()).unwrap_err();
    assert!(error.to_string().contains("are the same file"), "{error}");
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let files = Files::new();
    let nowhere = files.results.join("no/such/folder.jsonl");
    let error = open(None, &nowhere, &files.errors, Resume::default()).unwrap_err();
    assert!(error.to_string().contains("folder.jsonl"), "{error}");
}
