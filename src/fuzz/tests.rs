//! The corpus, replayed and changed at random.
//!
//! `PACELINE_FUZZ_SECONDS` says for how long, `PACELINE_FUZZ_SEED` from which seed, and
//! `PACELINE_FUZZ_TARGET` which target alone. An input that fails is written to `target/fuzz`.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Mutator, TARGETS, Target};
use crate::Clock;

/// Inputs at random for each target where no time is named: a moment's work.
const FEW: usize = 200;
/// The longest input, in bytes.
const LONGEST: usize = 8 * 1024;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

/// The inputs of a target, in the order of their names.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = folder().join(name);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn now() -> Instant {
    Clock::real().now()
}

/// Runs a target on an input. One that panics is kept, so that it can be run again.
fn run((name, target): Target, input: &[u8]) -> Result<(), String> {
    let Err(_) = catch_unwind(AssertUnwindSafe(|| target(input))) else {
        return Ok(());
    };
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
    fs::create_dir_all(&kept).unwrap();
    let sum = input.iter().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(*byte)
    });
    let path = kept.join(format!("{name}-{sum:016x}"));
    fs::write(&path, input).unwrap();
    Err(format!(
        "{name}: an input panics; it is in {}",
        path.display()
    ))
}

/// Runs a target on inputs at random: few, or for as long as the environment says.
fn play(target: Target, time: Option<Duration>, seed: u64) -> Result<usize, String> {
    let corpus = corpus(target.0);
    let mut mutator = Mutator::new(seed);
    let end = time.map(|time| now() + time);
    let mut inputs = 0;
    while end.map_or(inputs < FEW, |end| now() < end) {
        run(target, &mutator.input(&corpus, LONGEST))?;
        inputs += 1;
    }
    Ok(inputs)
}

#[test]
fn the_corpus_is_replayed_and_changed_at_random() {
    let alone = std::env::var("PACELINE_FUZZ_TARGET").ok();
    let targets = TARGETS
        .iter()
        .filter(|(name, _)| alone.as_ref().is_none_or(|it| it == name));
    let targets: Vec<Target> = targets.copied().collect();
    assert!(!targets.is_empty(), "no target is called {alone:?}");
    let seconds = variable("PACELINE_FUZZ_SECONDS");
    let count = u32::try_from(targets.len()).unwrap();
    let each = seconds.map(|seconds| Duration::from_secs(seconds) / count);
    let seed = variable("PACELINE_FUZZ_SEED").unwrap_or(20_261_127);
    for target in targets {
        let corpus = corpus(target.0);
        assert!(!corpus.is_empty(), "{} has no corpus", target.0);
        let played = corpus
            .iter()
            .try_for_each(|input| run(target, input))
            .and_then(|()| play(target, each, seed));
        match played {
            Ok(inputs) => println!("{}: {} + {inputs} inputs", target.0, corpus.len()),
            Err(message) => panic!("{message} (seed {seed})"),
        }
    }
}

#[test]
fn every_folder_of_the_corpus_has_a_target() {
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(TARGETS.iter().any(|(target, _)| *target == name), "{name}");
    }
}

/// A parser as somebody might write it: a wait that is too long for it panics.
fn careless(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines() {
        if let Some(seconds) = line.strip_prefix("retry-after: ")
            && let Ok(seconds) = seconds.parse::<u64>()
        {
            assert!(Duration::from_secs(seconds).checked_mul(1_000).is_some());
        }
    }
}

#[test]
fn a_seeded_panic_is_found() {
    let found = play(("headers", careless), None, 1)
        .and_then(|_| play(("headers", careless), Some(Duration::from_secs(20)), 1));
    let message = found.unwrap_err();
    let path = Path::new(message.rsplit(' ').next().unwrap());
    assert!(path.is_file(), "{message}");
    let input = fs::read(path).unwrap();
    assert!(
        run(("headers", careless), &input).is_err(),
        "it is the input that panics"
    );
    fs::remove_file(path).unwrap();
}
