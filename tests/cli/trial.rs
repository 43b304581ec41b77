//! `--dry-run`, `count`, `run --simulate`.

use crate::harness::{Folder, chat, chats, simulator};

#[test]
fn a_dry_run_sends_and_writes_nothing_and_needs_no_key() {
    let api = simulator();
    let mut text = chats(1_200);
    text.push_str(&chat("o", "o3"));
    let folder = Folder::with_input(text);
    let output = folder
        .paceline([
            "run",
            "in.jsonl",
            "--dry-run",
            "--base-url",
            &api.base_url(),
        ])
        .args(["--rpm", "gpt-4o-mini=600", "--tpm", "1_000_000"])
        .env_remove("OPENAI_API_KEY")
        .ends_with(0);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let rows: Vec<String> = output.stdout.lines().map(words).collect();
    assert_eq!(rows.len(), 5, "{output}");
    // 600 at once, and 10 a second for the other 600.
    assert!(rows[1].starts_with("gpt-4o-mini 1,200 "), "{output}");
    assert!(
        rows[1].ends_with("1 min 00 s 600 requests per minute"),
        "{output}"
    );
    assert!(rows[2].starts_with("o3 1 "), "{output}");
    assert!(rows[3].starts_with("1,201 requests"), "{output}");
    // 10 a second, each for 5 s.
    assert_eq!(rows[1].split(' ').nth(4), Some("50"), "{output}");
    assert!(rows[4].ends_with("if an answer takes 5.0 s"), "{output}");
    assert_eq!(output.stderr, "");
    assert_eq!(api.report().received, 0);
    assert_eq!(folder.files(), ["in.jsonl"]);
}

#[test]
fn a_dry_run_names_what_cannot_be_sent_in_the_order_of_the_lines() {
    let bad: String = (0..510).map(|_| "{}\n").collect();
    let folder = Folder::with_input(chats(1) + &bad);
    let output = folder
        .paceline(["run", "in.jsonl", "--dry-run"])
        .ends_with(1);
    let lines: Vec<&str> = output.stderr.lines().collect();
    assert_eq!(lines.len(), 11, "{output}");
    for (index, line) in lines[..10].iter().enumerate() {
        let place = format!("in.jsonl:{}: custom_id", index + 2);
        assert!(line.contains(&place), "{place} in {output}");
    }
    assert_eq!(
        lines[10],
        "paceline: and 500 more lines that cannot be sent"
    );
    let small = ["run", "in.jsonl", "--dry-run", "--tpm", "10"];
    folder.write("in.jsonl", chats(1));
    let output = folder.paceline(small).ends_with(1);
    output.says(&[
        "in.jsonl:1: a request of",
        "can never pass a limit of 10 tokens per minute",
    ]);
}

#[test]
fn what_a_request_reserves_follows_the_way_it_is_charged() {
    let folder = Folder::with_input(chats(1_000));
    let dry_run = ["run", "in.jsonl", "--dry-run"];
    for command in [&dry_run[..], &["count", "in.jsonl"]] {
        // Each prompt has fewer tokens than the 16 of its output cap.
        let reserved = |flags: &[&str]| {
            let output = folder.paceline(command).args(flags).ends_with(0);
            let row: Vec<&str> = output.stdout.lines().nth(1).unwrap().split(' ').collect();
            let cells = row.into_iter().filter(|cell| !cell.is_empty());
            let numbers: Vec<u64> = cells
                .skip(1)
                .map_while(|cell| cell.replace(',', "").parse().ok())
                .collect();
            assert!(numbers[1] < 16_000, "{output}");
            (numbers[1], numbers[2])
        };
        let (prompts, sum) = reserved(&[]);
        let table = [
            ("prompt-plus-cap", prompts + 16_000),
            ("larger", 16_000),
            ("actual", prompts + 16_000),
            ("prompt-only", prompts),
        ];
        assert_eq!(sum, prompts + 16_000, "the default");
        for (step, (rule, expected)) in table.into_iter().enumerate() {
            let found = reserved(&["--accounting", rule]);
            assert_eq!(found, (prompts, expected), "step {step}: {rule}");
        }
    }
}

#[test]
fn a_simulated_run_is_charged_as_it_reserves() {
    let folder = Folder::with_input(chats(90));
    // 90 × 16 tokens fit at once; with their prompts they would take half a minute.
    let run = ["run", "in.jsonl", "--simulate", "--sim-latency", "0"];
    let output = folder
        .paceline(run)
        .args(["--tpm", "1600", "--accounting", "larger", "--summary", "-"])
        .ends_with(0);
    let summary = output.summary();
    assert_eq!(summary["rate_limited"], 0, "{summary}");
    assert_eq!(summary["tokens_reserved"], 90 * 16, "{summary}");
    assert!(
        summary["wall_seconds"].as_f64().unwrap() < 15.0,
        "{summary}"
    );
    let output = folder.paceline(run).args(["--accounting", "prompt-only"]);
    output
        .ends_with(2)
        .says(&["--accounting prompt-only", "simulated"]);
}

#[test]
fn what_answers_need_is_learned_and_a_dry_run_goes_by_the_caps() {
    let line = |number: usize| {
        let body = serde_json::json!({
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "a"}],
            "max_completion_tokens": 4_000,
            "metadata": {"simulated_output_tokens": "20"},
        });
        format!(
            "{{\"custom_id\":\"{number}\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{body}}}\n"
        )
    };
    let folder = Folder::with_input((0..60).map(line).collect::<String>());
    let usage = ["--accounting", "actual", "--tpm", "1_000_000"];
    let run = |flags: &[&str]| {
        let run = [
            "run",
            "in.jsonl",
            "--simulate",
            "--sim-latency",
            "0",
            "--fresh",
        ];
        let run = folder.paceline(run).args(usage).args(flags);
        let run = run.args(["--max-in-flight", "1", "--summary", "-"]);
        let summary = run.ends_with(0).summary();
        assert_eq!(summary["rate_limited"], 0, "{summary}");
        summary["tokens_reserved"].as_u64().unwrap()
    };
    let all = run(&[]);
    let with_prompts = |caps: u64, others: u64| all - 60 * 4_000 + caps * 4_000 + others * 20;
    // One more may join the line before an answer is there.
    for (flag, enough) in [("--learn-output", 19), ("--learn-output=0.9", 9)] {
        let found = run(&[flag]);
        let most = with_prompts(enough + 1, 60 - enough - 1);
        let expected = [with_prompts(enough, 60 - enough), most];
        assert!(
            expected.contains(&found),
            "{flag}: {found}, not {expected:?}"
        );
    }
    let dry = |flags: &[&str]| {
        let run = folder.paceline(["run", "in.jsonl", "--dry-run"]);
        run.args(usage).args(flags).ends_with(0).stdout
    };
    assert_eq!(dry(&["--learn-output"]), dry(&[]));
}

#[test]
fn count_counts_files_texts_and_standard_input() {
    let folder = Folder::with_input(chats(3));
    let output = folder
        .paceline(["count", "in.jsonl"])
        .env_remove("OPENAI_API_KEY");
    let output = output.ends_with(0);
    assert!(output.stdout.contains("gpt-4o-mini"), "{output}");
    let piped = folder.paceline(["count", "-"]).fed(chats(3), 0);
    assert_eq!(piped.stdout, output.stdout);
    folder.write("text", "How far is the moon?");
    for args in [
        &["count", "text", "--text"][..],
        &["count", "text", "--text", "--model", "gpt-4"],
    ] {
        assert_eq!(folder.paceline(args).ends_with(0).stdout, "6\n", "{args:?}");
    }
    let units = "\u{feff}How far is the moon?".encode_utf16();
    folder.write(
        "utf-16",
        units.flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
    );
    // The mark is part of the text, and a token.
    let output = folder.paceline(["count", "utf-16", "--text"]).ends_with(0);
    assert_eq!(output.stdout, "7\n");
    folder.write("text.pdf", "%PDF-1.7\n");
    let output = folder
        .paceline(["count", "text.pdf", "--text"])
        .ends_with(2);
    output.says(&[
        "text.pdf: this is a PDF document",
        "pdftotext text.pdf text.txt",
    ]);
    let piped = folder
        .paceline(["count", "--text", "-"])
        .fed("How far is the moon?", 0);
    assert_eq!(piped.stdout, "6\n");
    folder
        .paceline(["count", "nowhere", "--text"])
        .ends_with(2)
        .says(&["nowhere: No such file"]);
    folder
        .paceline(["count", "in.jsonl", "--model", "o3"])
        .ends_with(2)
        .says(&["--text"]);
}
