//! The key shows nowhere.

use std::fmt::Debug;
use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};
use paceline::{AcquireOptions, Error, RateLimitedClient};
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
    let admitted = prepare(&client).admit(AcquireOptions::new()).unwrap();
    shown.push(show(&admitted));
    let refused = admitted.send(AcquireOptions::new()).unwrap_err();
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

/// A key as a server may quote it: escaped, encoded, in pieces.
fn forms(key: &str) -> Vec<String> {
    let each = |form: fn(char) -> String| key.chars().map(form).collect::<String>();
    vec![
        key.replace('/', "\\\\/"),
        each(|char| format!("\\u{:04x}", u32::from(char))),
        each(|char| format!("\\\\u{:04x}", u32::from(char))),
        each(|char| format!("%{:02x}", u32::from(char))),
        each(|char| format!("&#{};", u32::from(char))),
        each(|char| format!("{char} ")),
        each(|char| format!("{char}\\u001b[0m")),
        "c2svdGVzdC80ZjFkMGM5ZTdh".to_owned(),         // Base64
        "dXNlcjpzay90ZXN0LzRmMWQwYzllN2E=".to_owned(), // of `user:` and the key
        each(|char| format!("{:02x}", u32::from(char))),
    ]
}

#[test]
fn a_key_is_hidden_in_every_form_and_field() {
    let key = "sk/test/4f1d0c9e7a";
    for form in forms(key) {
        let fields = ["message", "code", "type", "status", "param"];
        let bodies = fields.map(|field| format!(r#"{{"error":{{"{field}":"key {form}"}}}}"#));
        let names =
            format!(r#"{{"error":{{"message":"no","details":[{{"{form}":["{form}"]}}]}}}}"#);
        let page = format!("<html>{form}</html>");
        for body in bodies.into_iter().chain([names, page]) {
            for status in [400, 200] {
                let server = Scripted::start([
                    Step::json(status, &[], &body),
                    Step::json(status, &[], &body),
                ]);
                let client = builder(server.base_url()).api_key(key).max_retries(0);
                let error = client.build().unwrap().chat("a").unwrap_err();
                let shown = show_error(&error);
                assert!(shown.contains("[secret]"), "{body}: {shown}");
                for part in ["4f1d0c9e", "34663164", "NGYxZDBj", "RmMWQwYz", "4 f 1 d"] {
                    assert!(!shown.contains(part), "{body}: {shown}");
                }
            }
        }
    }
}

#[test]
fn a_key_of_other_characters_is_refused_at_the_start() {
    for key in [
        "sk-ä",
        "sk 1",
        "sk\t1",
        "sk-\u{7f}",
        "sk-“1”",
        "sk-\u{200b}1",
    ] {
        for name in ["authorization", "api-key", "x-goog-api-key"] {
            let with_header = builder("http://127.0.0.1:9").header(name, key);
            let refused = match key {
                "sk 1" => continue, // a scheme and a key
                _ => with_header.build().unwrap_err().to_string(),
            };
            assert!(
                refused.contains("characters") || refused.contains("HTTP"),
                "{refused}"
            );
            assert!(!refused.contains(key), "{refused}");
        }
        let refused = builder("http://127.0.0.1:9").api_key(key).build();
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("characters") && !refused.contains(key),
            "{refused}"
        );
    }
}

#[test]
fn the_beginning_of_an_endless_error_is_enough() {
    let long = "a".repeat(3 << 20);
    let head = "HTTP/1.1 400 Scripted\r\nContent-Length: 9000000000\r\n\r\n";
    let server = Scripted::start([Step::Answer(format!("{head}{long}"))]);
    // Whoever waits for the rest waits for the time-out, and has another error.
    let error = builder(server.base_url()).build().unwrap().chat("a");
    let Err(Error::Api(error)) = error else {
        panic!("{error:?}");
    };
    assert!(error.message.ends_with('…'), "{}", error.message);
    assert!(error.message.len() < 1_000, "{}", error.message);
}
