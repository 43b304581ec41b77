//! A limiter that processes share over a store: how fast, in how many trips, and how late.
//!
//! `cargo bench --features redis --bench shared` prints each figure beside its aim, and ends with
//! status 1 if one is missed; with `-- --quick` it is for finding out whether it runs. It starts a `redis-server` of its own, and itself for the processes.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "a bench measures real time"
)]

#[allow(dead_code, reason = "tests use the rest")]
#[path = "../../tests/shared/server.rs"]
mod server;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use paceline::{Cost, Limits, Quota, RateLimiter, SharedStore, Unit};

use server::Server;

const WORK: &str = "PACELINE_BENCH_STORE";
const LENGTH: Duration = Duration::from_secs(3);
const THREADS: usize = 64;

fn main() -> ExitCode {
    if let Ok(url) = std::env::var(WORK) {
        work(&url);
        return ExitCode::SUCCESS;
    }
    let Some(server) = Server::start() else {
        return ExitCode::SUCCESS;
    };
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let mut is_met = true;
    let mut aim = |what: &str, value: f64, is_good: bool, aim: &str| {
        let verdict = if is_good { "" } else { "  MISSED" };
        println!("{what:<62} {value:>10.3}   aim: {aim}{verdict}");
        is_met &= is_good;
    };
    let bare = bare(&server);
    println!(
        "{:<62} {bare:>10.0}",
        "bare round trips a second, one connection"
    );
    let one = processes(&server, 1);
    println!(
        "{:<62} {:>10.2}",
        "grants a bare round trip, 1 process of 64 threads",
        one / bare
    );
    aim(
        "grants a second on one key, 1 process of 64 threads",
        one,
        one >= 20_000.0,
        "20,000",
    );
    let eight = processes(&server, 8);
    aim(
        "grants a second on one key, 8 processes of 64 threads",
        eight,
        eight >= 20_000.0,
        "20,000",
    );
    for rate in [100, 1_000, 10_000] {
        let trips = trips(&server, rate);
        let what = format!("round trips a grant when 100 wait, {rate} a second");
        aim(&what, trips, trips <= 0.1, "0.1");
    }
    let late = late(&server);
    aim(
        "p99 of the wait beyond the ideal, 1,000 waiters, in ms",
        late,
        late < 50.0,
        "50",
    );
    let memory = memory(&server);
    println!(
        "{:<62} {memory:>10.0}",
        "bytes in the store for a limiter with 8 processes"
    );
    match is_met || is_quick {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn limiter(url: &str, name: &str, per_second: u64, burst: u64) -> RateLimiter {
    let quota = Quota::per_second(Unit::Requests, per_second).unwrap();
    let limits = Limits::builder()
        .quota(quota.with_burst(burst))
        .build()
        .unwrap();
    let store = SharedStore::builder(url).start_full(true).build().unwrap();
    RateLimiter::builder(limits).share(&store, name).build()
}

/// What the store and the machine can do at all.
fn bare(server: &Server) -> f64 {
    let stream = std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut lines, mut stream) = (BufReader::new(stream.try_clone().unwrap()), stream);
    let (start, mut trips) = (Instant::now(), 0_u32);
    let mut line = String::new();
    while start.elapsed() < Duration::from_secs(1) {
        stream.write_all(b"PING\r\n").unwrap();
        line.clear();
        lines.read_line(&mut line).unwrap();
        trips += 1;
    }
    f64::from(trips) / start.elapsed().as_secs_f64()
}

/// Grants a second of so many processes, at a limit that holds nobody up.
fn processes(server: &Server, count: usize) -> f64 {
    let start = || -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(WORK, server.url());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut children: Vec<Child> = (0..count).map(|_| start()).collect();
    let mut outputs: Vec<_> = children
        .iter_mut()
        .map(|child| BufReader::new(child.stdout.take().unwrap()).lines())
        .collect();
    for output in &mut outputs {
        assert_eq!(output.next().unwrap().unwrap(), "ready");
    }
    for child in &mut children {
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
    let mut grants = 0.0;
    for (child, output) in children.iter_mut().zip(&mut outputs) {
        grants += output.next().unwrap().unwrap().parse::<f64>().unwrap();
        child.wait().unwrap();
    }
    grants
}

fn work(url: &str) {
    let limiter = limiter(url, "fast", 1_000_000_000, 1_000_000_000);
    drop(limiter.acquire(Cost::tokens(1)).unwrap());
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let (start, grants) = (Instant::now(), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while start.elapsed() < LENGTH {
                    drop(limiter.acquire(Cost::tokens(1)).unwrap());
                    grants.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    println!(
        "{}",
        grants.into_inner() as f64 / start.elapsed().as_secs_f64()
    );
}

/// Round trips for each grant while 100 threads wait.
fn trips(server: &Server, rate: u64) -> f64 {
    let limiter = limiter(&server.url(), &format!("trips {rate}"), rate, 1);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                while start.elapsed() < LENGTH {
                    drop(limiter.acquire(Cost::tokens(1)).unwrap());
                }
            });
        }
    });
    let seen = limiter.snapshot().store.unwrap();
    seen.syncs as f64 / seen.booked as f64
}

/// The 99th percentile of how much later than ideal a thousand waiters were granted, in ms.
fn late(server: &Server) -> f64 {
    const RATE: u64 = 1_000;
    let limiter = limiter(&server.url(), "late", RATE, 1);
    let granted = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..1_000 {
            scope.spawn(|| {
                for _ in 0..3 {
                    drop(limiter.acquire(Cost::tokens(1)).unwrap());
                    granted.lock().unwrap().push(Instant::now());
                }
            });
        }
    });
    let mut granted = granted.into_inner().unwrap();
    granted.sort();
    let behind = |(index, at): (usize, &Instant)| {
        (*at - granted[0]).as_secs_f64() - index as f64 / RATE as f64
    };
    let behind: Vec<f64> = granted.iter().enumerate().map(behind).collect();
    // The best that was ever reached is the ideal.
    let ideal = behind.iter().copied().fold(f64::MAX, f64::min);
    let mut late: Vec<f64> = behind.iter().map(|behind| behind - ideal).collect();
    late.sort_by(f64::total_cmp);
    late[late.len() * 99 / 100] * 1_000.0
}

/// What all keys of a limiter take that eight processes share, and wait for.
fn memory(server: &Server) -> f64 {
    let limiters: Vec<_> = (0..8)
        .map(|_| limiter(&server.url(), "memory", 1, 1))
        .collect();
    thread::scope(|scope| {
        for limiter in &limiters {
            scope.spawn(|| drop(limiter.acquire(Cost::tokens(1))));
        }
        while server.say(&["ZCARD", "paceline:{memory}:alive"]) != "8" {
            thread::yield_now();
        }
        let keys = server.say(&["KEYS", "paceline:{memory}:*"]);
        let of = |key: &str| -> f64 { server.say(&["MEMORY", "USAGE", key]).parse().unwrap() };
        let sum = keys.lines().map(of).sum();
        limiters.iter().for_each(RateLimiter::close);
        sum
    })
}
