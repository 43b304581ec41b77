//! What is left behind by clients that break off, and by a server that fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests play many clients at once, from plain threads"
)]

#[allow(dead_code, reason = "other tests use the rest")]
mod harness;

use std::fs;
use std::io::{Read, sink};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use paceline::sim::{Fault, SimConfig, SimLimits};
use serde_json::json;

use harness::*;

/// Threads and descriptors of this process.
fn held() -> (usize, usize) {
    let count = |path| fs::read_dir(path).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[test]
fn no_permit_no_thread_and_no_descriptor_is_left() {
    let before = held();
    let config = SimConfig::new()
        .default_limits(SimLimits::default())
        .latency(Duration::from_millis(5))
        .fault(Fault::Drop, 0.1)
        .fault(Fault::DropMidway, 0.1)
        .fault(Fault::ServerError, 0.1);
    let simulator = simulator(config);
    let registry = registry(unlimited());
    let upstream = upstream(&simulator.base_url(), unlimited()).registry(registry.clone());
    let gateway = builder(upstream).start().unwrap();
    let addr = gateway.local_addr();
    thread::scope(|scope| {
        for number in 0..16_u64 {
            scope.spawn(move || {
                for round in 0..20 {
                    let mut body = chat(1 + (number * 20 + round) % 50);
                    body["stream"] = json!(round % 3 == 0);
                    let body = body.to_string();
                    let mut client = Client::new(addr);
                    match (number + round) % 5 {
                        // Leaves at once.
                        0 => client.send_post(CHAT, "", &body),
                        // Leaves in the middle of its request.
                        1 => {
                            let half = format!("POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{{");
                            client.send(half);
                        }
                        // Is reset with unread bytes.
                        2 => {
                            client.send_post(CHAT, "", &body);
                            let _ = client.stream.peek(&mut [0]);
                        }
                        3 => {
                            client.send_post(CHAT, "", &body);
                            let _ = client.stream.shutdown(Shutdown::Write);
                            let _ = client.stream.peek(&mut [0]);
                        }
                        _ => {
                            client.send_post(CHAT, "", &body);
                            let _ = std::io::copy(&mut (&client.stream).take(64), &mut sink());
                        }
                    }
                }
            });
        }
    });
    let limiter = registry.limiter_for("gpt-4o-mini");
    until(|| {
        let snapshot = limiter.snapshot();
        (snapshot.in_flight, snapshot.waiters) == (0, 0)
    });
    assert!(gateway.drain(SOON));
    drop(gateway);
    drop(simulator);
    // The alarm clock of limits is the process's own.
    until(|| {
        let (threads, descriptors) = held();
        threads <= before.0 + 1 && descriptors <= before.1 + 1
    });
}
