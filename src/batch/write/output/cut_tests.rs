//! Files that are cut off and written on, over a disk that loses its power.

use std::sync::Arc;

use super::lines::parse;
use super::*;
use crate::batch::fingerprint::Fingerprint;
use crate::batch::fs::tests::{CrashDisk, Fault, Loss};

const PATH: &str = "/d/e.jsonl";

fn failure(id: &str, length: usize) -> Record {
    let error = Error::InvalidResponse {
        url: "http://h".to_owned(),
        message: "x".repeat(length),
    };
    Record::failure(id.to_owned(), Fingerprint(1), &error)
}

/// Opens the file, as a run does, and appends a line.
fn append(crash: &CrashDisk, line: &Record) -> Result<Output> {
    let disk: Disk = Arc::new(crash.clone());
    let mut output = Output::open(&disk, Path::new(PATH))?;
    output.read(Holds::Failures, |_, _| {})?;
    output.append(line)?;
    Ok(output)
}

/// A file of which a power cut left the beginning of a line.
fn torn(line: &Record) -> CrashDisk {
    let crash = CrashDisk::new(None);
    let mut left = line.line[..512].to_vec();
    left.resize(line.line.len(), 0);
    crash.put(PATH, &left, 0o600);
    crash
}

#[test]
fn no_line_is_made_of_two() {
    let lines = [
        failure("a", 1_000),
        failure("b", 1_100),
        failure("c", 1_200),
    ];
    let [first, second, third] = &lines;
    // The first run is killed at some call, or a write of it fails and is taken back.
    for kind in [Fault::EndsBefore, Fault::EndsWithin, Fault::Short] {
        let mut is_reached = true;
        for at in 1.. {
            if !is_reached {
                break;
            }
            for seed in 0..100 {
                let crash = torn(first);
                crash.plan(Some((at, kind)));
                let failed = append(&crash, second);
                is_reached = crash.has_failed();
                crash.plan(None);
                if crash.has_ended() {
                    crash.restart(Loss::Kill, |_| 0);
                }
                match failed {
                    // The run goes on and writes another line to where the failed one was.
                    Ok(mut output) => output.append(third).unwrap(),
                    Err(_) => drop(append(&crash, third).unwrap()),
                }
                let mut random = fastrand::Rng::with_seed(seed);
                crash.restart(Loss::PowerCut, |end| random.u64(..end));
                let (bytes, _) = crash.read(PATH).unwrap_or_default();
                for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                    let was_written = lines.iter().any(|it| it.line == line);
                    assert!(
                        was_written || parse(line).is_err(),
                        "{kind:?} at call {at}, seed {seed}: {:?}",
                        String::from_utf8_lossy(line)
                    );
                }
            }
        }
    }
}

#[test]
fn a_line_that_is_written_after_a_failed_one_is_not_made_of_two() {
    let (first, second) = (failure("a", 1_000), failure("b", 1_100));
    for seed in 0..2_000 {
        let crash = CrashDisk::new(None);
        crash.put(PATH, b"", 0o600);
        let disk: Disk = Arc::new(crash.clone());
        let mut output = Output::open(&disk, Path::new(PATH)).unwrap();
        output.read(Holds::Failures, |_, _| {}).unwrap();
        crash.plan(Some((2, Fault::Short))); // the call behind the look at the length
        output.append(&first).unwrap_err();
        crash.plan(None);
        output.append(&second).unwrap();
        let mut random = fastrand::Rng::with_seed(seed);
        crash.restart(Loss::PowerCut, |end| random.u64(..end));
        let (bytes, _) = crash.read(PATH).unwrap();
        let is_false = parse(&bytes).is_ok() && bytes != second.line;
        assert!(
            !is_false,
            "seed {seed}: {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

#[test]
fn a_sync_that_failed_when_a_line_was_taken_back_is_not_forgotten() {
    let crash = CrashDisk::new(None);
    crash.put(PATH, b"", 0o600);
    let mut output = append(&crash, &failure("a", 100)).unwrap();
    // A write fails, and so does the cut behind it. Then the sync before the next write fails.
    for times in [2, 1] {
        crash.plan(Some((2, Fault::Fails(io::ErrorKind::StorageFull, times))));
        output.append(&failure("b", 100)).unwrap_err();
    }
    crash.plan(None);
    let error = output.sync().unwrap_err().to_string();
    assert!(error.contains(PATH), "{error}");
}
