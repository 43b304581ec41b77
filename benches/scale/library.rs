//! The library from plain threads and from `parallel`: what each takes that waits for its response, and how
//! soon a token ends them all.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use paceline::parallel::Workers;
use paceline::{CallOptions, CancelToken, Limits, RateLimitedClient};

use crate::Result;
use crate::server::{Server, Terms};
use crate::system::{raise_descriptor_limit, resident};

pub(crate) const FLAG: &str = "--library";

/// Until all requests of a token that is cancelled have returned; with 100 in flight, as 10,000 threads that are
/// woken at once wait for the processor first.
const AIM_CANCEL: Duration = Duration::from_millis(50);
const CANCELLED: usize = 100;

/// Prints the resident memory of the process, in bytes: before its threads, and while they wait; how many
/// requests failed; and how many milliseconds passed after the token was cancelled, if it was.
pub(crate) fn run(mut arguments: impl Iterator<Item = String>) -> Result<ExitCode> {
    let mut next = || arguments.next().ok_or("too few arguments");
    let (url, threads): (String, usize) = (next()?, next()?.parse()?);
    let how = next()?;
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
    let token = CancelToken::new();
    let options = CallOptions::new().cancel(&token);
    let one = |number: usize| {
        client
            .chat_with(format!("Say {number}."), &options)
            .is_err()
    };
    let has_ended = AtomicBool::new(false);
    let mut until_all_ended = Duration::ZERO;
    let (during, failed) = thread::scope(|scope| -> Result<_> {
        let running = scope.spawn(|| {
            let failed = match &*how {
                "parallel" => in_parallel(threads, one, &has_ended),
                _ => on_threads(threads, one, &has_ended),
            };
            (failed.map_err(|error| error.to_string()), Instant::now())
        });
        // The server holds each for longer than all take to arrive; the most is at the end of that.
        let mut most = 0;
        let started = Instant::now();
        let mut cancelled_at = None;
        while !has_ended.load(Ordering::Relaxed) {
            most = most.max(resident()?);
            if how == "cancel" && cancelled_at.is_none() && started.elapsed().as_secs() >= 1 {
                cancelled_at = Some(Instant::now());
                token.cancel();
            }
            thread::sleep(Duration::from_millis(20));
        }
        let (failed, at) = running.join().map_err(|_| "a thread panicked")?;
        if let Some(cancelled_at) = cancelled_at {
            until_all_ended = at.duration_since(cancelled_at);
        }
        Ok((most, failed?))
    })?;
    println!("{before} {during} {failed} {}", until_all_ended.as_millis());
    Ok(ExitCode::SUCCESS)
}

fn on_threads(
    threads: usize,
    one: impl Fn(usize) -> bool + Sync,
    has_ended: &AtomicBool,
) -> Result<usize> {
    let all_there = Barrier::new(threads);
    let mut failed = 0;
    thread::scope(|scope| {
        let mut running = Vec::with_capacity(threads);
        for number in 0..threads {
            let (one, all_there) = (&one, &all_there);
            running.push(scope.spawn(move || {
                all_there.wait();
                let failed = one(number);
                has_ended.store(true, Ordering::Relaxed);
                failed
            }));
        }
        for thread in running {
            failed += usize::from(thread.join().unwrap_or(true));
        }
    });
    Ok(failed)
}

fn in_parallel(
    threads: usize,
    one: impl Fn(usize) -> bool + Sync,
    has_ended: &AtomicBool,
) -> Result<usize> {
    let workers = Workers::new(threads)?;
    let failed = workers.map(0..threads, |number| {
        let failed = one(number);
        has_ended.store(true, Ordering::Relaxed);
        failed
    });
    Ok(failed.into_iter().filter(|failed| *failed).count())
}

/// What a process of its own found: memory before and while its threads wait, failures, milliseconds.
fn measured(url: &str, threads: usize, how: &str, folder: &Path) -> Result<[u64; 4]> {
    let output = Command::new(env::current_exe()?)
        .args([FLAG, url, &threads.to_string(), how])
        .env("SSL_CERT_FILE", folder.join("ca.pem"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<u64> = said.split_whitespace().flat_map(str::parse).collect();
    let wrong = |_| format!("the threads said {said:?}");
    Ok(<[u64; 4]>::try_from(numbers).map_err(wrong)?)
}

/// Prints what a thread takes that waits for its response in the library's client.
pub(crate) fn print(folder: &Path, quick: bool) -> Result<()> {
    println!("\nthe library            threads       MB   kB a thread   failed");
    for (tls, how) in [(false, "threads"), (true, "threads"), (false, "parallel")] {
        for threads in [1_000_usize, 5_000, 10_000] {
            let threads = if quick { threads / 100 } else { threads };
            let terms = Terms {
                latency: Duration::from_secs(if quick { 1 } else { 15 }),
                rate: 0,
            };
            let server = Server::start(terms, tls.then_some(folder))?;
            let [before, during, failed, _] = measured(server.url(), threads, how, folder)?;
            server.end()?;
            let each = during.saturating_sub(before) / threads as u64 / 1_024;
            println!(
                "{:<22} {threads:>7} {:>8} {each:>13} {failed:>8}",
                match (how, tls) {
                    ("parallel", _) => "parallel, plain",
                    (_, true) => "threads, over TLS",
                    _ => "threads, plain",
                },
                during >> 20
            );
        }
    }
    Ok(())
}

/// Prints how long a token takes to end requests in flight, and returns whether the aim is met.
pub(crate) fn cancel(folder: &Path, quick: bool) -> Result<bool> {
    println!("\na token that is cancelled   in flight   ended after");
    let mut is_met = true;
    for tls in [false, true] {
        // The first request loads what is loaded once, and is answered; the others are cancelled before.
        let terms = Terms {
            latency: Duration::from_secs(4),
            rate: 0,
        };
        let server = Server::start(terms, tls.then_some(folder))?;
        let [.., millis] = measured(server.url(), CANCELLED, "cancel", folder)?;
        server.end()?;
        println!(
            "{:<27} {CANCELLED:>9} {millis:>10} ms",
            if tls { "over TLS" } else { "plain" }
        );
        if !quick && Duration::from_millis(millis) > AIM_CANCEL {
            println!(
                "    time: {millis} ms, aim {} ms: MISSED",
                AIM_CANCEL.as_millis()
            );
            is_met = false;
        }
    }
    Ok(is_met)
}
