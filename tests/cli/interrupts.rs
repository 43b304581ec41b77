//! Ctrl-C in a program around the library, as `examples/embedded_cli.rs` hears it: a real SIGINT ends a
//! stream, a wait for a limit and a pause before a retry at once. The program is this test, run again.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use paceline::{CallOptions, CancelToken, Cost, Error, Limits, RateLimitedClient, RateLimiter};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use crate::server;

const WHAT: &str = "PACELINE_TEST_INTERRUPTED";
const SERVER: &str = "PACELINE_TEST_SERVER";
/// What the program says when it waits, and what it says at its end.
const WAITS: &str = "it waits";
const CANCELLED: &str = "cancelled";
/// Waits are of ten minutes; more than any machine needs is far less.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn an_interrupt_ends_a_stream_a_wait_and_a_pause_at_once() {
    let silent = server::begun();
    let refusing = server::answering(
        "429 Too Many Requests\r\nretry-after: 600",
        r#"{"error":{"message":"Rate limit reached"}}"#,
    );
    for (what, url) in [
        ("stream", silent.base_url.as_str()),
        ("wait", ""),
        ("pause", refusing.base_url.as_str()),
    ] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "interrupts::program", "--nocapture"])
            .env(WHAT, what)
            .env(SERVER, url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains(WAITS) {
            line.clear();
            let read = output.read_line(&mut line).unwrap();
            assert!(read > 0, "{what}: it ended before it waited");
        }
        if what == "pause" {
            refusing.arrived.recv().unwrap();
        }
        let begun = Instant::now();
        let mut kill = Command::new("kill");
        kill.args(["-INT", &child.id().to_string()]);
        assert!(kill.status().unwrap().success());
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        child.wait().unwrap();
        let took = begun.elapsed();
        println!("{what}: ended {took:?} after the signal");
        assert!(rest.contains(CANCELLED), "{what}: {rest}");
        assert!(took < SOON, "{what}: {took:?}");
    }
}

/// The program, where the variables say so.
#[test]
fn program() {
    let Ok(what) = std::env::var(WHAT) else {
        return;
    };
    let stop = CancelToken::new();
    let mut signals = Signals::new([SIGINT]).unwrap();
    let heard = stop.clone();
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            heard.cancel();
        }
    });
    let ended = match what.as_str() {
        "wait" => {
            let limits = Limits::tokens_per_minute(10).unwrap();
            let limiter = RateLimiter::new(limits);
            drop(limiter.acquire(Cost::tokens(10)).unwrap());
            println!("{WAITS}");
            let wait = paceline::AcquireOptions::new().cancel(&stop);
            let ended = limiter.acquire_with(Cost::tokens(9), wait).map(drop);
            ended.map_err(Error::from)
        }
        what => {
            let client = RateLimitedClient::builder()
                .base_url(std::env::var(SERVER).unwrap())
                .api_key("sk-test")
                .build()
                .unwrap();
            let options = CallOptions::new().cancel(&stop);
            match what {
                "stream" => {
                    let mut stream = client.chat_stream_with("a", &options).unwrap();
                    stream.next().unwrap().unwrap();
                    println!("{WAITS}");
                    stream.next().map_or(Ok(()), |piece| piece.map(drop))
                }
                _ => {
                    println!("{WAITS}");
                    client.chat_with("a", &options).map(drop)
                }
            }
        }
    };
    if matches!(ended, Err(Error::Cancelled)) {
        println!("{CANCELLED}");
    }
}
