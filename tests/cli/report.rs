//! `--report`: a page about a run.

use std::fs;

use roxmltree::{Document, Node, ParsingOptions};

use crate::harness::{Folder, chat, chats, simulator};
use crate::server::{answering, gated};

fn parsed(html: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(html, options).unwrap_or_else(|error| panic!("{error}:\n{html}"))
}

/// The titles of what is drawn.
fn titles(document: &Document<'_>) -> Vec<String> {
    let titles = document.descendants().filter(|it| it.has_tag_name("h3"));
    titles.map(|it| it.text().unwrap().to_owned()).collect()
}

#[test]
fn a_page_has_the_figures_of_the_summary() {
    let mut text = chats(40);
    for number in 40..60 {
        text.push_str(&(chat(&format!("r{number}"), "o3") + "\n"));
    }
    text.push_str("{}\n");
    let folder = Folder::with_input(text);
    let run = ["run", "in.jsonl", "--simulate", "--sim-latency", "0"];
    let run = || {
        folder
            .paceline(run)
            .args(["--report", "run.html", "--summary", "-"])
    };
    let output = run().ends_with(1);
    output.says(&["report in run.html"]);
    let summary = output.summary();
    let html = folder.read("run.html");
    let page = parsed(&html);
    for (key, value) in summary.as_object().unwrap() {
        let data = page
            .descendants()
            .find(|it| it.attribute("id") == Some(key));
        let data = data.unwrap_or_else(|| panic!("{key} is not in the page"));
        let raw = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!(data.attribute("value"), Some(&*raw), "{key}");
    }
    // What was recorded is what was counted.
    let told: Vec<_> = page
        .descendants()
        .filter(|it| it.has_tag_name("title"))
        .collect();
    let counted = |word: &str| -> u64 {
        let texts = told.iter().filter_map(Node::text);
        let counts = texts.flat_map(|text| {
            text.split([':', ','])
                .filter_map(|part| part.trim().strip_suffix(word))
        });
        counts
            .map(|count| count.trim().parse::<u64>().unwrap())
            .sum()
    };
    assert_eq!(counted(" succeeded"), 60);
    assert_eq!(counted(" failed"), 1);
    assert!(titles(&page).contains(&"Failures by reason".to_owned()));
    assert!(html.contains("against the built-in simulated API"));
    // The same command again has nothing to do but the line that is no request.
    fs::write(folder.path("in.jsonl"), chats(40)).unwrap();
    run().ends_with(0);
    let html = folder.read("run.html");
    assert!(html.contains("Nothing was left to do"), "{html}");
    assert_eq!(titles(&parsed(&html)), [""; 0]);
    let expected = [
        "in.jsonl",
        "in.simulated.errors.jsonl",
        "in.simulated.results.jsonl",
        "run.html",
    ];
    assert_eq!(folder.files(), expected);
}

#[test]
fn a_run_of_which_everything_fails_says_why() {
    let evil = r#"{"error":{"message":"no <script>alert(1)</script>","code":"model_not_found"}}"#;
    let server = answering("404 Not Found", evil);
    let folder = Folder::with_input(chat("a", "<script>alert(2)</script>"));
    let run = folder.run(&server.base_url).args(["--report", "run.html"]);
    run.ends_with(1);
    let html = folder.read("run.html");
    let page = parsed(&html);
    assert!(!html.contains("<script"), "{html}");
    let texts: Vec<_> = page.descendants().filter_map(|it| it.text()).collect();
    for text in ["404 model_not_found", "no <script>alert(1)</script>"] {
        assert!(texts.contains(&text), "{text} in {html}");
    }
    let pace = "<script>alert(2)</script>: ";
    assert!(titles(&page)[0].starts_with(pace), "{html}");
}

#[test]
fn a_page_that_cannot_be_written_is_named_before_anything_is_sent() {
    let folder = Folder::with_input(chats(2));
    fs::create_dir(folder.path("folder")).unwrap();
    let api = simulator();
    let table: [(&[&str], &str); 6] = [
        (&["--report", "-"], "--report -: name a file"),
        (&["--report", "no/such.html"], "no/such.html: "),
        (&["--report", "folder"], "folder: is a directory"),
        (
            &["--report", "./in.jsonl"],
            "--report would overwrite in.jsonl",
        ),
        (
            &["--report", "in.results.jsonl"],
            "--report would overwrite in.results.jsonl",
        ),
        (
            &["--summary", "a", "--report", "a"],
            "--report would overwrite a",
        ),
    ];
    for (flags, message) in table {
        let output = folder.run(&api.base_url()).args(flags).ends_with(2);
        output.says(&[message]).prints_nothing();
    }
    assert_eq!(api.report().received, 0);
}

#[test]
fn a_page_that_cannot_be_written_at_the_end_loses_nothing_else() {
    let folder = Folder::with_input(chats(3));
    fs::create_dir(folder.path("folder")).unwrap();
    let (server, gate) = gated("200 OK");
    let args = ["--report", "folder/run.html", "--summary", "summary.json"];
    let running = folder.run(&server.base_url).args(args).start();
    server.arrived.recv().unwrap();
    fs::remove_dir(folder.path("folder")).unwrap();
    drop(gate);
    let output = running.ends_with(2);
    output.says(&["3 succeeded", "folder/run.html: "]);
    folder.assert_each_once(3);
    assert!(folder.read("summary.json").contains("\"succeeded\": 3"));
}
