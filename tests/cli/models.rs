//! `--models`: how models are counted, from a file.

use serde_json::{Value, json};

use crate::harness::{Folder, chats};

/// 1,024 × 1,024 pixels, as far as a header goes.
const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAABAAAAAQACAIAAAA=";

fn requests(model: &str, parts: &Value) -> String {
    let body = json!({ "model": model, "max_completion_tokens": 1, "messages": [{ "role": "user", "content": parts }] });
    let line =
        json!({ "custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body });
    format!("{line}\n")
}

/// The prompt tokens of a file with one model, as the table of `count` or of a dry run has them.
fn prompt_tokens(folder: &Folder, args: &[&str]) -> u64 {
    let output = folder.paceline(args).ends_with(0);
    let row = output.stdout.lines().nth(1).unwrap();
    let cell = row.split_whitespace().nth(2).unwrap();
    cell.replace(',', "").parse().unwrap()
}

#[test]
fn a_file_says_how_a_deployment_is_counted() {
    let image = json!([{ "type": "image_url", "image_url": { "url": PNG } }]);
    let folder = Folder::with_input(requests("azure/mine-2", &image));
    folder.write("models.toml", "[models.mine]\nlike = 'gpt-4o-mini'\n");
    let frame = 3 + 1 + 3;
    let (count, dry) = (["count", "in.jsonl"], ["run", "in.jsonl", "--dry-run"]);
    for args in [&count[..], &dry] {
        assert_eq!(prompt_tokens(&folder, args), frame + 765, "{args:?}");
        let with = [args, &["--model-table", "models.toml"]].concat();
        assert_eq!(
            prompt_tokens(&folder, &with),
            frame + 2_833 + 4 * 5_667,
            "{args:?}"
        );
    }
}

#[test]
fn a_text_is_counted_in_the_encoding_of_the_file() {
    let folder = Folder::with_input("お誕生日おめでとう");
    folder.write("models.toml", "[models.mine]\nencoding = 'r50k_base'\n");
    let text = ["count", "in.jsonl", "--text", "--model", "mine"];
    let table = [
        (&[][..], "9\n"),
        (&["--model-table", "models.toml"], "14\n"),
    ];
    for (more, tokens) in table {
        let output = folder.paceline([&text[..], more].concat()).ends_with(0);
        assert_eq!(output.stdout, tokens, "{more:?}");
    }
}

#[test]
fn a_bad_file_is_named_with_its_line_and_key() {
    let folder = Folder::with_input(chats(1));
    folder.write("models.toml", "[models.mine]\nencoding = 'base'\n");
    for command in [
        &["count", "in.jsonl"][..],
        &["run", "in.jsonl", "--simulate"],
    ] {
        for (file, words) in [
            (
                "models.toml",
                "models file models.toml: line 2, column 12: encoding: unknown variant `base`",
            ),
            ("none.toml", "models file none.toml: "),
        ] {
            let args = [command, &["--model-table", file]].concat();
            folder.paceline(args).ends_with(2).says(&[words]);
        }
    }
    assert_eq!(folder.files(), ["in.jsonl", "models.toml"]);
}

#[test]
fn nothing_is_written_over_the_file() {
    let folder = Folder::with_input(chats(1));
    folder.write("models.toml", "");
    let args = [
        "run",
        "in.jsonl",
        "--simulate",
        "--model-table",
        "models.toml",
        "--summary",
        "models.toml",
    ];
    folder
        .paceline(args)
        .ends_with(2)
        .says(&["would overwrite models.toml"]);
    assert_eq!(folder.read("models.toml"), "");
}

#[test]
fn the_billed_tokens_of_a_request_are_those_that_are_published() {
    // The OpenAI Cookbook, "How to count tokens with tiktoken", part 7, gpt-4o.
    let body = r#"{"model":"gpt-4o","max_completion_tokens":1,"messages":[{"role":"system","content":"You are a helpful assistant that can answer to questions about the weather."},{"role":"user","content":"What's the weather like in San Francisco?"}],"tools":[{"type":"function","function":{"name":"get_current_weather","description":"Get the current weather in a given location","parameters":{"type":"object","properties":{"location":{"type":"string","description":"The city and state, e.g. San Francisco, CA"},"unit":{"type":"string","description":"The unit of temperature to return","enum":["celsius","fahrenheit"]}},"required":["location"]}}}]}"#;
    let line = format!(
        "{{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{body}}}\n"
    );
    let folder = Folder::with_input(line);
    let count = |rule: &str| {
        let counted = folder.paceline(["count", "in.jsonl", "--prompt-rule", rule]);
        counted.ends_with(0).stdout
    };
    let tokens = count("tokens");
    assert!(tokens.contains("1 requests, 101 prompt tokens"), "{tokens}");
    assert_ne!(count("characters"), tokens);
}

#[test]
fn an_endpoint_that_is_not_known_is_told_of_once_and_counted() {
    let line = |id: &str, url: &str| {
        format!(
            "{{\"custom_id\":\"{id}\",\"url\":\"{url}\",\"body\":{{\"model\":\"m\",\"documents\":[\"12345678\"],\"max_tokens\":1}}}}\n"
        )
    };
    let lines = [line("a", "/v1/rerank"), line("b", "/v1/rerank")].concat();
    let folder = Folder::with_input(lines);
    let output = folder.paceline(["count", "in.jsonl"]).ends_with(0);
    let told = output.stderr.matches("no endpoint that is known").count();
    assert_eq!(told, 1, "{output}");
    assert!(
        output.stderr.contains("in.jsonl:1: url: \"/v1/rerank\""),
        "{output}"
    );
    assert!(
        output.stdout.contains("2 requests, 6 prompt tokens"),
        "{output}"
    );
}
