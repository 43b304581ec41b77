//! The key shows nowhere.

use std::fmt::Debug;
use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};
use paceline::{Error, RateLimitedClient, Wait};
use serde_json::json;

use super::scripted::{Scripted, Step};
use super::support::{KEY, builder};

/// A key of a gateway that wants it in the path's query.
const QUERY_KEY: &str = "qk-9b2e";

/// Everything that is logged, by this crate and all below it, in all tests of this binary.
static LOGGED: Lines = Lines(Mutex::new(String::new()));

struct Lines(Mutex<String>);

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = format!("{}: {}\n", record.target(), record.args());
        self.0.lock().unwrap().push_str(&line);
    }

    fn flush(&self) {}
}

#[test]
fn the_key_is_sent_and_shown_nowhere() {
    log::set_logger(&LOGGED).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let path = format!("/embeddings?key={QUERY_KEY}");
    let server = Scripted::start([
        Step::error(429, "rate_limit_exceeded", &["retry-after-ms: 1"]),
        Step::error(401, "invalid_api_key", &[]),
        Step::json(200, &[], r#"{"data":[{}]}"#),
        Step::hang_up(),
        Step::json(200, &[], "no JSON"),
    ]);
    let settings = builder(server.base_url()).header("x-gateway-key", KEY);
    let client = settings.clone().max_retries(1).build().unwrap();
    let body = json!({"model": "text-embedding-3-small", "input": "a"});
    let prepare = |client: &RateLimitedClient| client.prepare(&path, &body).unwrap();

    let mut shown = vec![show(&settings), show(&client), show(&client.registry())];
    shown.push(show(&prepare(&client)));
    let admitted = prepare(&client).admit(Wait::new()).unwrap();
    shown.push(show(&admitted));
    let refused = admitted.send(Wait::new()).unwrap_err();
    assert!(refused.is_account_error(), "{refused}");
    shown.push(show_error(&refused));
    let answer = prepare(&client).send().unwrap();
    shown.push(show(&answer));
    shown.push(show_error(&answer.json::<u8>().unwrap_err()));
    let once = settings.max_retries(0).build().unwrap();
    shown.push(show_error(&prepare(&once).send().unwrap_err()));
    shown.push(show_error(&prepare(&once).send().unwrap_err()));
    for (step, text) in shown.iter().enumerate() {
        assert!(!text.contains(KEY), "step {step}: {text}");
        assert!(!text.contains(QUERY_KEY), "step {step}: {text}");
    }

    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    for (step, request) in requests.iter().enumerate() {
        let headers = request.headers.join("\n").to_ascii_lowercase();
        let expected = format!("authorization: bearer {KEY}");
        assert!(headers.contains(&expected), "step {step}: {headers}");
        assert!(request.line.contains(QUERY_KEY), "step {step}");
    }
    let logged = LOGGED.0.lock().unwrap();
    assert!(logged.contains("trying again"), "{logged}");
    for (step, line) in logged.lines().enumerate() {
        assert!(!line.contains(KEY), "line {step}: {line}");
        let own = line.starts_with("paceline");
        assert!(!own || !line.contains(QUERY_KEY), "line {step}: {line}");
    }
}

fn show(value: &impl Debug) -> String {
    format!("{value:?} {value:#?}")
}

fn show_error(error: &Error) -> String {
    format!("{} {error}", show(error))
}

#[test]
fn a_server_that_quotes_the_key_is_not_quoted_with_it() {
    let message = format!("Incorrect API key provided: {KEY}.");
    let body = json!({"error": {"message": message, "code": "invalid_api_key"}}).to_string();
    let server = Scripted::start([Step::json(401, &[], &body)]);
    let client = builder(server.base_url()).build().unwrap();
    let error = client.chat("a").unwrap_err();
    assert!(!show_error(&error).contains(KEY), "{error}");
    assert!(error.to_string().contains("provided: [secret]."), "{error}");
}

#[test]
fn a_key_is_hidden_where_json_escapes_it_and_in_the_name_of_a_request() {
    let key = "sk/test/4f1d0c9e7a";
    let escaped = key.replace('/', "\\/");
    let body = format!(r#"{{"error":{{"message":"no such key: {escaped}","code":"x"}}}}"#);
    let id = format!("x-request-id: Bearer {key}");
    let server = Scripted::start([
        Step::json(400, &[], &body),
        Step::json(400, &[&id], "{}"),
        Step::json(400, &["x-request-id: req_1"], "{}"),
    ]);
    let client = builder(server.base_url()).api_key(key).build().unwrap();
    for expected in ["no such key: [secret]", "[secret]", "req_1"] {
        let error = client.chat("a").unwrap_err();
        assert!(!show_error(&error).contains("4f1d0c9e7a"), "{error}");
        assert!(show_error(&error).contains(expected), "{error:?}");
    }
}
