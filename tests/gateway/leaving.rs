//! Clients that hang up, and drains.

use std::io::Read;
use std::net::Shutdown;
use std::time::Duration;

use paceline::sim::{SimConfig, SimLimits};
use paceline::{Limits, Unit};

use crate::harness::*;

#[test]
fn a_client_that_hangs_up_leaves_the_queue_and_costs_nothing() {
    let simulator = free_simulator();
    let limits = Limits::builder()
        .per_day(Unit::Requests, 1)
        .build()
        .unwrap();
    let registry = registry(limits.clone());
    let upstream = upstream(&simulator.base_url(), limits).registry(registry.clone());
    let gateway = builder(upstream).start().unwrap();
    let addr = gateway.local_addr();
    assert_eq!(
        Client::new(addr)
            .post(CHAT, "", &chat(1).to_string())
            .status,
        200
    );
    let limiter = registry.limiter_for("gpt-4o-mini");
    let mut clients: Vec<_> = (0..3).map(|_| Client::new(addr)).collect();
    for client in &mut clients {
        client.send_post(CHAT, "", &chat(1).to_string());
    }
    until(|| limiter.snapshot().waiters == 3);
    let level = limiter.snapshot().quotas[0].level;
    // It listens on: that is no hang-up.
    clients[0].stream.shutdown(Shutdown::Write).unwrap();
    clients.truncate(1);
    until(|| limiter.snapshot().waiters == 1);
    assert_eq!(limiter.snapshot().quotas[0].level, level);
    // The grace is over at once: what still waits hears so.
    assert!(!gateway.drain(Duration::ZERO));
    let answer = clients[0].answer();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["error"]["code"], "shutting_down");
    assert_eq!(simulator.report().received, 1);
}

#[test]
fn one_that_only_shuts_down_its_side_gets_its_response() {
    let simulator = free_simulator();
    let gateway = builder(upstream(&simulator.base_url(), unlimited()))
        .start()
        .unwrap();
    let mut client = Client::new(gateway.local_addr());
    client.send_post(CHAT, "", &chat(1).to_string());
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_drain_finishes_what_has_come() {
    let config = SimConfig::new().default_limits(SimLimits::default());
    let simulator = simulator(config.latency(Duration::from_millis(300)));
    let gateway = builder(upstream(&simulator.base_url(), unlimited()))
        .start()
        .unwrap();
    let mut idle = Client::new(gateway.local_addr());
    let mut busy = Client::new(gateway.local_addr());
    busy.send_post(CHAT, "", &chat(1).to_string());
    until(|| simulator.report().most_in_flight == 1);
    assert!(gateway.drain(SOON));
    let answer = busy.answer();
    assert_eq!(
        (answer.status, answer.header("connection")),
        (200, Some("keep-alive"))
    );
    assert_eq!(idle.stream.read(&mut [0]).unwrap_or(0), 0);
    assert!(std::net::TcpStream::connect(gateway.local_addr()).is_err());
}
