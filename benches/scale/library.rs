//! The library from plain threads: each sends one request, and all wait for their responses at once.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use paceline::{Limits, RateLimitedClient};

use crate::Result;
use crate::server::{Server, Terms};
use crate::system::{raise_descriptor_limit, resident};

pub(crate) const FLAG: &str = "--library";

/// Prints the resident memory of the process, in bytes: before its threads, while they wait, and how many
/// requests failed.
pub(crate) fn run(mut arguments: impl Iterator<Item = String>) -> Result<ExitCode> {
    let mut next = || arguments.next().ok_or("too few arguments");
    let (url, threads): (String, usize) = (next()?, next()?.parse()?);
    raise_descriptor_limit()?;
    let limits = Limits::builder()
        .tokens_per_minute(1_000_000_000_000)
        .requests_per_minute(1_000_000_000)
        .build()?;
    let client = RateLimitedClient::builder()
        .base_url(url)
        .api_key("simulated")
        .model("gpt-4o-mini")
        .max_completion_tokens(16)
        .max_retries(0)
        .limits(limits)
        .build()?;
    // Loads what is loaded once: the encoding, and certificates.
    client.chat("Say 0.")?;
    let before = resident()?;
    let all_there = Barrier::new(threads + 1);
    let (during, failed) = thread::scope(|scope| -> Result<_> {
        let mut running = Vec::with_capacity(threads);
        for number in 0..threads {
            let (client, all_there) = (&client, &all_there);
            running.push(scope.spawn(move || {
                all_there.wait();
                client.chat(format!("Say {number}.")).is_err()
            }));
        }
        all_there.wait();
        // The server holds each for longer than all take to arrive; the most is at the end of that.
        let mut most = 0;
        while !running.iter().any(thread::ScopedJoinHandle::is_finished) {
            most = most.max(resident()?);
            thread::sleep(Duration::from_millis(20));
        }
        let failed = running
            .into_iter()
            .map(|thread| thread.join().unwrap_or(true));
        Ok((most, failed.filter(|failed| *failed).count()))
    })?;
    println!("{before} {during} {failed}");
    Ok(ExitCode::SUCCESS)
}

/// Prints what a plain thread takes that waits for its response in the library's client.
pub(crate) fn print(folder: &Path, quick: bool) -> Result<()> {
    println!("\nthe library from plain threads      threads       MB   kB a thread   failed");
    for tls in [false, true] {
        for threads in [1_000_u64, 5_000, 10_000] {
            let threads = if quick { threads / 100 } else { threads };
            let terms = Terms {
                latency: Duration::from_secs(if quick { 1 } else { 20 }),
                rate: 0,
            };
            let server = Server::start(terms, tls.then_some(folder))?;
            let output = Command::new(env::current_exe()?)
                .args([FLAG, server.url(), &threads.to_string()])
                .env("SSL_CERT_FILE", folder.join("ca.pem"))
                .output()?;
            server.end()?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let numbers: Vec<u64> = said.split_whitespace().flat_map(str::parse).collect();
            let [before, during, failed] = numbers[..] else {
                return Err(format!("the threads said {said:?}").into());
            };
            let each = during.saturating_sub(before) / threads / 1_024;
            println!(
                "{:<35} {threads:>7} {:>8} {each:>13} {failed:>8}",
                if tls { "over TLS" } else { "plain" },
                during >> 20
            );
        }
    }
    Ok(())
}
