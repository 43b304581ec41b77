//! `limits`: what an account's limits are, asked of the server.

use std::net::TcpListener;

use paceline::sim::{DailyLimits, LimitHeaders, SimConfig, SimLimits, Simulator};

use crate::harness::{Cmd, Folder, chats, simulator};
use crate::server;

fn limits(folder: &Folder, base_url: &str) -> Cmd {
    folder.paceline(["limits", "--base-url", base_url])
}

/// An API with limits for two models, and others for the rest.
fn limited() -> SimConfig {
    let limits = |tokens, requests| {
        SimLimits::none()
            .tokens_per_minute(tokens)
            .requests_per_minute(requests)
    };
    SimConfig::new()
        .default_limits(limits(1_000_000, 3_000))
        .limits("gpt-4o-mini", limits(200_000, 500))
        .limits("o3", limits(30_000, 100))
}

#[test]
fn what_it_prints_is_a_limits_file_of_what_the_server_enforces() {
    let api = Simulator::start(limited()).unwrap();
    let folder = Folder::with_input(chats(1));
    let output = limits(&folder, &api.base_url())
        .args(["gpt-4o-mini", "o3", "text-embedding-3-small", "o3"])
        .ends_with(0);
    assert_eq!(output.stderr, "");
    let table = [
        ("gpt-4o-mini", "rpm = 500\n", "tpm = 200000\n"),
        ("o3", "rpm = 100\n", "tpm = 30000\n"),
        ("text-embedding-3-small", "rpm = 3000\n", "tpm = 1000000\n"),
    ];
    let tables: Vec<&str> = output.stdout.split("[models.").skip(1).collect();
    assert_eq!(tables.len(), table.len(), "{output}");
    for (step, (model, requests, tokens)) in table.into_iter().enumerate() {
        let found = tables[step];
        for words in [&format!("\"{model}\"]\n# left: "), requests, tokens] {
            assert!(found.contains(words), "step {step}: {words} in {found}");
        }
    }
    assert_eq!(api.report().received, 3);

    folder.write("limits.toml", &output.stdout);
    let plan = folder
        .paceline(["run", "in.jsonl", "--dry-run", "--limits", "limits.toml"])
        .ends_with(0);
    let row = plan.stdout.lines().nth(1).unwrap();
    assert!(row.starts_with("gpt-4o-mini "), "{plan}");
    let binding = ["500 requests per minute", "200,000 tokens per minute"];
    assert!(binding.iter().any(|b| row.ends_with(b)), "{plan}");
}

#[test]
fn a_limit_per_day_is_printed_as_one() {
    let config = limited().daily_limits(DailyLimits::none().requests_per_day(10_000));
    let api = Simulator::start(config).unwrap();
    let folder = Folder::new();
    let output = limits(&folder, &api.base_url()).args(["o3"]).ends_with(0);
    assert!(output.stdout.contains("\nrpd = 10000\n"), "{output}");
    assert!(!output.stdout.contains("rpm"), "{output}");
}

#[test]
fn a_model_of_which_nothing_is_said_takes_nothing_from_the_others() {
    // A snapshot without limits: no header, though the client counts it with its model.
    let config = limited().limits("gpt-4o-mini-2024-07-18", SimLimits::default());
    let api = Simulator::start(config).unwrap();
    let folder = Folder::new();
    let output = limits(&folder, &api.base_url())
        .args(["gpt-4o-mini", "gpt-4o-mini-2024-07-18", "o3"])
        .ends_with(1);
    output.says(&["gpt-4o-mini-2024-07-18: the server says nothing of its limits"]);
    assert_eq!(output.stdout.matches("[models.").count(), 2, "{output}");
    for model in ["[models.\"gpt-4o-mini\"]", "[models.\"o3\"]"] {
        assert!(output.stdout.contains(model), "{model} in {output}");
    }
}

#[test]
fn a_server_that_says_nothing_of_limits_is_said_for_each_model() {
    let config = SimConfig::new().limit_headers(LimitHeaders::None);
    let api = Simulator::start(config).unwrap();
    let folder = Folder::new();
    let output = limits(&folder, &api.base_url())
        .args(["gpt-4.1", "o3", "o3"])
        .ends_with(1);
    output.prints_nothing().says(&[
        "gpt-4.1: the server says nothing of its limits",
        "o3: the server says nothing of its limits",
    ]);
    assert_eq!(api.report().received, 2, "each model once");
}

#[test]
fn a_model_that_there_is_not_is_said_and_the_next_one_asked() {
    let server = server::answering(
        "404 Not Found",
        r#"{"error":{"message":"No such model.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
    );
    let folder = Folder::new();
    let output = limits(&folder, &server.base_url)
        .args(["gpt-5000", "text-embedding-9"])
        .ends_with(1);
    output.prints_nothing().says(&[
        "gpt-5000: the server answered 404 (model_not_found): No such model.",
        "text-embedding-9: the server answered 404",
    ]);
    assert_eq!(server.arrived.try_iter().count(), 2);
}

#[test]
fn a_fault_is_tried_again_and_not_for_ever() {
    let server = server::answering("500 Internal Server Error", "{}");
    let folder = Folder::new();
    let output = limits(&folder, &server.base_url).args(["o3"]).ends_with(1);
    output
        .prints_nothing()
        .says(&["o3: the server answered 500"]);
    assert_eq!(server.arrived.try_iter().count(), 3);
}

#[test]
fn an_account_error_stops_it() {
    let config = SimConfig::new().api_key(Some("another key".to_owned()));
    let api = Simulator::start(config).unwrap();
    let folder = Folder::new();
    let output = limits(&folder, &api.base_url())
        .args(["gpt-4.1", "o3"])
        .ends_with(3);
    output.prints_nothing().says(&["the server answered 401"]);
    assert_eq!(api.report().received, 1);
}

#[test]
fn what_is_missing_is_said_before_anything_is_sent() {
    let api = simulator();
    let folder = Folder::new();
    let output = limits(&folder, &api.base_url()).ends_with(2);
    output.says(&["<MODEL>..."]);
    let named = limits(&folder, &api.base_url()).args(["o3", "--api-key-env", "MY_KEY"]);
    named.ends_with(2).says(&["no API key", "MY_KEY"]);
    let output = limits(&folder, "nonsense").args(["o3"]).ends_with(2);
    output.says(&["base URL \"nonsense\""]);
    assert_eq!(api.report().received, 0);
}

#[test]
fn the_environment_says_where_and_a_timeout_for_how_long() {
    // Takes connections and never answers.
    let silent = server::silent();
    let folder = Folder::new();
    let output = folder
        .paceline(["limits", "o3", "--timeout", "0.1"])
        .env("OPENAI_BASE_URL", &silent.base_url)
        .ends_with(1);
    output
        .prints_nothing()
        .says(&["o3: http://127.0.0.1", "timeout"]);
    // Bound and let go: nobody listens there now.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let output = limits(&folder, &format!("http://{address}/v1"))
        .args(["o3"])
        .ends_with(1);
    output.says(&[&format!("o3: http://{address}")]);
}
