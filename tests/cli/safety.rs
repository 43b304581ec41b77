//! What other programs do to the files of a run, names that are not what they seem, and pipes that
//! nobody reads.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Cmd, Folder, Running, chat, chats, simulator};
use crate::server;

/// So slow that something can be done to a run in its middle.
fn slow(run: Cmd) -> Cmd {
    run.args(["--rpm", "gpt-4o-mini=3000", "--burst-seconds", "1"])
}

#[test]
fn results_that_are_taken_away_end_the_run_and_are_saved() {
    type Harm = fn(&Folder);
    let harms: [(Harm, &str, usize); 5] = [
        (
            |it| fs::remove_file(it.path("r.jsonl")).unwrap(),
            "removed or renamed",
            0,
        ),
        (
            |it| fs::rename(it.path("r.jsonl"), it.path("moved")).unwrap(),
            "removed or renamed",
            0,
        ),
        (
            |it| {
                fs::write(it.path("other"), "somebody's").unwrap();
                fs::rename(it.path("other"), it.path("r.jsonl")).unwrap();
            },
            "replaced",
            0,
        ),
        (
            |it| {
                let file = fs::File::options().write(true).open(it.path("r.jsonl"));
                file.unwrap().set_len(0).unwrap();
            },
            "truncated",
            30,
        ),
        (
            |it| fs::remove_dir_all(it.path("out")).unwrap(),
            "removed or renamed",
            0,
        ),
    ];
    let api = simulator();
    for (step, (harm, what, lost)) in harms.into_iter().enumerate() {
        let folder = Folder::with_input(chats(150));
        fs::create_dir(folder.path("out")).unwrap();
        let removes_folder = step == 4;
        let output = if removes_folder {
            "out/r.jsonl"
        } else {
            "r.jsonl"
        };
        let temporary = folder.path("temporary");
        fs::create_dir(&temporary).unwrap();
        let running = slow(folder.run(&api.base_url()))
            .args([
                "--output",
                output,
                "--errors",
                "e.jsonl",
                "--summary",
                "s.json",
            ])
            .env("TMPDIR", temporary.to_str().unwrap())
            .start();
        folder.wait_for_lines(output, 30);
        harm(&folder);
        let ended = running.ends_with(2);
        ended.says(&[output, what, "r.jsonl.rescued"]);
        let rescued = match removes_folder {
            true => "temporary/r.jsonl.rescued",
            false => "r.jsonl.rescued",
        };
        let sent = ended.stderr.split(" of 150 done").next().unwrap();
        let sent: usize = sent.rsplit(' ').next().unwrap().parse().unwrap();
        let saved = folder.lines(rescued).len();
        // What was cut off by another program is gone, and nothing else.
        match lost {
            0 => assert_eq!(saved, sent, "{ended}"),
            lost => assert!(saved + lost <= sent, "{saved} of {sent}: {ended}"),
        }
        assert!(!folder.path("s.json").exists());
        fs::remove_dir_all(temporary).unwrap();
        let _ = fs::remove_dir_all(folder.path("out"));
    }
}

#[test]
fn each_file_that_cannot_be_written_at_the_end_is_said() {
    let api = simulator();
    let folder = Folder::with_input(chats(150));
    fs::create_dir(folder.path("out")).unwrap();
    let outputs = [
        "--extract",
        "out/a.csv",
        "--summary",
        "out/s.json",
        "--report",
        "r.html",
    ];
    let running = slow(folder.run(&api.base_url())).args(outputs).start();
    folder.wait_for_lines("in.results.jsonl", 5);
    fs::remove_dir_all(folder.path("out")).unwrap();
    running
        .ends_with(2)
        .says(&["out/a.csv: No such file", "out/s.json: No such file"]);
    assert!(folder.read("r.html").contains("</html>"));
    folder.assert_each_once(150);
}

#[test]
fn an_input_that_shrinks_or_grows_is_noticed() {
    let api = simulator();
    for grows in [true, false] {
        let folder = Folder::with_input(chats(120));
        let running = slow(folder.run(&api.base_url())).start();
        folder.wait_for_lines("in.results.jsonl", 5);
        let file = fs::File::options()
            .write(true)
            .open(folder.path("in.jsonl"))
            .unwrap();
        match grows {
            true => folder.write("in.jsonl", chats(130)),
            false => file.set_len(60).unwrap(),
        }
        let ended = running.ends_with(2);
        ended.says(&["in.jsonl: has ", if grows { "grown" } else { "shrunk" }]);
        if grows {
            folder.run(&api.base_url()).ends_with(0);
            folder.assert_each_once(130);
        }
    }
}

#[test]
fn outputs_are_told_apart_by_what_they_are() {
    let api = simulator();
    let folder = Folder::with_input(chats(3));
    fs::hard_link(folder.path("in.jsonl"), folder.path("hard")).unwrap();
    symlink("in.jsonl", folder.path("link")).unwrap();
    symlink("later.jsonl", folder.path("dangling")).unwrap();
    folder.write("prompt.txt", "Say {line}");
    folder.write("table.csv", "line\none\n");
    fs::hard_link(folder.path("prompt.txt"), folder.path("hard prompt")).unwrap();
    let prompt = ["--prompt", "@prompt.txt", "--model", "m"];
    let table: [(&[&str], &[&str]); 12] = [
        (
            &["--summary", "hard"],
            &["--summary would overwrite in.jsonl"],
        ),
        (
            &["--report", "link"],
            &["--report would overwrite in.jsonl"],
        ),
        (
            &["--extract", "hard"],
            &["--extract would overwrite in.jsonl"],
        ),
        (
            &["--output", "hard"],
            &["--output hard is the input itself"],
        ),
        (
            &["--errors", "link"],
            &["--errors link is the input itself"],
        ),
        (
            &["--output", "dangling", "--errors", "later.jsonl"],
            &["are the same file"],
        ),
        (
            &["--output", "dangling", "--extract", "./later.jsonl"],
            &["--extract would overwrite dangling"],
        ),
        (
            &["--extract", "a", "--report", "./a"],
            &["--report would overwrite a"],
        ),
        (
            &["--output", "-", "--summary", "/dev/stdout"],
            &["would both go to standard output"],
        ),
        (&["--extract", "no/a.csv"], &["no/a.csv: "]),
        (&["--report", "no/a.html"], &["no/a.html: "]),
        (&["--errors", "in.results.jsonl"], &["are the same file"]),
    ];
    for (flags, words) in table {
        folder
            .run(&api.base_url())
            .args(flags)
            .ends_with(2)
            .says(words);
    }
    let rows = folder
        .paceline(["run", "table.csv", "--base-url", &api.base_url()])
        .args(prompt);
    let rows = rows.args(["--summary", "hard prompt"]).ends_with(2);
    rows.says(&["--summary would overwrite prompt.txt"]);
    // The shell has opened one of them.
    let input = fs::File::open(folder.path("in.jsonl")).unwrap();
    let piped = folder.paceline(["run", "-", "--base-url", &api.base_url(), "--errors", "e"]);
    let mut piped = piped.args(["--output", "in.jsonl"]);
    piped.command.stdin(input);
    piped
        .ends_with(2)
        .says(&["--output in.jsonl is the input itself"]);
    assert_eq!(api.report().received, 0);
    assert_eq!(folder.read("in.jsonl"), chats(3));
    assert!(!folder.path("later.jsonl").exists());
}

#[test]
fn names_of_our_own_harm_nothing_that_is_there() {
    let api = simulator();
    let folder = Folder::with_input(chats(5) + "no request\n");
    folder.write("victim", "precious");
    let links = [
        "in.errors.jsonl.new",
        "a.csv.part",
        "s.json.tmp",
        "in.errors.jsonl.damaged",
    ];
    for link in links {
        symlink("victim", folder.path(link)).unwrap();
    }
    // What killed runs have left goes; what only looks like it stays.
    let left = "paceline-0123456789abcdef.tmp";
    for name in ["a.csv", "in.errors.jsonl", "s.json", "in.results.jsonl"] {
        folder.write(&format!("{name}.{left}"), "half");
    }
    folder.write("b.csv.paceline-0123456789abcdef.tmp", "another's");
    folder.write("a.csv.paceline-notes.tmp", "a user's");
    folder.write("s.json", "old");
    folder.write("r.html", "old");
    for (name, mode) in [("s.json", 0o600), ("r.html", 0o640)] {
        fs::set_permissions(folder.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let run = || {
        let outputs = [
            "--extract",
            "a.csv",
            "--summary",
            "s.json",
            "--report",
            "r.html",
        ];
        folder.run(&api.base_url()).args(outputs).ends_with(1)
    };
    for _ in 0..2 {
        run();
        assert_eq!(folder.read("victim"), "precious");
    }
    let mut expected = vec![
        "a.csv",
        "a.csv.paceline-notes.tmp",
        "b.csv.paceline-0123456789abcdef.tmp",
        "in.errors.jsonl",
        "in.jsonl",
        "in.results.jsonl",
        "r.html",
        "s.json",
        "victim",
    ];
    expected.extend(links);
    expected.sort_unstable();
    assert_eq!(folder.files(), expected);
    let mode = |name: &str| fs::metadata(folder.path(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("s.json"), mode("r.html")), (0o600, 0o640));
    assert!(folder.read("s.json").contains("\"succeeded\""));
    // A name that looks like one of ours is another's when a run is told to use it.
    let named = [
        "--output",
        "a.csv.part2",
        "--errors",
        "e.jsonl",
        "--extract",
        "a.csv",
    ];
    folder.run(&api.base_url()).args(named).ends_with(1);
    assert_eq!(folder.lines("a.csv.part2").len(), 5);
}

/// Ends a run that has nobody to read what it writes, by SIGTERM.
fn ends_by_term(running: Running) {
    let asked = Instant::now();
    running.signal("TERM");
    running.ends_with(143);
    assert!(asked.elapsed() < Duration::from_secs(40), "it waited on");
}

#[test]
fn a_reader_that_reads_nothing_holds_up_no_end() {
    let api = simulator();
    let folder = Folder::with_input(chats(2000));
    let made = Command::new("mkfifo")
        .args([folder.path("pipe"), folder.path("other")])
        .status();
    assert!(made.unwrap().success());
    let run = |flags: &[&str]| {
        folder
            .run(&api.base_url())
            .args(["--grace", "0.5"])
            .args(flags)
    };
    // Standard output, full of what nobody reads.
    let (reader, writer) = std::io::pipe().unwrap();
    let before = api.report().received;
    let running = run(&["--output", "-", "--errors", "e"])
        .stdout(writer)
        .start();
    wait_until(|| api.report().received > before + 50);
    ends_by_term(running);
    drop(reader);
    // A pipe that nobody opens, as results and as the summary.
    let before = api.report().received;
    let running = run(&["--output", "pipe", "--errors", "e"]).start();
    wait_until(|| api.report().received > before);
    ends_by_term(running);
    let mut running = run(&["--summary", "other", "--progress", "never"]).start();
    let stderr = running.wait_for_word("results in");
    running.signal("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(143));
    drop(stderr);
    for name in ["pipe", "other"] {
        fs::remove_file(folder.path(name)).unwrap();
    }
}

#[test]
fn standard_error_that_nobody_reads_holds_up_no_end() {
    let server = server::silent();
    let folder = Folder::with_input(chats(3));
    let (reader, writer) = std::io::pipe().unwrap();
    let mut filling = writer.try_clone().unwrap();
    let full = std::thread::spawn(move || filling.write_all(&[b'x'; 1 << 20]));
    let run = folder
        .run(&server.base_url)
        .args(["--grace", "0.2", "--progress", "always"]);
    let running = run.stderr(writer).start();
    server.arrived.recv().unwrap();
    ends_by_term(running);
    drop(reader);
    assert!(full.join().unwrap().is_err(), "it was read");
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never was");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_limit_of_the_size_of_files_ends_nothing_without_a_word() {
    let api = simulator();
    let folder = Folder::with_input(chats(300));
    // Without a trap for SIGXFSZ, which would end a program that does nothing about it.
    let run = |blocks: u32| {
        let script = format!(r#"ulimit -S -f {blocks}; exec "$@""#);
        folder
            .run(&api.base_url())
            .args(["--disk-full-timeout", "0"])
            .in_shell(&script)
    };
    run(0)
        .ends_with(2)
        .says(&["in.results.jsonl: File too large"]);
    assert_eq!(
        api.report().received,
        0,
        "a disk without room is found before anything is sent"
    );
    assert_eq!(folder.files(), ["in.jsonl"]);
    run(16)
        .ends_with(2)
        .says(&["in.results.jsonl: File too large"]);
    folder.run(&api.base_url()).ends_with(0);
    folder.assert_each_once(300);
}

#[test]
fn what_is_wrong_with_files_is_said_before_a_key_is_asked_for() {
    let folder = Folder::with_input(chats(2));
    let table: [(&[&str], &str); 4] = [
        (&["--output", "no/r.jsonl"], "no/r.jsonl: "),
        (&["--errors", "no/e.jsonl"], "no/e.jsonl: "),
        (&["--summary", "no/s.json"], "no/s.json: "),
        (&["--errors", "in.jsonl"], "is the input itself"),
    ];
    for (flags, word) in table {
        let run = folder
            .run("http://127.0.0.1:9/v1")
            .args(flags)
            .env_remove("OPENAI_API_KEY");
        let output = run.ends_with(2);
        output.says(&[word]);
        assert!(!output.stderr.contains("API_KEY"), "{output}");
    }
    // Results of other requests, too.
    let api = simulator();
    folder.run(&api.base_url()).ends_with(0);
    let other = chats(2).replace("moon", "sun");
    folder.write("in.jsonl", other);
    let run = folder
        .run(&api.base_url())
        .env_remove("OPENAI_API_KEY")
        .ends_with(2);
    run.says(&["--fresh"]);
    assert!(!run.stderr.contains("API_KEY"), "{run}");
}

#[test]
fn cells_that_spreadsheets_would_run_are_marked() {
    let server = server::answering(
        "200 OK",
        r#"{"choices":[{"message":{"content":"=HYPERLINK(\"http://x\")"}}]}"#,
    );
    let folder = Folder::with_input([chat("-1", "m"), chat("@sum", "m")].join("\n"));
    let run = |flags: &[&str]| {
        let run = folder.run(&server.base_url).args(["--extract", "a.csv"]);
        run.args(flags).ends_with(0);
        let mut lines: Vec<_> = folder
            .read("a.csv")
            .lines()
            .skip(1)
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let answer = r#""'=HYPERLINK(""http://x"")",,,,,"#;
    assert_eq!(
        run(&[]),
        [format!("'@sum,{answer}"), format!("-1,{answer}")]
    );
    let raw = answer.replace('\'', "");
    assert_eq!(
        run(&["--csv-raw"]),
        [format!("-1,{raw}"), format!("@sum,{raw}")]
    );
}
