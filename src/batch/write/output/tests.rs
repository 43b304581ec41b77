//! Real files, and files that came to harm.

use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use std::fs;

use super::damage::begins_line;
use super::lines::parse;
use super::*;
use crate::batch::fingerprint::Fingerprint;
use crate::batch::fs::system;
use crate::batch::record::LINE_START;
use crate::client::PassedOn;

/// What was read of each line: where it begins, its id, its fingerprint.
type Found = Vec<(u64, Option<String>, Option<Fingerprint>)>;

fn read(path: &Path) -> Result<Found> {
    let mut found = Vec::new();
    let mut output = Output::open(&system(), path)?;
    output.read(Holds::Results, |at, line| {
        found.push((at, line.custom_id.clone(), line.fingerprint()));
    })?;
    Ok(found)
}

/// Three results as they are written, and one of the hosted service's.
fn real_file() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, answer) in ["short", "of\\n two \"lines\" {", "é 日本"]
        .iter()
        .enumerate()
    {
        let response = PassedOn {
            status: 200,
            request_id: Some(format!("req_{number}")),
            completion: crate::Completion::Complete,
            repaired: Vec::new(),
            body: serde_json::json!({"choices": [{"text": answer}], "usage": {"n": 1e-7}})
                .to_string(),
            usage: None,
            tier: None,
            attempts: 1,
            waited: Duration::ZERO,
        };
        let print = Fingerprint(number as u64);
        let record = Record::success(format!("r{number}"), print, response);
        let mut line = record.line;
        // The same whenever it is made: no chance in its id.
        let chance = LINE_START.len() + 17;
        line[chance..chance + 16].fill(b'7');
        bytes.extend(line);
    }
    let foreign = r#"{"id":"batch_req_6740","custom_id":"r3","response":{"status_code":200,"request_id":"q","body":{}},"error":null}"#;
    bytes.extend(foreign.as_bytes());
    bytes.push(b'\n');
    bytes
}

#[test]
fn lines_of_other_servers_are_results_and_those_of_an_input_are_not() {
    // As Azure's batch deployments and vLLM's `run-batch` write them.
    let azure = r#"{"custom_id":"a","response":{"body":{"choices":[{"message":{"content":"x"}}]},"request_id":"8f","status_code":200},"error":null}"#;
    let vllm = r#"{"id":"vllm-1","custom_id":"b","response":{"status_code":200,"request_id":"vllm-batch-2","body":{"choices":[]}},"error":null}"#;
    for line in [azure, vllm] {
        let known = parse(line.as_bytes()).unwrap();
        assert_eq!((known.holds(), known.fingerprint()), (Holds::Results, None));
    }
    let failed = r#"{"custom_id":"c","response":{"body":{},"request_id":"","status_code":400},"error":null}"#;
    assert_eq!(parse(failed.as_bytes()).unwrap().holds(), Holds::Failures);
    for input in [
        r#"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{}}"#,
        r#"{"custom_id":"a"}"#,
        "{}",
    ] {
        assert!(parse(input.as_bytes()).is_err(), "{input}");
    }
}

/// Reads a file that holds these bytes, twice, and checks what came of them.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("r.jsonl");
    fs::write(&path, bytes).unwrap();
    let first = read(&path);
    let after = fs::read(&path).unwrap();
    let Ok(found) = first else {
        prop_assert_eq!(&after, bytes, "it was refused and changed");
        return Ok(());
    };
    let is_result = |line: &[u8]| parse(line).is_ok_and(|line| line.holds() == Holds::Results);
    let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let lines = bytes.split(|byte| *byte == b'\n');
        let filled = lines.filter(|line| !line.trim_ascii().is_empty());
        filled.map(<[u8]>::to_vec).collect()
    };
    let filled = lines(&after);
    prop_assert_eq!(found.len(), filled.len());
    for (line, (at, id, _)) in filled.iter().zip(&found) {
        prop_assert_eq!(&parse(line).unwrap().custom_id, id);
        let at = usize::try_from(*at).unwrap();
        prop_assert!(after[at..].starts_with(line), "not at {}", at);
        let mut places = bytes.windows(line.len());
        prop_assert!(places.any(|place| place == &line[..]), "{:?} is new", line);
    }
    // Whole lines are all there, in their order.
    let mut kept = filled.iter();
    for line in lines(bytes).iter().filter(|line| is_result(line)) {
        prop_assert!(kept.any(|kept| kept == line), "{:?} is gone", line);
    }
    // And so is all else, in the file beside it; or a torn last line is gone, and nothing more.
    let filled = |bytes: &[u8]| {
        let is_filled = |byte: &&u8| **byte != 0 && !byte.is_ascii_whitespace();
        bytes.iter().filter(is_filled).count()
    };
    match fs::read(dir.path().join("r.jsonl.damaged")) {
        Ok(torn) => prop_assert_eq!(filled(&after) + filled(&torn), filled(bytes)),
        Err(_) if filled(&after) == filled(bytes) => {}
        Err(_) => {
            let torn = bytes.strip_prefix(&after[..]);
            prop_assert!(torn.is_some(), "{:?} is no part of it", after);
            let torn = torn.unwrap();
            prop_assert!(!torn.contains(&b'\n'), "{:?} is gone", torn);
            prop_assert!(begins_line(torn), "{:?} is gone", torn);
        }
    }
    prop_assert_eq!(read(&path).unwrap(), found);
    prop_assert_eq!(
        fs::read(&path).unwrap(),
        after,
        "the second time changed it"
    );
    Ok(())
}

/// What can happen to a file.
#[derive(Debug, Clone)]
enum Harm {
    Cut(usize),
    Change(usize, u8),
    Remove(usize, usize),
    Copy(usize, usize, usize),
    Zero(usize, usize),
    Insert(usize, usize),
}

impl Harm {
    fn any() -> impl Strategy<Value = Self> {
        let at = || any::<usize>();
        prop_oneof![
            at().prop_map(Self::Cut),
            (at(), any::<u8>()).prop_map(|(at, byte)| Self::Change(at, byte)),
            (at(), 0..200_usize).prop_map(|(at, length)| Self::Remove(at, length)),
            (at(), 0..200_usize, at()).prop_map(|(at, length, to)| Self::Copy(at, length, to)),
            (at(), 0..200_usize).prop_map(|(at, length)| Self::Zero(at, length)),
            (at(), 0..200_usize).prop_map(|(at, length)| Self::Insert(at, length)),
        ]
    }

    fn befall(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len() + 1;
        let piece = |at: usize, size: usize| {
            let at = at % length;
            at..(at + size).min(length - 1)
        };
        match *self {
            Self::Cut(at) => bytes.truncate(at % length),
            Self::Change(at, byte) => {
                if let Some(place) = bytes.get_mut(at % length) {
                    *place = byte;
                }
            }
            Self::Remove(at, size) => drop(bytes.drain(piece(at, size))),
            Self::Zero(at, size) => bytes[piece(at, size)].fill(0),
            Self::Insert(at, size) => {
                let at = at % length;
                bytes.splice(at..at, vec![0; size]);
            }
            Self::Copy(at, size, to) => {
                let copied = bytes[piece(at, size)].to_vec();
                let to = to % length;
                bytes.splice(to..to, copied);
            }
        }
    }
}

#[test]
fn a_real_file_is_read_and_left_as_it_is() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("r.jsonl");
    fs::write(&path, real_file()).unwrap();
    let found = read(&path).unwrap();
    let prints: Vec<_> = found.iter().map(|(_, _, print)| *print).collect();
    let expected = [Some(0), Some(1), Some(2), None].map(|print| print.map(Fingerprint));
    assert_eq!(prints, expected);
    assert_eq!(fs::read(&path).unwrap(), real_file());
}

#[test]
fn what_a_failed_write_leaves_is_taken_back_before_the_next() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("r.jsonl");
    fs::write(&path, real_file()).unwrap();
    let mut output = Output::open(&system(), &path).unwrap();
    output.read(Holds::Results, |_, _| {}).unwrap();
    // As if a write had come half way, and taking it back had failed.
    let To::File(ours) = &mut output.to else {
        panic!("it is a file");
    };
    write_all_at(&*ours.file, b"{\"id\":\"batch_req_00", ours.end).unwrap();
    ours.is_frayed = true;
    output.write(b"\n").unwrap();
    let mut expected = real_file();
    expected.push(b'\n');
    assert_eq!(fs::read(&path).unwrap(), expected);
}

/// What the damaged file holds after a start, and what was put aside.
fn repaired(bytes: &[u8]) -> (usize, Vec<u8>, Option<Vec<u8>>) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("r.jsonl");
    fs::write(&path, bytes).unwrap();
    let mut output = Output::open(&system(), &path).unwrap();
    let mut count = 0;
    output.read(Holds::Results, |_, _| count += 1).unwrap();
    // It is written on behind the last whole line.
    output.write(b"next\n").unwrap();
    drop(output);
    let after = fs::read(&path).unwrap();
    let after = after.strip_suffix(b"next\n").unwrap().to_vec();
    let torn = fs::read(dir.path().join("r.jsonl.damaged")).ok();
    let names = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 1 + usize::from(torn.is_some()), "something is left");
    (count, after, torn)
}

#[test]
fn what_a_power_cut_leaves_is_repaired_and_whole_lines_stay() {
    let whole = real_file();
    let half = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (first, rest) = whole.split_at(half);
    let second = rest.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (second, rest) = rest.split_at(second);
    let (torn, zeros) = (&second[..second.len() - 30], vec![0; 4096]);
    let [mark, end] = [&b"\xef\xbb\xbf"[..], &b"\n"[..]];
    let lost = [torn, end].concat();
    let without = [first, rest].concat();
    let table = [
        (
            "from the start of a line",
            vec![first, &zeros],
            (1, first, None),
        ),
        (
            "from the middle of a line",
            vec![first, torn, &zeros],
            (1, first, Some(&lost)),
        ),
        (
            "with a line end behind them",
            vec![first, &zeros, end],
            (1, first, None),
        ),
        (
            "between whole lines",
            vec![first, &zeros, second, rest],
            (4, &whole, None),
        ),
        ("before all lines", vec![&zeros, &whole], (4, &whole, None)),
        (
            "in the place of a line end",
            vec![first.trim_ascii(), &zeros, second, rest],
            (4, &whole, None),
        ),
        (
            "behind a line without its end",
            vec![first.trim_ascii(), &zeros],
            (1, first, None),
        ),
        (
            "in the middle of a line",
            vec![first, torn, &zeros, end, rest],
            (3, &without, Some(&lost)),
        ),
        (
            "a torn line before others",
            vec![first, torn, rest],
            (3, &without, Some(&lost)),
        ),
        (
            "a torn line with its end",
            vec![first, torn, end, rest],
            (3, &without, Some(&lost)),
        ),
        ("nothing but zeros", vec![&zeros], (0, b"", None)),
        (
            "an end of a line",
            vec![&second[20..], rest],
            (2, rest, Some(&[&second[20..]].concat())),
        ),
    ];
    for (what, parts, (count, expected, torn)) in table {
        let (found, after, aside) = repaired(&parts.concat());
        assert_eq!(found, count, "{what}");
        assert_eq!(
            String::from_utf8_lossy(&after),
            String::from_utf8_lossy(expected),
            "{what}"
        );
        assert_eq!(aside.as_ref(), torn, "{what}");
    }
    // A last line that was cut short and came to more harm is no kill's: it is kept, too.
    let harmed = [first, b"\x7f", &torn[1..]].concat();
    let aside = [b"\x7f", &torn[1..], end].concat();
    assert_eq!(repaired(&harmed), (1, first.to_vec(), Some(aside)));
    // Marks and line ends of other systems harm nothing.
    let marked = [mark, &whole[..]].concat();
    assert_eq!(repaired(&marked), (4, marked, None));
    let other = String::from_utf8(whole).unwrap().replace('\n', "\r\n");
    assert_eq!(
        repaired(other.as_bytes()),
        (4, other.clone().into_bytes(), None)
    );
    let cut = other.trim_end();
    assert_eq!(
        repaired(cut.as_bytes()),
        (4, format!("{cut}\n").into_bytes(), None)
    );
}

#[test]
fn what_is_no_output_file_is_left_alone() {
    let binary = [&b"PK\x03\x04"[..], &[0; 300], b"\n\xff\xfe\n"].concat();
    let table: [&[u8]; 6] = [
        b"id,text\n1,good\n",
        b"[{\"id\":\"batch_req_1\"}]\n",
        b"[]",
        &binary,
        b"\0\0notes",
        b"my notes\n\0\0\0",
    ];
    for bytes in table {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("r.jsonl");
        fs::write(&path, bytes).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.contains("r.jsonl:1: not a line of an output file"),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_left_alone(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes)?;
    }

    #[test]
    fn a_file_that_came_to_harm_is_read_or_left_alone(
        harms in prop::collection::vec(Harm::any(), 1..4)
    ) {
        let mut bytes = real_file();
        harms.iter().for_each(|harm| harm.befall(&mut bytes));
        check(&bytes)?;
    }

    #[test]
    fn a_file_cut_anywhere_is_read(at in any::<prop::sample::Index>()) {
        let whole = real_file();
        let bytes = &whole[..at.index(whole.len())];
        check(bytes)?;
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("r.jsonl");
        fs::write(&path, bytes).unwrap();
        // The line that the cut went through is found only if no more than its end is missing.
        let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
        let lacks_its_end = whole[bytes.len()] == b'\n' && !bytes.is_empty();
        prop_assert_eq!(read(&path).unwrap().len(), ends + usize::from(lacks_its_end));
    }
}
