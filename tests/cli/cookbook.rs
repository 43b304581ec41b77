//! The commands of docs/cookbook.md, as they stand there, against a simulated API.

use std::process::{Command, Stdio};

use crate::harness::{Folder, KEY, simulator};

const PAGE: &str = include_str!("../../docs/cookbook.md");

/// The commands of a task, one a line.
fn commands(task: u32) -> Vec<&'static str> {
    let (_, rest) = PAGE.split_once(&format!("\n## {task}. ")).unwrap();
    let (_, rest) = rest.split_once("```sh\n").unwrap();
    rest.split_once("```").unwrap().0.lines().collect()
}

/// Runs a command line in a shell as a user would, with the API in the environment.
#[track_caller]
fn shell(folder: &Folder, line: &str, url: &str, status: i32) -> String {
    let binary = env!("CARGO_BIN_EXE_paceline");
    // Only the program's name is replaced: the commands are those of the page.
    let line = line.replacen("paceline", binary, 1);
    let output = Command::new("bash")
        .args(["-c", &line])
        .current_dir(folder.path("."))
        .env("OPENAI_BASE_URL", url)
        .env("OPENAI_API_KEY", KEY)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(status), "{line}\n{text}");
    text
}

fn table(folder: &Folder, name: &str, rows: usize) {
    let rows: String = (0..rows)
        .map(|row| format!("k{row},text {row}\n"))
        .collect();
    folder.write(name, format!("key,text\n{rows}"));
}

#[test]
fn every_task_has_a_command() {
    assert_eq!(PAGE.matches("\n## ").count(), 10);
    for task in 1..=10 {
        assert!((1..=2).contains(&commands(task).len()), "task {task}");
    }
}

#[test]
fn reviews_are_classified_by_a_schema() {
    let (api, folder) = (simulator(), Folder::new());
    table(&folder, "reviews.csv", 5_000);
    folder.write(
        "mood.json",
        r#"{"type":"object","properties":{"mood":{"enum":["good","bad"]}},"required":["mood"],"additionalProperties":false}"#,
    );
    shell(&folder, commands(1)[0], &api.base_url(), 0);
    let text = folder.read("classified.csv");
    let mut lines = text.lines();
    let header = lines.next().unwrap();
    assert!(
        header.starts_with("key,text,custom_id,answer,mood,"),
        "{header}"
    );
    let mut count = 0;
    for (row, line) in lines.enumerate() {
        assert!(
            line.starts_with(&format!("k{row},text {row},row-{},", row + 1)),
            "{line}"
        );
        assert!(
            line.contains("}\",good,stop") || line.contains("}\",bad,stop"),
            "{line}"
        );
        count += 1;
    }
    assert_eq!(count, 5_000);
}

#[test]
fn texts_are_embedded_to_a_matrix() {
    let (api, folder) = (simulator(), Folder::new());
    table(&folder, "texts.csv", 10_000);
    shell(&folder, commands(2)[0], &api.base_url(), 0);
    let bytes = std::fs::read(folder.path("matrix.npy")).unwrap();
    let head = String::from_utf8_lossy(&bytes[..128]).into_owned();
    assert!(head.contains("'shape': (10000, 8)"), "{head}");
    assert_eq!(api.report().received, 5);
}

#[test]
fn a_jsonl_file_is_translated() {
    let (api, folder) = (simulator(), Folder::new());
    folder.write(
        "articles.jsonl",
        "{\"title\":\"One\",\"year\":1.50}\n{\"title\":\"Two\",\"year\":2}\n",
    );
    shell(&folder, commands(3)[0], &api.base_url(), 0);
    let text = folder.read("translated.jsonl");
    assert!(
        text.starts_with("{\"title\":\"One\",\"year\":1.50,\"custom_id\":\"row-1\",\"answer\":\""),
        "{text}"
    );
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn one_prompt_goes_over_three_models() {
    let (api, folder) = (simulator(), Folder::new());
    table(&folder, "reviews.csv", 20);
    shell(&folder, commands(4)[0], &api.base_url(), 0);
    for model in ["gpt-4.1-mini", "gpt-4o-mini", "o4-mini"] {
        assert_eq!(
            folder
                .read(&format!("compared.{model}.csv"))
                .lines()
                .count(),
            21
        );
        assert!(
            folder
                .read(&format!("reviews.results.{model}.jsonl"))
                .contains(model)
        );
    }
}

#[test]
fn what_is_cut_off_is_asked_again() {
    let (api, folder) = (simulator(), Folder::new());
    table(&folder, "stories.csv", 30);
    let command = commands(5)[0];
    let before = command.replace("--retry-cut-off 4", "");
    shell(&folder, &before, &api.base_url(), 0);
    let cut = folder.read("stories.out.csv").matches(",length,").count();
    assert!(
        cut > 0,
        "the simulator's answers have more than 16 tokens now and then"
    );
    shell(&folder, command, &api.base_url(), 0);
    let text = folder.read("stories.out.csv");
    assert!(text.matches(",length,").count() < cut, "{text}");
    assert_eq!(
        (
            text.lines().count(),
            folder.lines("stories.results.jsonl").len()
        ),
        (31, 30)
    );
}

#[test]
fn costs_are_said_before_and_after() {
    let (api, folder) = (simulator(), Folder::new());
    table(&folder, "costs.csv", 20);
    let said = shell(&folder, commands(6)[0], &api.base_url(), 0);
    assert!(said.contains("at most USD"), "{said}");
    assert_eq!(api.report().received, 0);
    let said = shell(&folder, commands(6)[1], &api.base_url(), 0);
    assert!(said.contains("USD spent"), "{said}");
    let text = folder.read("costs.out.csv");
    let costs = text
        .lines()
        .skip(1)
        .map(|line| line.rsplit(',').next().unwrap().parse::<f64>());
    assert!(costs.map(Result::unwrap).sum::<f64>() > 0.0);
}

#[test]
fn a_budget_holds_over_restarts() {
    let (api, folder) = (simulator(), Folder::new());
    table(&folder, "budget.csv", 200);
    let small = commands(7)[0].replace("'$20'", "0.004");
    for _ in 0..3 {
        let said = shell(&folder, &small, &api.base_url(), 4);
        assert!(said.contains("stopped at --max-cost 0.004 USD"), "{said}");
    }
    let received = api.report().received;
    assert!(received > 0 && received < 200, "{received}");
    shell(&folder, commands(7)[0], &api.base_url(), 0);
    assert_eq!(api.report().received, 200);
}

#[test]
fn a_run_overnight_is_looked_at() {
    let (api, folder) = (simulator(), Folder::new());
    table(&folder, "night.csv", 50);
    shell(&folder, commands(8)[0], &api.base_url(), 0);
    let said = shell(&folder, commands(8)[1], &api.base_url(), 0);
    assert!(
        said.contains("night.csv: 50 of 50 done, 0 failed"),
        "{said}"
    );
    assert!(said.contains("finished"), "{said}");
}

#[test]
fn four_machines_make_one_table() {
    let (api, folder) = (simulator(), Folder::new());
    table(&folder, "big.csv", 100);
    for part in 1..=4 {
        let command = commands(9)[0].replace("1/4", &format!("{part}/4"));
        shell(&folder, &command, &api.base_url(), 0);
    }
    shell(&folder, commands(9)[1], &api.base_url(), 0);
    let text = folder.read("big.out.csv");
    let rows: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(rows.len(), 100);
    for (row, line) in rows.iter().enumerate() {
        let has_ended = line.contains(",stop,") || line.contains(",length,");
        assert!(line.starts_with(&format!("k{row},")) && has_ended, "{line}");
    }
}

#[test]
fn a_run_says_why_it_is_slow() {
    let (api, folder) = (simulator(), Folder::new());
    table(&folder, "slow.csv", 20);
    let said = shell(&folder, commands(10)[0], &api.base_url(), 0);
    assert!(
        said.contains("busiest limit gpt-4.1-mini: 600,000 tokens per minute"),
        "{said}"
    );
    assert!(folder.read("slow.html").contains("<svg"));
}
