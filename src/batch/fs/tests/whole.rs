//! Files that are whole or not there, through every fault at every call.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::super::{Disk, system, write_whole};
use super::{CrashDisk, Fault, Loss, Mutation};
use crate::{Error, Result};

fn write(disk: &Disk, path: &Path, text: &str) -> Result<()> {
    write_whole(disk, path, |writer| {
        let written = writer.write_all(text.as_bytes());
        written.map_err(|error| Error::io(path, error))
    })
}

const OLD: &str = "what was there";
const LEFT: &str = "/d/a.csv.paceline-00000000000000ff.tmp";

/// All that can happen at a call.
fn faults() -> Vec<Fault> {
    use std::io::ErrorKind::{Other, PermissionDenied, StorageFull};

    let fails = [Other, PermissionDenied, StorageFull].map(|kind| Fault::Fails(kind, 1));
    let others = [
        Fault::Short,
        Fault::Interrupted,
        Fault::EndsBefore,
        Fault::EndsWithin,
    ];
    fails.into_iter().chain(others).collect()
}

/// Replaces a file through one fault, and says what went wrong.
fn replace(
    mutation: Option<Mutation>,
    at: u64,
    fault: Fault,
    loss: Loss,
    seed: u64,
) -> Option<String> {
    let crash = CrashDisk::new(mutation);
    crash.put("/d/real.csv", OLD.as_bytes(), 0o600);
    crash.put("/d/victim", b"precious", 0o600);
    crash.put("/d/a.csv.paceline-none.tmp", b"a user's", 0o600);
    crash.put(
        "/d/real.csv.paceline-00000000000000ff.tmp",
        b"left by a kill",
        0o600,
    );
    crash.link("/d/a.csv", "real.csv");
    crash.link(LEFT, "victim");
    let disk: Disk = Arc::new(crash.clone());
    let new = "new ".repeat(700);
    let mut random = fastrand::Rng::with_seed(seed);
    crash.plan(Some((at, fault)));
    let written = write(&disk, Path::new("/d/a.csv"), &new);
    crash.restart(loss, |end| random.u64(..end.max(1)));
    let (found, mode) = match crash.read("/d/a.csv") {
        Some((found, mode)) => (String::from_utf8_lossy(&found).into_owned(), mode),
        None => return Some("it is gone".to_owned()),
    };
    let wrong = |what: &str| Some(format!("{what}: {written:?}"));
    if found != OLD && found != new {
        return wrong("it is neither old nor new");
    }
    if written.is_ok() && found != new {
        return wrong("it was said to be written and is not");
    }
    if mode != 0o600 {
        return wrong("its mode has changed");
    }
    if !crash.is_link("/d/a.csv") {
        return wrong("the link is none any more");
    }
    // The next one finds nothing left over.
    if let Err(error) = write(&disk, Path::new("/d/a.csv"), "next") {
        return Some(format!("it cannot be written again: {error}"));
    }
    if crash.read("/d/victim").map(|it| it.0) != Some(b"precious".to_vec()) {
        return wrong("a link was followed");
    }
    let left = crash.paths();
    let expected = [
        "/d/a.csv",
        LEFT,
        "/d/a.csv.paceline-none.tmp",
        "/d/real.csv",
        "/d/victim",
    ];
    (left != expected).then(|| format!("there are {left:?}"))
}

/// How many calls it takes.
fn calls() -> u64 {
    let crash = CrashDisk::new(None);
    crash.put("/d/a.csv", OLD.as_bytes(), 0o600);
    crash.put("/d/a.csv.paceline-00000000000000ff.tmp", b"left", 0o600);
    let disk: Disk = Arc::new(crash.clone());
    crash.plan(None);
    write(&disk, Path::new("/d/a.csv"), "new").unwrap();
    crash.calls()
}

/// The first thing that goes wrong in all schedules.
fn search(mutation: Option<Mutation>) -> Option<String> {
    for at in 1..=calls() + 2 {
        for fault in faults() {
            for (loss, seeds) in [(Loss::Kill, 1), (Loss::PowerCut, 12)] {
                for seed in 0..seeds {
                    if let Some(wrong) = replace(mutation, at, fault, loss, seed) {
                        return Some(format!(
                            "{fault:?} at call {at}, {loss:?}, seed {seed}: {wrong}"
                        ));
                    }
                }
            }
        }
    }
    None
}

#[test]
fn a_file_is_old_or_new_and_whole_through_every_fault_at_every_call() {
    assert_eq!(search(None), None);
}

#[test]
fn seeded_faults_of_files_that_replace_others_are_found() {
    let seeded = [
        Mutation::NoSync,
        Mutation::NoFolderSync,
        Mutation::RenameBeforeSync,
        Mutation::NoRemoval,
    ];
    for mutation in seeded {
        let found = search(Some(mutation));
        assert!(found.is_some(), "{mutation:?} is not found");
    }
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn half_of_a_file_never_stands_there_and_nothing_stays_beside_it() {
    let (dir, disk) = (TempDir::new().unwrap(), system());
    let path = dir.path().join("a.csv");
    write(&disk, &path, "one").unwrap();
    write(&disk, &path, "two").unwrap();
    let failed = write_whole(&disk, &path, |writer| {
        writer.write_all(&[b'x'; 100_000]).unwrap();
        Err::<(), _>(Error::Batch("no more".to_owned()))
    });
    assert_eq!(failed.unwrap_err().to_string(), "no more");
    assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    // Two at once are whole each.
    write_whole(&disk, &path, |_| write(&disk, &path, "inner")).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
    assert_eq!(names(&dir), ["a.csv"]);
    let nowhere = dir.path().join("no/a.csv");
    let error = write(&disk, &nowhere, "").unwrap_err().to_string();
    assert!(error.contains("no/a.csv"), "{error}");
    assert!(write(&disk, dir.path(), "").is_err());
    // The longest name that there is.
    let long = dir.path().join("x".repeat(255));
    write(&disk, &long, "long").unwrap();
    assert_eq!(names(&dir).len(), 2);
}

#[cfg(unix)]
#[test]
fn links_lead_on_modes_stay_and_what_is_no_file_is_written_to() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let (dir, disk) = (TempDir::new().unwrap(), system());
    let at = |name: &str| dir.path().join(name);
    fs::write(at("a"), "old").unwrap();
    fs::set_permissions(at("a"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink(at("a"), at("link")).unwrap();
    symlink("not yet", at("dangling")).unwrap();
    fs::hard_link(at("a"), at("hard")).unwrap();
    write(&disk, &at("link"), "new").unwrap();
    write(&disk, &at("dangling"), "there").unwrap();
    write(&disk, Path::new("/dev/null"), "gone").unwrap();
    assert_eq!(fs::read_to_string(at("a")).unwrap(), "new");
    assert_eq!(
        fs::read_to_string(at("hard")).unwrap(),
        "old",
        "another name of what was there"
    );
    assert_eq!(
        fs::metadata(at("a")).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(fs::read_to_string(at("not yet")).unwrap(), "there");
    assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
    assert_eq!(names(&dir), ["a", "dangling", "hard", "link", "not yet"]);
}

#[cfg(unix)]
#[test]
fn files_are_told_apart_by_what_they_are() {
    use super::super::is_same_file;
    use std::os::unix::fs::symlink;

    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("folder")).unwrap();
    symlink("folder", at("way")).unwrap();
    fs::write(at("a"), "").unwrap();
    fs::hard_link(at("a"), at("hard")).unwrap();
    symlink("a", at("link")).unwrap();
    symlink("not yet", at("dangling")).unwrap();
    let table = [
        ("a", "./a", true),
        ("a", "folder/../a", true),
        ("a", "hard", true),
        ("a", "link", true),
        ("a", "b", false),
        ("b", "./b", true),
        ("folder/b", "way/b", true),
        ("dangling", "not yet", true),
        ("no/b", "no/b", true),
        ("no/b", "no/c", false),
        ("/dev/null", "/dev/null", false),
    ];
    for (a, b, expected) in table {
        assert_eq!(is_same_file(at(a), at(b)), expected, "{a} {b}");
    }
}
