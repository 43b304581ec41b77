//! Requests from rows: fields, bodies, turns, images, endpoints, several models.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::echo;
use crate::harness::{Cmd, Folder, chat, simulator};

fn run(folder: &Folder, input: &str, base_url: &str) -> Cmd {
    folder
        .paceline(["run", input, "--base-url", base_url])
        .args(["--tpm", "1_000_000_000", "--rpm", "100_000_000"])
}

/// The bodies that were sent, by id: the echo has them in its answers.
fn asked(folder: &Folder, results: &str) -> BTreeMap<String, Value> {
    let lines = folder.lines(results).into_iter();
    let parse = |line: Value| {
        let body = &line["response"]["body"];
        let text = body["choices"][0]["message"]["content"].as_str();
        let text = text.or(body["output"][0]["content"][0]["text"].as_str());
        let body = serde_json::from_str(text.unwrap()).unwrap();
        (line["custom_id"].as_str().unwrap().to_owned(), body)
    };
    lines.map(parse).collect()
}

#[test]
fn fields_are_set_over_tables_and_over_batch_files() {
    let folder = Folder::new();
    folder.write("in.csv", "id,text\na,one\nb,two \"x\"\n");
    let url = echo::serve();
    run(&folder, "in.csv", &url)
        .args(["--model", "m", "--prompt", "{text}", "--id", "id"])
        .args(["--set", "temperature=0", "--set", "reasoning.effort=low"])
        .args(["--set", r#"metadata={"row": "{id}: {text}", "n": 1.10}"#])
        .args([
            "--set",
            r#"tools=[{"type": "function", "function": {"name": "f"}}]"#,
        ])
        .ends_with(0);
    let expected = json!({
        "model": "m",
        "messages": [{"role": "user", "content": "two \"x\""}],
        "temperature": 0,
        "reasoning": {"effort": "low"},
        "metadata": {"row": "b: two \"x\"", "n": 1.10},
        "tools": [{"type": "function", "function": {"name": "f"}}],
    });
    let found = asked(&folder, "in.results.jsonl");
    assert_eq!((found.len(), &found["b"]), (2, &expected));

    folder.write(
        "batch.jsonl",
        [chat("r0", "old"), chat("r1", "older")].join("\n"),
    );
    let flags = [
        "--model",
        "new",
        "--set",
        "messages.0.role=developer",
        "--set",
        "user={custom_id}",
    ];
    run(&folder, "batch.jsonl", &url).args(flags).ends_with(0);
    let found = asked(&folder, "batch.results.jsonl");
    let expected = json!({
        "model": "new",
        "messages": [{"role": "developer", "content": "How far is the moon?"}],
        "max_completion_tokens": 16,
        "user": "r1",
    });
    assert_eq!(found["r1"], expected);
    // The same requests are the same: nothing is sent again.
    let again = run(&folder, "batch.jsonl", &url)
        .args(flags)
        .args(["--summary", "-"]);
    assert_eq!(again.ends_with(0).summary()["resumed"], 2);
}

#[test]
fn a_body_turns_and_endpoints_make_requests() {
    let folder = Folder::new();
    let turns = r#"[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]"#;
    let rows = [
        json!({"talk": turns, "n": 1}),
        json!({"talk": "Hi.", "n": 2}),
    ];
    folder.write("in.jsonl", rows.map(|row| row.to_string()).join("\n"));
    folder.write(
        "body.json",
        r#"{"model": "m", "seed": 12345678901234567890123, "input": ["{talk}", {"n": "{n}"}]}"#,
    );
    let url = echo::serve();
    let outputs = |name: &str| ["--output".to_owned(), format!("{name}.jsonl")];
    run(&folder, "in.jsonl", &url)
        .args(["--model", "m", "--messages", "talk", "--system", "S{n}"])
        .args(["--endpoint", "responses", "--max-tokens", "9"])
        .args(outputs("turns"))
        .ends_with(0);
    let found = asked(&folder, "turns.jsonl");
    let texts = |id: &str| -> Vec<String> {
        let input = found[id]["input"].as_array().unwrap();
        input
            .iter()
            .map(|turn| turn["content"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(texts("row-1"), ["S1", "a", "b", "c"]);
    assert_eq!(texts("row-2"), ["S2", "Hi."]);
    assert_eq!(found["row-1"]["max_output_tokens"], 9);

    run(&folder, "in.jsonl", &url)
        .args(["--body", "body.json", "--endpoint", "responses"])
        .args(outputs("body"))
        .ends_with(0);
    assert_eq!(
        asked(&folder, "body.jsonl")["row-2"]["input"],
        json!(["Hi.", {"n": "2"}])
    );
    assert!(
        folder
            .read("body.jsonl")
            .contains("12345678901234567890123")
    );
    run(&folder, "in.jsonl", &url)
        .args(["--body", "body.json"])
        .ends_with(2)
        .says(&["--body body.json: without messages in it, --endpoint"]);
}

#[test]
fn images_are_addresses_or_files_in_the_folder_of_the_table() {
    let folder = Folder::new();
    folder.write("a.png", b"\x89PNG\r\n\x1a\nrest");
    folder.write(
        "in.csv",
        "photo\na.png\nhttps://h/b.png\n../c.png\n/etc/passwd\n",
    );
    let url = echo::serve();
    let prompt = [
        "--model",
        "m",
        "--prompt",
        "What is in {photo}?",
        "--image",
        "photo",
    ];
    run(&folder, "in.csv", &url).args(prompt).ends_with(1);
    let found = asked(&folder, "in.results.jsonl");
    let image = |id: &str| found[id]["messages"][0]["content"][1]["image_url"]["url"].clone();
    assert_eq!(image("row-1"), "data:image/png;base64,iVBORw0KGgpyZXN0");
    assert_eq!(image("row-2"), "https://h/b.png");
    let errors = folder.read("in.errors.jsonl");
    assert!(
        errors.contains("in.csv:4: column \\\"photo\\\": \\\"../c.png\\\": "),
        "{errors}"
    );
    assert!(
        errors.contains("in.csv:5: column \\\"photo\\\": \\\"/etc/passwd\\\": lies outside"),
        "{errors}"
    );

    let other = Folder::new();
    other.write("d.png", b"\x89PNG\r\n\x1a\nrest");
    let path = other.path("d.png").canonicalize().unwrap();
    folder.write("more.csv", format!("photo\n{}\n", path.display()));
    run(&folder, "more.csv", &url).args(prompt).ends_with(2);
    let allowed = path.parent().unwrap().to_str().unwrap();
    run(&folder, "more.csv", &url)
        .args(prompt)
        .args(["--allow-files", allowed])
        .ends_with(0);
}

#[test]
fn several_models_have_files_of_their_own() {
    let api = simulator();
    let folder = Folder::new();
    folder.write("in.csv", "text\none\ntwo\n");
    let models = [
        "--model",
        "gpt-4o-mini",
        "--model",
        "org/X",
        "--model",
        "org/x",
    ];
    let flags = [
        "--prompt",
        "{text}",
        "--extract",
        "a.csv",
        "--summary",
        "s.json",
    ];
    let output = run(&folder, "in.csv", &api.base_url())
        .args(models)
        .args(flags)
        .ends_with(0);
    output.says(&["gpt-4o-mini (1 of 3 models)", "org/x (3 of 3 models)"]);
    assert_eq!(api.report().received, 6);
    let files = folder.files();
    let of = |start: &str| files.iter().filter(|name| name.starts_with(start)).count();
    assert_eq!(
        (of("in.results."), of("a."), of("s.")),
        (3, 3, 3),
        "{files:?}"
    );
    assert!(
        files.contains(&"in.results.gpt-4o-mini.jsonl".to_owned()),
        "{files:?}"
    );
    assert!(files.contains(&"a.gpt-4o-mini.csv".to_owned()), "{files:?}");
    // The same command has nothing left to do.
    run(&folder, "in.csv", &api.base_url())
        .args(models)
        .args(flags)
        .ends_with(0);
    assert_eq!((api.report().received, folder.files()), (6, files));

    run(&folder, "in.csv", &api.base_url())
        .args(["--model", "a", "--model", "a", "--prompt", "{text}"])
        .ends_with(2)
        .says(&["--model a is given twice"]);
    run(&folder, "-", &api.base_url())
        .args(["--model", "a", "--model", "b", "--prompt", "{text}"])
        .ends_with(2)
        .says(&["- is no file"]);
}

#[test]
fn what_cannot_be_set_is_said_at_once() {
    let folder = Folder::with_input(chat("r0", "m"));
    for (flags, said) in [
        (
            &["--set", "temperature"][..],
            "a path and a value are needed",
        ),
        (&["--set", "model=x"], "--model sets the model"),
        (&["--set", "stream=true"], "a result is one line"),
        (&["--set", "a..b=1"], "a path is needed"),
        (
            &["--set", "user={name}"],
            "no column \"name\"; there is \"custom_id\"",
        ),
        (
            &["--messages", "a", "--prompt", "b", "--model", "m"],
            "cannot be used with",
        ),
        (&["--image", "a"], "--prompt <TEXT>"),
    ] {
        folder
            .run("http://127.0.0.1:9")
            .args(flags)
            .ends_with(2)
            .says(&[said]);
    }
}
