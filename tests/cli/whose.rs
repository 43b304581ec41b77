//! Whose answers are in the files: of these requests or of others, real or simulated, of which part.

use paceline::sim::Simulator;

use crate::harness::{Cmd, Folder, chats, simulator};

fn rows(folder: &Folder, api: &Simulator, prompt: &str) -> Cmd {
    folder
        .paceline(["run", "in.csv", "--base-url", &api.base_url()])
        .args(["--model", "m", "--max-tokens", "5", "--prompt", prompt])
}

#[test]
fn answers_to_other_requests_end_a_run_before_anything_is_sent() {
    let api = simulator();
    let folder = Folder::new();
    folder.write("in.csv", "text\nx\ny\nz\n");
    folder.write("schema.json", "{\"type\": \"object\"}");
    rows(&folder, &api, "A {text}").ends_with(0);
    // So that there is something to repair and to take out, too.
    let results = folder.read("in.results.jsonl") + "{\"id\":\"batch_req_00";
    folder.write("in.results.jsonl", &results);
    folder.write("in.errors.jsonl", "{\"id\":\"batch_req_1\",\"custom_id\":null,\"response\":null,\"error\":{\"code\":\"invalid_line\",\"message\":\"in.csv:9: no\"}}\n");
    let errors = folder.read("in.errors.jsonl");
    let run = |prompt| rows(&folder, &api, prompt);
    let changed: [&[&str]; 6] = [
        &["--prompt", "B {text}"],
        &["--model", "n"],
        &["--system", "Be brief."],
        &["--max-tokens", "6"],
        &["--schema", "schema.json"],
        &["--prompt", "B {text}", "--dry-run"],
    ];
    for (step, more) in changed.into_iter().enumerate() {
        let flags = ["--model", "m", "--max-tokens", "5", "--prompt", "A {text}"];
        let flags = flags.chunks(2).filter(|pair| !more.contains(&pair[0]));
        let run = folder
            .paceline(["run", "in.csv", "--base-url", &api.base_url()])
            .args(flags.flatten())
            .args(more)
            .args(["--extract", "a.csv"]);
        run.ends_with(2).says(&[
            "in.results.jsonl holds 3 answers to other requests",
            "--fresh",
            "--output",
            "--id COLUMN",
        ]);
        assert_eq!(api.report().received, 3, "step {step}");
        assert_eq!(folder.read("in.results.jsonl"), results, "step {step}");
        assert_eq!(folder.read("in.errors.jsonl"), errors, "step {step}");
        let files = [
            "in.csv",
            "in.errors.jsonl",
            "in.results.jsonl",
            "schema.json",
        ];
        assert_eq!(folder.files(), files, "step {step}");
    }
    // Both ways on.
    run("B {text}").args(["--output", "b.jsonl"]).ends_with(0);
    assert_eq!(api.report().received, 6);
    run("B {text}").args(["--fresh"]).ends_with(0);
    assert_eq!(api.report().received, 9);
    run("B {text}").ends_with(0).says(&["3 done before"]);
    assert_eq!(folder.read("in.results.jsonl.1"), results);
}

#[test]
fn rows_before_others_move_no_answer() {
    let api = simulator();
    let folder = Folder::new();
    folder.write("in.csv", "text\nx\ny\n");
    rows(&folder, &api, "{text}").ends_with(0);
    folder.write("in.csv", "text\nnew\nx\ny\n");
    let output = rows(&folder, &api, "{text}").ends_with(2);
    output.says(&["2 answers to other requests", "--id COLUMN"]);
    assert_eq!(api.report().received, 2);
    // At the end they may be added, and one of many may change.
    folder.write("in.csv", "text\nx\nother\nz\nz\n");
    let output = rows(&folder, &api, "{text}").ends_with(1);
    output.says(&["2 succeeded", "1 failed, 1 done before"]);
}

#[test]
fn standard_input_is_compared_before_anything_is_sent_too() {
    let api = simulator();
    let folder = Folder::with_input(chats(40));
    let run = || {
        let run = ["run", "-", "--output", "r.jsonl", "--base-url"];
        folder.paceline(run).args([api.base_url()])
    };
    run().fed(chats(30), 0).says(&["30 succeeded"]);
    let changed = chats(40).replace("moon", "sun");
    run()
        .fed(&changed, 2)
        .says(&["30 answers to other requests"]);
    assert_eq!(api.report().received, 30);
    let output = run().fed(chats(40), 0);
    output.says(&["10 succeeded", "30 done before"]);
    assert_eq!(folder.lines("r.jsonl").len(), 40);
    assert_eq!(folder.files(), ["in.jsonl", "r.errors.jsonl", "r.jsonl"]);
}

#[test]
fn what_is_simulated_is_marked_and_never_taken_for_real() {
    let api = simulator();
    let folder = Folder::with_input(chats(3) + "no request\n");
    let simulated = || folder.paceline(["run", "in.jsonl", "--simulate", "--sim-latency", "0"]);
    simulated()
        .ends_with(1)
        .says(&["in.simulated.results.jsonl", "in.simulated.errors.jsonl"]);
    for name in ["in.simulated.results.jsonl", "in.simulated.errors.jsonl"] {
        let lines = folder.lines(name);
        assert!(
            lines.iter().all(|line| line["simulated"] == true),
            "{lines:?}"
        );
    }
    let run = || folder.run(&api.base_url());
    run()
        .ends_with(1)
        .says(&["3 succeeded", "in.results.jsonl"]);
    assert!(!folder.read("in.results.jsonl").contains("simulated\":true"));
    let before = folder.read("in.results.jsonl");
    let (real, other) = ("in.results.jsonl", "in.simulated.results.jsonl");
    let table: [(Cmd, &str, &[&str]); 5] = [
        (
            run().args(["--output", other]),
            other,
            &["of a simulated API", "--output"],
        ),
        (
            run().args(["--output", other, "--dry-run"]),
            other,
            &["of a simulated API"],
        ),
        (
            simulated().args(["--output", real]),
            real,
            &["of a real API", "--output"],
        ),
        (
            run().args(["--output", "x", "--errors", "in.simulated.errors.jsonl"]),
            "in.simulated.errors.jsonl",
            &["of a simulated API"],
        ),
        (
            simulated().args(["--output", "y", "--errors", "in.errors.jsonl"]),
            "in.errors.jsonl",
            &["of a real API"],
        ),
    ];
    for (run, file, words) in table {
        let output = run.ends_with(2);
        output
            .says(words)
            .says(&[&format!("{file} holds answers"), "nothing was sent"]);
    }
    assert_eq!(api.report().received, 3);
    assert_eq!(folder.read(real), before);
    assert!(!folder.path("x").exists() && !folder.path("y").exists());
    simulated().ends_with(1).says(&["3 done before"]);
    // Counting is of the input alone.
    folder.write("in.jsonl", chats(3).replace("moon", "sun"));
    folder.paceline(["count", "in.jsonl"]).ends_with(0);
}

#[test]
fn every_file_of_a_part_carries_its_part() {
    let api = simulator();
    let folder = Folder::with_input(chats(20) + "no request\n");
    let runs: Vec<_> = (1..=2)
        .map(|part| {
            let run = folder
                .run(&api.base_url())
                .args(["--shard", &format!("{part}/2")]);
            let files = [
                "--output",
                "out.jsonl",
                "--summary",
                "sum.json",
                "--report",
                "run.html",
            ];
            run.args(files).args(["--extract", "a.csv"]).start()
        })
        .collect();
    let ends = runs
        .into_iter()
        .map(|run| run.child.wait_with_output().unwrap());
    let failed = ends.map(|end| end.status.code().unwrap()).sum::<i32>();
    assert_eq!(failed, 1, "the bad line is of one part");
    let of = |name: &str, end: &str| {
        (1..=2)
            .map(move |part| format!("{name}.{part}-of-2.{end}"))
            .collect::<Vec<_>>()
    };
    let mut expected = vec!["in.jsonl".to_owned()];
    for (name, end) in [
        ("a", "csv"),
        ("out", "jsonl"),
        ("out.errors", "jsonl"),
        ("run", "html"),
        ("sum", "json"),
    ] {
        expected.extend(of(name, end));
    }
    expected.sort();
    assert_eq!(folder.files(), expected);
    // The bad line is a row, too, and says why it has no answer.
    let rows: usize = of("a", "csv")
        .iter()
        .map(|name| folder.whole_lines(name) - 1)
        .sum();
    assert_eq!(rows, 21);
}

#[test]
fn runs_over_one_input_leave_each_other_their_failures() {
    let api = simulator();
    let refusing = crate::server::answering("400 Bad Request", r#"{"error":{"message":"no"}}"#);
    let folder = Folder::with_input(chats(4));
    folder.write("other.jsonl", chats(4).replace("gpt-4o-mini", "gpt-4.1"));
    let run = |url: &str, input: &str, output: &str| {
        folder
            .paceline(["run", input, "--base-url", url, "--rpm", "100_000_000"])
            .args(["--output", output])
    };
    run(&refusing.base_url, "in.jsonl", "a.jsonl").ends_with(1);
    run(&api.base_url(), "other.jsonl", "b.jsonl").ends_with(0);
    assert_eq!(folder.lines("a.errors.jsonl").len(), 4);
    assert_eq!(folder.lines("b.errors.jsonl").len(), 0);
    // One file for all failures, where that is said.
    let both = ["--errors", "both.jsonl"];
    run(&refusing.base_url, "in.jsonl", "c.jsonl")
        .args(both)
        .ends_with(1);
    for _ in 0..2 {
        run(&api.base_url(), "other.jsonl", "d.jsonl")
            .args(both)
            .ends_with(0);
        assert_eq!(folder.lines("both.jsonl").len(), 4);
    }
    run(&api.base_url(), "in.jsonl", "c.jsonl")
        .args(both)
        .ends_with(0);
    assert_eq!(folder.lines("both.jsonl").len(), 0);
}

#[test]
fn answers_that_are_cut_off_refused_or_empty_are_counted_and_shown() {
    let body = |message: &str, reason: &str| {
        format!(
            r#"{{"choices":[{{"index":0,"message":{message},"finish_reason":"{reason}"}}],"usage":{{"prompt_tokens":5,"completion_tokens":2}}}}"#
        )
    };
    let table = [
        (
            body(r#"{"content":"It is"}"#, "length"),
            "cut_off",
            "cut off at the output cap",
            "It is,length,,,5,2",
        ),
        (
            body(r#"{"content":null,"refusal":"No."}"#, "stop"),
            "refused",
            "refused",
            ",stop,No.,,5,2",
        ),
        (
            body(r#"{"content":""}"#, "stop"),
            "empty",
            "empty",
            ",stop,,,5,2",
        ),
    ];
    for (body, key, words, row) in table {
        let server = crate::server::answering("200 OK", body.clone().leak());
        let folder = Folder::with_input(chats(2));
        let run = folder
            .run(&server.base_url)
            .args(["--extract", "a.csv", "--summary", "-"]);
        let output = run.ends_with(0);
        output.says(&[&format!("of the responses: 2 {words}")]);
        for other in ["cut_off", "refused", "empty"] {
            let count = if other == key { 2 } else { 0 };
            assert_eq!(output.summary()[other], count, "{other} of {body}");
        }
        let csv = folder.read("a.csv");
        let (header, rows) = csv.split_once('\n').unwrap();
        assert_eq!(
            header,
            "custom_id,answer,finish_reason,refusal,error,input_tokens,output_tokens"
        );
        assert!(
            rows.lines().all(|line| line.ends_with(&format!(",{row}"))),
            "{csv}"
        );
    }
}

#[test]
fn failures_among_the_results_of_earlier_runs_are_sent_again() {
    let api = simulator();
    let folder = Folder::with_input(chats(3));
    folder.run(&api.base_url()).ends_with(0);
    let mut lines: Vec<_> = folder
        .read("in.results.jsonl")
        .lines()
        .map(str::to_owned)
        .collect();
    let at = lines[1].find("\"body\":").unwrap();
    lines[1].truncate(at);
    lines[1].push_str(r#""body":{"error":{"message":"no","code":502}}},"error":null}"#);
    folder.write("in.results.jsonl", lines.join("\n") + "\n");
    let output = folder
        .run(&api.base_url())
        .args(["--extract", "a.csv"])
        .ends_with(0);
    output.says(&["1 succeeded", "2 done before", "3 answers in a.csv"]);
    assert_eq!(api.report().received, 4);
}

#[test]
fn files_that_a_run_makes_for_itself_are_nobodys() {
    let api = simulator();
    let folder = Folder::with_input(chats(20) + "no request\n");
    let run = || folder.run(&api.base_url()).args(["--extract", "a.csv"]);
    run()
        .args(["--output", "a.csv.part", "--errors", "a.csv.new"])
        .ends_with(1);
    assert_eq!(folder.lines("a.csv.part").len(), 20);
    folder.write("precious", "precious");
    for name in [
        "a.csv.part.paceline-new",
        "a.csv.new.paceline-new",
        "a.csv.paceline-part",
    ] {
        std::os::unix::fs::symlink(folder.path("precious"), folder.path(name)).unwrap();
    }
    run()
        .args(["--output", "a.csv.part", "--errors", "a.csv.new"])
        .ends_with(1);
    assert_eq!(folder.read("precious"), "precious");
    for name in ["a.csv", "a.csv.part", "a.csv.new"] {
        assert!(!folder.path(name).is_symlink(), "{name}");
    }
}

#[test]
fn a_deadline_ends_a_wait_for_input_that_is_compared() {
    let api = simulator();
    let folder = Folder::with_input(chats(2));
    let mut run = folder.run(&api.base_url());
    run = run.args(["--output", "out.jsonl"]);
    run.ends_with(0);
    let mut run = folder.paceline(["run", "-", "--base-url", &api.base_url()]);
    run = run.args(["--output", "out.jsonl", "--deadline", "0.5"]);
    run.command.stdin(std::process::Stdio::piped());
    let mut running = run.start();
    let mut stdin = running.child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, (chats(1).replace("r0", "new")).as_bytes()).unwrap();
    running
        .ends_with(4)
        .says(&["stopped at --deadline 0.5 s: what is left could not begin before it"]);
    drop(stdin);
    assert_eq!(folder.lines("out.jsonl").len(), 2);
}
