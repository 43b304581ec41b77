//! Servers that cannot be reached, and a machine that has no room: facts of the run, which fail no
//! request.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use paceline::sim::{SimConfig, SimLimits, Simulator};

use crate::harness::{Cmd, Folder, chats};

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn api(port: u16) -> SimConfig {
    SimConfig::new()
        .default_limits(SimLimits::default())
        .port(port)
}

fn run(folder: &Folder, base_url: &str) -> Cmd {
    folder
        .run(base_url)
        .args(["--max-retries", "0", "--summary", "-"])
}

/// A proxy that takes connections and lets nothing pass, and how many it took.
fn refusing_proxy(says: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let mut head = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while head.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let _ = stream.write_all(says.as_bytes());
        }
    });
    (url, taken)
}

#[track_caller]
fn assert_none_failed(folder: &Folder) {
    assert_eq!(folder.read("in.errors.jsonl"), "");
}

#[test]
fn a_server_that_is_never_reached_ends_the_run_and_fails_no_request() {
    let table = [
        (
            format!("http://127.0.0.1:{}/v1", free_port()),
            "connection refused",
        ),
        (
            "http://no-such-host.invalid/v1".to_owned(),
            "no-such-host.invalid",
        ),
    ];
    for (url, reason) in table {
        let folder = Folder::with_input(chats(300));
        let output = run(&folder, &url)
            .args(["--connect-patience", "2"])
            .ends_with(3);
        output.says(&[
            &format!("paceline: cannot reach {url}: "),
            reason,
            "; retrying; is --base-url right?",
            "the same command resumes the run",
        ]);
        assert_eq!(output.stderr.matches("is --base-url right?").count(), 1);
        let summary = output.summary();
        assert_eq!(summary["ending"], "unreachable", "{output}");
        assert_eq!(
            (&summary["failed"], &summary["retries"]),
            (&0.into(), &0.into())
        );
        assert_none_failed(&folder);
    }
}

#[test]
fn a_connection_that_is_not_established_is_told_of_and_given_up() {
    // Its backlog is full, so the system answers nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
        assert!(waiting.len() < 10_000, "the backlog has no end");
    }
    let url = format!("http://{address}/v1");
    let folder = Folder::with_input(chats(5));
    let output = run(&folder, &url)
        .args(["--connect-patience", "4"])
        .ends_with(3);
    output.says(&[&format!("still connecting to {url}")]);
    assert_eq!(output.summary()["ending"], "unreachable", "{output}");
    assert_none_failed(&folder);
    // Whoever waits for it can stop at once.
    let began = Instant::now();
    let mut running = run(&folder, &url).start();
    let stderr = running.wait_for_word("still connecting");
    running.signal("TERM");
    running.wait_for_end(stderr, "interrupted", 143);
    let time = began.elapsed();
    assert!(
        time < Duration::from_secs(9),
        "{time:?}: a connect takes 10 s"
    );
}

#[test]
fn a_server_that_comes_late_or_goes_away_costs_no_request_and_no_retry() {
    let port = free_port();
    let folder = Folder::with_input(chats(300));
    let url = format!("http://127.0.0.1:{port}/v1");
    let mut running = folder
        .run(&url)
        .args(["--max-in-flight", "4", "--max-retries", "2"])
        .start();
    let stderr = running.wait_for_word("is --base-url right?");
    let latency = Duration::from_millis(20);
    let first = Simulator::start(api(port).latency(latency)).unwrap();
    folder.wait_for_lines("in.results.jsonl", 50);
    drop(first);
    assert_ne!(folder.whole_lines("in.results.jsonl"), 300);
    // Longer than two retries take.
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        thread::sleep(Duration::from_millis(50));
    }
    let _second = Simulator::start(api(port).latency(latency)).unwrap();
    running.wait_for_end(stderr, "requests wait until it is back", 0);
    folder.assert_each_once(300);
    assert_none_failed(&folder);
}

#[test]
fn a_run_that_waits_for_its_server_can_be_stopped_at_any_moment() {
    let url = format!("http://127.0.0.1:{}/v1", free_port());
    let folder = Folder::with_input(chats(300));
    let output = run(&folder, &url).args(["--deadline", "2"]).ends_with(4);
    assert_eq!(output.summary()["ending"], "deadline");
    let mut running = run(&folder, &url).start();
    let stderr = running.wait_for_word("cannot reach");
    running.signal("INT");
    running.wait_for_end(stderr, "interrupted", 130);
    assert_none_failed(&folder);
}

/// A server that speaks TLS with a certificate that nobody trusts, if there is an `openssl`.
fn untrusted(folder: &Folder, port: u16) -> Option<Child> {
    let [key, certificate] = ["key.pem", "crt.pem"].map(|name| folder.path(name));
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
        ])
        .args(["-subj", "/CN=localhost", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    if made.is_err() {
        let required = env::var_os("PACELINE_REQUIRE_ALL").is_some();
        assert!(
            !required,
            "PACELINE_REQUIRE_ALL is set, and there is no openssl"
        );
        println!("skipped: there is no openssl");
        return None;
    }
    let mut server = Command::new("openssl")
        .args(["s_server", "-www", "-accept", &port.to_string(), "-key"])
        .arg(&key)
        .arg("-cert")
        .arg(&certificate)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let ready = lines
        .map_while(Result::ok)
        .any(|line| line.contains("ACCEPT"));
    assert!(ready);
    Some(server)
}

#[test]
fn a_certificate_that_is_not_valid_ends_the_run_at_once() {
    let folder = Folder::with_input(chats(50));
    let port = free_port();
    let Some(mut server) = untrusted(&folder, port) else {
        return;
    };
    let output = run(&folder, &format!("https://127.0.0.1:{port}/v1")).ends_with(3);
    server.kill().unwrap();
    server.wait().unwrap();
    output.says(&["certificate", "the same command resumes the run"]);
    assert_eq!(output.summary()["ending"], "certificate", "{output}");
    assert_none_failed(&folder);
}

#[test]
fn a_machine_without_descriptors_has_fewer_requests_in_flight_and_fails_none() {
    let latency = Duration::from_millis(300);
    let api = Simulator::start(api(0).latency(latency)).unwrap();
    let folder = Folder::with_input(chats(400));
    let limited = |limit: &str| {
        let run = run(&folder, &api.base_url()).args(["--max-in-flight", "200"]);
        run.in_shell(&format!("ulimit {limit}; exec \"$@\""))
            .ends_with(0)
    };
    let output = limited("-n 64");
    output.says(&["too many open files", "fewer requests at once"]);
    assert_eq!(output.stderr.matches("fewer requests at once").count(), 1);
    folder.assert_each_once(400);
    assert_none_failed(&folder);
    // Without a number no more are taken than there is room for.
    let folder = Folder::with_input(chats(400));
    let few = run(&folder, &api.base_url()).in_shell("ulimit -n 64; exec \"$@\"");
    let output = few.ends_with(0);
    output.says(&["the limit of open files (32 in flight; ulimit -n)"]);
    assert_none_failed(&folder);
    // A soft limit alone is raised.
    let folder = Folder::with_input(chats(400));
    let raised = run(&folder, &api.base_url()).in_shell("ulimit -S -n 64; exec \"$@\"");
    let output = raised.ends_with(0);
    assert!(!output.stderr.contains("open files"), "{output}");
    assert!(
        output.summary()["max_in_flight"].as_u64() > Some(64),
        "{output}"
    );
}

/// A connection to the proxy is none to the server: taken for one, each refusal would begin a new
/// outage, whose first probe waits for nothing.
#[test]
fn a_proxy_that_lets_nothing_pass_is_probed_with_pauses_until_patience_ends() {
    let answers = [
        "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        "SSH-2.0-x\r\n",
        "",
    ];
    for says in answers {
        let (proxy, taken) = refusing_proxy(says);
        let folder = Folder::with_input(chats(20));
        let output = run(&folder, "http://api.test/v1")
            .args(["--connect-patience", "2"])
            .env("http_proxy", &proxy)
            .env("no_proxy", "")
            .ends_with(3);
        output.says(&["paceline: cannot reach http://api.test/v1: ", &proxy]);
        assert_none_failed(&folder);
        let taken = taken.load(Ordering::SeqCst);
        assert!(taken < 200, "{says:?}: {taken} connections");
    }
}
