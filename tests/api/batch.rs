//! Runs: who is told of each line, and what stops them.

use std::fmt::Write;
use std::fs;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use paceline::batch::{Bound, Input, Money, Prices, RequestLine, Run, StopReason};
use paceline::{CancelToken, ChatRequest, LimitTable, Limits, RateLimitedClient, Registry};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{KEY, SOON, builder, client, free_simulator};

const LINES: usize = 40;

/// So many chat requests, `r0` and so on, and a line that is none.
fn lines(count: usize) -> String {
    let mut text = "{}\n".to_owned();
    for number in 0..count {
        let line = json!({
            "custom_id": format!("r{number}"),
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": "gpt-4o-mini",
                "messages": [{"role": "user", "content": "How far is the moon?"}],
                "max_completion_tokens": 16,
            },
        });
        writeln!(text, "{line}").unwrap();
    }
    text
}

fn run(base_url: &str, folder: &Path) -> Run {
    let input = Input::reader("in.jsonl", Cursor::new(lines(LINES)));
    Run::new(client(base_url), input)
        .output(folder.join("results.jsonl"))
        .errors(folder.join("errors.jsonl"))
}

fn prices() -> Prices {
    Prices::from_toml("[models.gpt-4o-mini]\ninput = 0.15\noutput = 0.6").unwrap()
}

/// The ids of the results, sorted.
fn results(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("results.jsonl")).unwrap();
    let id = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["custom_id"].as_str().unwrap().to_owned()
    };
    let mut ids: Vec<String> = text.lines().map(id).collect();
    ids.sort();
    ids
}

#[test]
fn each_finished_line_is_told_after_it_was_written() {
    let (api, folder) = (free_simulator(), TempDir::new().unwrap());
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let file = folder.path().join("results.jsonl");
    let run = run(&api.base_url(), folder.path()).prices(prices());
    let summary = run.on_result(move |line| {
        let id = line.custom_id.unwrap_or("none").to_owned();
        assert_eq!(line.usage.is_some(), line.succeeded);
        assert_eq!(line.attempts, line.succeeded.then_some(1));
        if line.succeeded {
            let written = fs::read_to_string(&file).unwrap();
            assert!(written.contains(&format!("\"custom_id\":\"{id}\"")), "{id}");
        }
        heard.lock().unwrap().push((id, line.cost));
    });
    let summary = summary.run().unwrap();
    let told = told.lock().unwrap();
    assert_eq!((told.len(), summary.failed), (LINES + 1, 1));
    let none: Vec<_> = told.iter().filter(|(_, cost)| cost.is_none()).collect();
    assert_eq!(none, [&("none".to_owned(), None)]);
    let costs = told.iter().filter_map(|(_, cost)| *cost);
    let sum = costs.fold(Money::ZERO, Money::saturating_add);
    assert_eq!(summary.cost, Some(sum));
    assert!(sum > Money::ZERO);
}

#[test]
fn a_callback_that_panics_stops_the_run_and_loses_no_line() {
    let (api, folder) = (free_simulator(), TempDir::new().unwrap());
    let run = run(&api.base_url(), folder.path()).max_in_flight(4);
    let mut calls = 0;
    let run = run.on_result(move |line| {
        calls += 1;
        assert!(calls <= 5, "{:?} is one too many", line.custom_id);
    });
    let panic = catch_unwind(AssertUnwindSafe(|| run.run())).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("is one too many"), "{message}");
    // All that was sent is written: 6 at least, for one of them is no request.
    let received = usize::try_from(api.report().received).unwrap();
    let written = results(folder.path());
    assert_eq!(written.len(), received);
    assert!(written.len() >= 5, "{written:?}");

    let summary = self::run(&api.base_url(), folder.path()).run().unwrap();
    assert_eq!(summary.resumed, written.len() as u64);
    assert_eq!(api.report().received, LINES as u64, "nothing is sent twice");
    assert_eq!(results(folder.path()).len(), LINES);
}

/// A reader that panics behind some lines.
struct Broken(Cursor<String>);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        assert!(read > 0, "nothing more");
        Ok(read)
    }
}

#[test]
fn a_reader_that_panics_is_no_end_of_the_input() {
    let (api, folder) = (free_simulator(), TempDir::new().unwrap());
    let input = Input::reader("in.jsonl", Broken(Cursor::new(lines(LINES))));
    let run = Run::new(client(api.base_url()), input)
        .output(folder.path().join("results.jsonl"))
        .errors(folder.path().join("errors.jsonl"));
    let error = run.run().unwrap_err().to_string();
    assert!(
        error.contains("a thread that reads lines has panicked"),
        "{error}"
    );
    assert_eq!(results(folder.path()).len(), LINES, "what was read is run");
}

#[test]
fn a_bound_says_how_far_the_run_came() {
    let (api, folder) = (free_simulator(), TempDir::new().unwrap());
    let most: Money = "0.0001".parse().unwrap();
    let run = run(&api.base_url(), folder.path());
    let summary = run.prices(prices()).max_cost(most).run().unwrap();
    let StopReason::Bound(Bound::Cost {
        budget,
        used,
        needed,
        ..
    }) = summary.ending
    else {
        panic!("{summary:?}");
    };
    assert_eq!((budget, Some(used)), (most, summary.cost));
    assert!(used <= budget && used.saturating_add(needed) > budget);
    assert_eq!(summary.currency.as_deref(), Some("USD"));
    let text = summary.ending.name();
    assert_eq!(text, "max_cost");
}

#[test]
fn a_run_that_is_told_to_stop_with_its_last_line_has_finished() {
    let (api, folder) = (free_simulator(), TempDir::new().unwrap());
    let path = folder.path().join("in.jsonl");
    for (lines_told, ending) in [
        (LINES + 1, StopReason::Finished),
        (1, StopReason::Interrupted),
    ] {
        fs::write(&path, lines(LINES)).unwrap();
        let stop = CancelToken::new();
        let run = Run::new(client(api.base_url()), Input::file(&path).unwrap());
        let run = run.fresh(true).stop(&stop).max_in_flight(4);
        let mut told = 0;
        let run = run.on_result(move |_| {
            told += 1;
            if told == lines_told {
                stop.cancel();
            }
        });
        assert_eq!(run.run().unwrap().ending, ending);
    }
}

/// Requests of two models: many of the first, then some of the second.
fn two_models(first: usize, second: usize) -> String {
    let mut text = String::new();
    for number in 0..first + second {
        let model = if number < first { "m-stuck" } else { "m-free" };
        let body = json!({"model": model, "input": "Hello"});
        let id = format!("{model}-{number}");
        let line = json!({"custom_id": id, "url": "/v1/embeddings", "body": body});
        writeln!(text, "{line}").unwrap();
    }
    text
}

/// Runs `input` until `count` lines are finished, and returns their ids.
fn first_finished(
    client: RateLimitedClient,
    input: String,
    most: usize,
    count: usize,
) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let (stop, ids) = (CancelToken::new(), Arc::new(Mutex::new(Vec::new())));
    let (at_end, told) = (stop.clone(), Arc::clone(&ids));
    Run::new(client, Input::reader("in.jsonl", Cursor::new(input)))
        .output(folder.path().join("results.jsonl"))
        .errors(folder.path().join("errors.jsonl"))
        .max_in_flight(most)
        .grace(Duration::ZERO)
        .stop(&stop)
        .on_result(move |finished| {
            let mut ids = told.lock().unwrap();
            if ids.len() < count {
                ids.push(finished.custom_id.unwrap_or_default().to_owned());
            }
            if ids.len() == count {
                at_end.cancel();
            }
        })
        .run()
        .unwrap();
    let ids = ids.lock().unwrap().clone();
    assert_eq!(ids.len(), count);
    ids
}

/// A server that never answers what has "stuck" in it, until it is dropped.
struct Stuck {
    address: SocketAddr,
    _open: Sender<()>,
}

impl Stuck {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (open, ended) = channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let ended = Arc::clone(&ended);
                thread::spawn(move || answer(&stream.unwrap(), &ended));
            }
        });
        Self {
            address,
            _open: open,
        }
    }
}

fn answer(stream: &TcpStream, ended: &Mutex<Receiver<()>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        if String::from_utf8_lossy(&body).contains("stuck") {
            let _ = ended.lock().map(|ended| ended.recv());
            return;
        }
        let body = r#"{"data":[],"usage":{"prompt_tokens":1}}"#;
        let length = body.len();
        let mut stream = stream;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        io::Write::write_all(&mut stream, format!("{head}{body}").as_bytes()).unwrap();
    }
}

#[test]
fn a_model_whose_server_hangs_idles_no_other() {
    let server = Stuck::start();
    let client = builder(format!("http://{}/v1", server.address))
        .timeout(SOON) // else it would hang where it has to fail
        .max_retries(0)
        .build()
        .unwrap();
    let ids = first_finished(client, two_models(50, 20), 16, 20);
    assert!(ids.iter().all(|id| id.starts_with("m-free")), "{ids:?}");
}

#[test]
fn a_model_that_waits_for_its_limit_idles_no_other_even_with_one_in_flight() {
    let api = free_simulator();
    let mut table = LimitTable::empty(Limits::tokens_per_minute(1_000_000_000).unwrap());
    let one_a_minute = Limits::builder().requests_per_minute(1);
    table.set("m-stuck", one_a_minute.build().unwrap());
    let client = RateLimitedClient::builder()
        .api_key(KEY)
        .base_url(api.base_url())
        .registry(Arc::new(Registry::new(table)))
        .build()
        .unwrap();
    let ids = first_finished(client, two_models(3, 20), 1, 21);
    let stuck = ids.iter().filter(|id| id.starts_with("m-stuck")).count();
    assert_eq!(stuck, 1, "the second one waits for a minute: {ids:?}");
}

#[test]
fn a_run_takes_requests_from_an_iterator() {
    let (api, folder) = (free_simulator(), TempDir::new().unwrap());
    let request = ChatRequest::from("How far is the moon?").model("gpt-4o-mini");
    let rows = (0..LINES).map(move |row| RequestLine::chat(format!("r{row}"), &request));
    let input = Input::from_requests("rows", rows);
    let run = Run::new(client(api.base_url()), input)
        .output(folder.path().join("results.jsonl"))
        .errors(folder.path().join("errors.jsonl"));
    let summary = run.run().unwrap();
    assert_eq!(summary.ending, StopReason::Finished);
    assert_eq!(results(folder.path()).len(), LINES);
}
