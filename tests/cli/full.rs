//! Disks without room: what is answered is not lost, and nothing more is sent.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Cmd, Folder, Running, chats, simulator};

/// The largest file is 8 blocks of 512 bytes or 1 KiB; the limit can be lifted later.
const SMALL_FILES: &str = r#"trap "" XFSZ; ulimit -S -f 8; exec "$@""#;

/// What is under way at once, at most.
const IN_FLIGHT: usize = 4;

/// What may have been sent and not be written when the disk is full: what is under way, what the
/// writer holds, and what had been let in when it was seen.
const UNWRITTEN: usize = IN_FLIGHT + 2;

fn run(folder: &Folder, url: &str, patience: &str) -> Cmd {
    folder
        .run(url)
        .args(["--max-in-flight", &IN_FLIGHT.to_string()])
        .args(["--disk-full-timeout", patience])
}

/// Lets a process write files of any size.
fn lift_the_limit(running: &Running) {
    let id = running.child.id().to_string();
    let lifted = Command::new("prlimit")
        .args(["--pid", &id, "--fsize=unlimited"])
        .status();
    assert!(lifted.unwrap().success());
}

#[test]
fn a_run_goes_on_when_there_is_room_again_and_nothing_is_sent_twice() {
    let api = simulator();
    let folder = Folder::with_input(chats(300));
    let run = run(&folder, &api.base_url(), "3600");
    let mut running = run.in_shell(SMALL_FILES).start();
    let stderr = running.wait_for_word("no request is begun, until it can be written");
    let written = folder.whole_lines("in.results.jsonl");
    assert!((1..300).contains(&written), "{written}");
    lift_the_limit(&running);
    running.wait_for_end(stderr, "writing resumes", 0);
    folder.assert_each_once(300);
    assert_eq!(api.report().received, 300);
}

#[test]
fn a_full_disk_ends_the_run_in_time_and_says_how_much_is_lost() {
    for patience in ["0", "1.5"] {
        let api = simulator();
        let folder = Folder::with_input(chats(300));
        let output = run(&folder, &api.base_url(), patience)
            .in_shell(SMALL_FILES)
            .ends_with(2);
        output.says(&[
            "in.results.jsonl: File too large",
            "answered requests could not be written, and will be sent again",
            " of 300 done, 0 failed; ",
            " tokens used",
            "the same command resumes the run",
        ]);
        let said = &output.stderr[..output.stderr.find(" answered requests could").unwrap()];
        let lost: usize = said.rsplit(' ').next().unwrap().parse().unwrap();
        let written = folder.lines("in.results.jsonl").len();
        let sent = usize::try_from(api.report().received).unwrap();
        assert!((1..300).contains(&written), "{written}");
        assert_eq!(sent, written + lost, "{output}");
        assert!(lost <= UNWRITTEN, "{lost} were sent and not written");
        run(&folder, &api.base_url(), patience)
            .ends_with(0)
            .says(&[&format!("{written} done before")]);
        folder.assert_each_once(300);
        assert_eq!(usize::try_from(api.report().received).unwrap(), 300 + lost);
    }
}

#[test]
fn lines_that_are_not_sent_wait_for_room_as_well() {
    let api = simulator();
    // More than are kept, behind one that can be sent: a file without any would be refused as a whole.
    let folder = Folder::with_input(chats(1) + &"{}\n".repeat(12_000));
    let run = run(&folder, &api.base_url(), "3600");
    let mut running = run.in_shell(SMALL_FILES).start();
    let stderr = running.wait_for_word("no request is begun, until it can be written");
    lift_the_limit(&running);
    running.wait_for_end(stderr, "writing resumes", 1);
    assert_eq!(folder.lines("in.errors.jsonl").len(), 12_000);
    assert_eq!(api.report().received, 1);
}

/// A file system of its own, of this size.
struct Disk {
    path: PathBuf,
}

impl Disk {
    /// `None` where that is not allowed.
    fn mount(path: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir(&path).unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "paceline-test"])
            .arg(&path)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { path }),
            Ok(output) => {
                println!("skipped: {}", String::from_utf8_lossy(&output.stderr));
                None
            }
            Err(error) => {
                println!("skipped: mount: {error}");
                None
            }
        }
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        let mounted = Command::new("mount")
            .args(["-o", &options])
            .arg(&self.path)
            .status();
        assert!(mounted.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let ended = Command::new("umount").arg(&self.path).status();
        assert!(ended.is_ok_and(|ended| ended.success()));
    }
}

#[test]
fn a_real_disk_that_fills_and_is_enlarged_loses_nothing() {
    let api = simulator();
    let folder = Folder::with_input(chats(300));
    let Some(disk) = Disk::mount(folder.path("disk"), "32k") else {
        let required = env::var_os("PACELINE_REQUIRE_ALL").is_some();
        assert!(
            !required,
            "PACELINE_REQUIRE_ALL is set, and this needs to mount"
        );
        return;
    };
    let mut running = run(&folder, &api.base_url(), "3600")
        .args(["--output", "disk/r.jsonl", "--errors", "disk/e.jsonl"])
        .start();
    let stderr = running.wait_for_word("no request is begun, until it can be written");
    let written = folder.whole_lines("disk/r.jsonl");
    assert!((1..300).contains(&written), "{written}");
    disk.resize("16m");
    running.wait_for_end(stderr, "writing resumes", 0);
    let lines = folder.lines("disk/r.jsonl");
    let mut ids: Vec<_> = lines
        .iter()
        .map(|line| line["custom_id"].to_string())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((lines.len(), ids.len()), (300, 300));
    assert_eq!(api.report().received, 300);
}
