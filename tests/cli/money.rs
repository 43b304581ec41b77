//! Prices, and bounds that stop a run.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Cmd, Folder, chat, chats, simulator};
use crate::server;

/// In 10⁻⁶ of a dollar per million tokens: 0.15 and 0.60.
const INPUT: u64 = 150_000;
const OUTPUT: u64 = 600_000;
const PRICES: &str = "[models.gpt-4o-mini]\ninput = 0.15\noutput = 0.6\n";

fn number(summary: &Value, key: &str) -> u64 {
    let number = summary[key].as_u64();
    number.unwrap_or_else(|| panic!("{key} in {summary}"))
}

/// What one of the harness's requests can use, by the dry run: its prompt and its output cap.
fn most_tokens(folder: &Folder, requests: u64) -> u64 {
    let output = folder
        .paceline(["run", "in.jsonl", "--dry-run"])
        .ends_with(0);
    let row = output.stdout.lines().nth(1).unwrap();
    let cell = row.split_whitespace().nth(3).unwrap();
    cell.replace(',', "").parse::<u64>().unwrap() / requests
}

/// What the answers in the results cost, in 10⁻¹² dollars.
fn cost_of_results(folder: &Folder) -> u64 {
    let lines = folder.lines("in.results.jsonl");
    let costs = lines.iter().map(|line| {
        let usage = &line["response"]["body"]["usage"];
        let tokens = |key: &str| usage[key].as_u64().unwrap();
        tokens("prompt_tokens") * INPUT + tokens("completion_tokens") * OUTPUT
    });
    costs.sum()
}

#[test]
fn a_budget_of_tokens_is_used_as_far_as_it_goes_and_the_next_run_goes_on() {
    const BUDGET: u64 = 300;
    let api = simulator();
    let folder = Folder::with_input(chats(40));
    let each = most_tokens(&folder, 40);
    for round in 0..2 {
        let run = folder.run(&api.base_url());
        let run = run.args(["--budget-tokens-this-run", "300", "--summary", "-"]);
        let output = run.ends_with(4);
        let summary = output.summary();
        let used = number(&summary, "tokens_used");
        assert!(
            used <= BUDGET && used + each > BUDGET,
            "round {round}: {summary}"
        );
        assert_eq!(summary["ending"], "budget_tokens", "round {round}");
        output.says(&[
            "paceline: stopped at --budget-tokens-this-run 300: ",
            &format!(" {used} are used, and the next request may take {each}"),
            &format!("{} of 40 lines are done", summary["requests"]),
            "the same command resumes the run",
        ]);
    }
    let run = folder.run(&api.base_url());
    let output = run
        .args(["--budget-tokens", "1_000_000", "--summary", "-"])
        .ends_with(0);
    assert_eq!(output.summary()["ending"], "finished");
    folder.assert_each_once(40);
    assert_eq!(api.report().received, 40, "nothing is paid twice");
}

#[test]
fn a_budget_that_is_too_small_for_any_request_sends_none() {
    let api = simulator();
    let folder = Folder::with_input(chats(5));
    folder.write("prices.toml", PRICES);
    for bound in [
        &["--budget-tokens", "10"][..],
        &["--prices", "prices.toml", "--max-cost", "0.0000001"],
    ] {
        let output = folder.run(&api.base_url()).args(bound).ends_with(4);
        output.says(&["stopped at --", " 0 of 5 lines are done"]);
    }
    assert_eq!(api.report().received, 0);
}

#[test]
fn a_request_that_no_limit_will_ever_admit_fails_and_ends_no_budget() {
    let api = simulator();
    let large = chat("large", "gpt-4o-mini").replace("moon", &"moon ".repeat(2_000));
    let folder = Folder::with_input(format!("{large}\n{}", chats(5)));
    let run = folder.run(&api.base_url());
    let run = run.args(["--tpm", "1000", "--budget-tokens", "1500"]);
    let output = run.ends_with(1);
    output.says(&["5 succeeded, 1 failed"]);
    let failures = folder.lines("in.errors.jsonl");
    assert_eq!(failures[0]["custom_id"], "large");
    assert_eq!(api.report().received, 5);
}

#[test]
fn a_bound_on_the_cost_is_never_passed_and_the_cost_is_exact() {
    let api = simulator();
    let folder = Folder::with_input(chats(60));
    folder.write("prices.toml", PRICES);
    let run = |most: &str| {
        let run = folder
            .run(&api.base_url())
            .args(["--prices", "prices.toml"]);
        run.args(["--max-cost", most, "--summary", "-"])
    };
    let output = run("0.0003").ends_with(4);
    let summary = output.summary();
    assert_eq!(summary["ending"], "max_cost");
    assert_eq!(
        (&summary["currency"], &summary["unpriced"]),
        (&"USD".into(), &0.into())
    );
    output.says(&["stopped at --max-cost 0.0003 USD: ", " USD spent\n"]);
    let spent = cost_of_results(&folder);
    assert!(spent <= 300_000_000 && spent > 250_000_000, "{spent}");
    let said = format!("0.{spent:012}").parse::<f64>().unwrap();
    assert_eq!(summary["cost"].as_f64(), Some(said));

    // The same bound is one for all runs: nothing more is sent, and the message says what it has cost.
    let received = api.report().received;
    let output = run("0.0003").ends_with(4);
    assert_eq!(output.summary()["ending"], "max_cost");
    output.says(&["with a larger bound the same command resumes the run"]);
    assert_eq!(api.report().received, received);
    run("1").ends_with(0);
    folder.assert_each_once(60);
    assert_eq!(api.report().received, 60, "nothing is paid twice");
}

#[test]
fn a_model_without_a_price_is_left_out_or_under_a_bound_not_sent() {
    let api = simulator();
    let mut text = chats(3);
    text.push_str(&chat("o", "o3"));
    let folder = Folder::with_input(&text);
    folder.write("prices.toml", PRICES);
    let run = || {
        folder
            .run(&api.base_url())
            .args(["--prices", "prices.toml"])
    };
    // What comes once is only seen as it comes.
    let missing =
        "standard input:4: no price for \"o3\", so its cost has no bound; add [models.\"o3\"]";
    let piped = ["run", "-", "--base-url", &api.base_url(), "--max-cost", "5"];
    let output = folder
        .paceline(piped)
        .args(["--prices", "prices.toml", "--output", "in.results.jsonl"])
        .args(["--errors", "in.errors.jsonl"])
        .fed(&text, 1);
    output.says(&["3 succeeded, 1 failed", missing]);
    assert_eq!(api.report().received, 3);
    let errors = folder.lines("in.errors.jsonl");
    let message = errors[0]["error"]["message"].as_str().unwrap();
    assert!(message.starts_with(missing), "{message}");
    let missing =
        "in.jsonl:4: no price for \"o3\", so --max-cost has no bound; add [models.\"o3\"]";
    run()
        .args(["--max-cost", "5"])
        .ends_with(2)
        .says(&[missing]);
    assert_eq!(api.report().received, 3);

    let output = run().args(["--summary", "-"]).ends_with(0);
    output.says(&["0.00 USD spent; 1 answers have no price and are left out"]);
    let summary = output.summary();
    assert_eq!(
        (&summary["cost"], &summary["unpriced"]),
        (&0.0.into(), &1.into())
    );

    let dry = |more: &[&str], status| {
        run()
            .args(["--dry-run", "--fresh"])
            .args(more)
            .ends_with(status)
    };
    let output = dry(&[], 0);
    let rows: Vec<&str> = output.stdout.lines().collect();
    assert!(rows[0].contains("at most USD"), "{output}");
    assert!(rows[2].contains("no price"), "{output}");
    assert_eq!(
        rows[6], "1 requests have no price and are left out",
        "{output}"
    );
    dry(&["--max-cost", "5"], 2).says(&[missing]);
}

#[test]
fn a_dry_run_says_what_a_run_can_cost_at_most() {
    let folder = Folder::with_input(chats(1_000));
    folder.write("prices.toml", format!("currency = 'EUR'\n{PRICES}"));
    let prompts = (most_tokens(&folder, 1_000) - 16) * 1_000;
    let cost = prompts * INPUT + 16_000 * OUTPUT;
    let run = folder.paceline(["run", "in.jsonl", "--dry-run", "--prices", "prices.toml"]);
    let output = run.ends_with(0);
    // Three digits of it, as it is said.
    let said = format!("at most 0.0{} EUR, ", (cost + 50_000_000) / 100_000_000);
    assert!(output.stdout.contains(&said), "{said} in {output}");
}

#[test]
fn a_mistake_in_a_prices_file_is_named_with_its_place_before_anything_is_done() {
    let folder = Folder::with_input(chats(1));
    let run = || folder.paceline(["run", "in.jsonl", "--simulate", "--prices", "prices.toml"]);
    let table = [
        ("[models.x]\ninput = 1\noutputs = 2\n", "line 3", "outputs"),
        ("[models.x]\ninput = 1\noutput = -2\n", "line 3", "output: "),
        ("[models.x\n", "line 1", "table"),
        ("", "no price in it", "[models."),
    ];
    run()
        .ends_with(2)
        .says(&["prices file prices.toml: No such file"]);
    for (text, place, word) in table {
        folder.write("prices.toml", text);
        let output = run().ends_with(2);
        output.says(&["prices file prices.toml: ", place, word]);
    }
    assert_eq!(folder.files(), ["in.jsonl", "prices.toml"]);
}

#[test]
fn as_many_failures_as_may_be_stop_the_run() {
    let server = server::answering("400 Bad Request", r#"{"error":{"message":"no"}}"#);
    let folder = Folder::with_input(chats(20));
    let run = |most: &str| {
        let run = folder.run(&server.base_url).args(["--max-in-flight", "1"]);
        run.args(["--max-failures", most, "--summary", "-"])
    };
    let output = run("3").ends_with(4);
    output.says(&["stopped at --max-failures 3", "3 of 20 lines are done"]);
    let summary = output.summary();
    assert_eq!(
        (&summary["failed"], &summary["ending"]),
        (&3.into(), &"max_failures".into())
    );
    assert_eq!(server.arrived.try_iter().count(), 3);
    // As many as there are lines: with the last one nothing was left to stop.
    let output = run("20").ends_with(1);
    assert_eq!(output.summary()["ending"], "finished");

    let api = simulator();
    folder
        .run(&api.base_url())
        .args(["--max-failures", "1"])
        .ends_with(0);
    folder.assert_each_once(20);
}

#[test]
fn what_would_begin_after_the_deadline_is_not_waited_for() {
    let api = simulator();
    let slow = (0..3).map(|n| chat(&format!("slow{n}"), "o3") + "\n");
    let folder = Folder::with_input(slow.collect::<String>() + &chats(50));
    // One of the slow ones goes at once, the next one's turn comes after a minute.
    let run = |deadline: &str| -> Cmd {
        let run = folder.run(&api.base_url()).args(["--rpm", "o3=1"]);
        run.args(["--deadline", deadline, "--summary", "-"])
    };
    let output = run("45").ends_with(4);
    output.says(&[
        "stopped at --deadline 45.0 s: what is left could not begin before it",
        "51 of 53 lines are done",
    ]);
    let summary = output.summary();
    assert_eq!(
        (&summary["succeeded"], &summary["ending"]),
        (&51.into(), &"deadline".into())
    );
    let summary = run("45").ends_with(4).summary();
    assert_eq!(summary["resumed"], 51);
    // Not until the deadline either: no more lines can come.
    assert!(
        summary["wall_seconds"].as_f64().unwrap() < 45.0,
        "{summary}"
    );
    folder
        .run(&api.base_url())
        .args(["--deadline", "80"])
        .ends_with(0);
    assert_eq!(folder.ids().len(), 53);
    assert_eq!(api.report().received, 53, "nothing is sent twice");
}

#[test]
fn a_deadline_ends_a_wait_for_more_input() {
    let api = simulator();
    let folder = Folder::new();
    let mut run = folder.paceline(["run", "-", "--base-url", &api.base_url()]);
    run = run.args(["--output", "out.jsonl", "--errors", "errors.jsonl"]);
    run = run.args(["--deadline", "0.5"]);
    run.command.stdin(Stdio::piped());
    let mut running = run.start();
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(chats(1).as_bytes()).unwrap();
    let output = running.ends_with(4);
    output.says(&[
        "stopped at --deadline 0.5 s: what is left could not begin before it",
        "the same command resumes the run",
    ]);
    drop(stdin);
}

#[test]
fn a_budget_counts_lost_attempts_and_earlier_runs_through_a_kill() {
    let api = simulator();
    let folder = Folder::with_input(chats(30));
    folder.write("prices.toml", PRICES);
    let run = |flags: &[&str]| {
        let run = folder
            .run(&api.base_url())
            .args(["--prices", "prices.toml"]);
        run.args(flags).args(["--summary", "-"])
    };
    run(&["--max-cost-this-run", "0.0001"]).ends_with(4);
    let first = cost_of_results(&folder);
    // A bound of all runs counts it, in whatever way it was spent; the bound of the run comes on top.
    let output = run(&["--max-cost", "0.0003", "--max-cost-this-run", "0.0001"]).ends_with(4);
    output.says(&["stopped at --max-cost 0.0001"]);
    let second = cost_of_results(&folder);
    assert!(
        second > first && second <= first + 100_000_000,
        "{first} {second}"
    );
    // What was lost stands in the lines that were written after it, the last of which tells all of it.
    let text = folder.read("in.results.jsonl");
    let lost = text.trim_end().strip_suffix('}').unwrap();
    folder.write(
        "in.results.jsonl",
        format!("{lost},\"lost\":{{\"tokens\":7,\"cost\":\"0.000250000000\"}}}}\n"),
    );
    let received = api.report().received;
    run(&["--max-cost", "0.0003"])
        .ends_with(4)
        .says(&["stopped at --max-cost 0.0003 USD: "]);
    assert_eq!(api.report().received, received, "the budget is used up");
    run(&[]).ends_with(0);
    let lines = folder.lines("in.results.jsonl");
    assert_eq!(
        lines.last().unwrap()["lost"]["tokens"],
        7,
        "later lines keep what was lost"
    );
}

#[test]
fn an_attempt_whose_answer_is_lost_counts_and_the_next_run_knows() {
    // The first answer breaks off, the second is whole.
    let body = r#"{"choices":[{"message":{"content":"It is far."},"finish_reason":"stop"}],"model":"gpt-4o-mini","usage":{"prompt_tokens":13,"completion_tokens":4}}"#;
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let server = server::answering_each(move |_| {
        match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => ("200 OK", "{\"choices\":[{\"mess"),
            _ => ("200 OK", body),
        }
    });
    let folder = Folder::with_input(chats(1));
    folder.run(&server.base_url).ends_with(0);
    let lines = folder.lines("in.results.jsonl");
    assert!(
        lines[0]["lost"]["tokens"].as_u64().unwrap() > 16,
        "{}",
        lines[0]
    );
    folder.write("in.jsonl", chats(2));
    let output = folder
        .run(&server.base_url)
        .args(["--budget-tokens", "50"])
        .ends_with(4);
    output.says(&["stopped at --budget-tokens 50: "]);
}
