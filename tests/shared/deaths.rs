//! Processes that die, and processes that stand still.

use std::time::Duration;

use paceline::OnStoreOutage;

use super::server::Server;
use super::support::SECOND;
use super::workers::{Log, PATIENCE, Work, ahead_of};

const RATE: u64 = 100;

fn work(server: &Server, seconds: u32) -> Work {
    Work {
        store: server.url(),
        on_outage: OnStoreOutage::Wait,
        rate: RATE,
        burst: 10,
        cost: 1,
        threads: 16,
        length: SECOND * seconds,
        patience: PATIENCE,
        api: String::new(),
    }
}

#[test]
fn a_process_killed_every_second_exceeds_nothing_and_holds_nobody_up() {
    let Some(server) = Server::start() else {
        return;
    };
    let log = Log::default();
    let work = work(&server, 60);
    let mut next = 0;
    let mut start = || {
        let mut worker = work.start(next, &log);
        worker.begin();
        next += 1;
        worker
    };
    let mut workers: Vec<_> = (0..4).map(|_| start()).collect();
    let deaths = 7;
    for _ in 0..deaths {
        std::thread::sleep(SECOND);
        workers.remove(0).kill();
        workers.push(start());
    }
    for worker in workers {
        worker.kill();
    }
    let granted = log.granted();
    let (first, last) = (granted[0].0, granted[granted.len() - 1].0);
    let share = granted.len() as f64 / ((last - first) * RATE as f64);
    let most = ahead_of(RATE, &granted);
    eprintln!("use {share:.3}, {most:.1} ahead at most");
    // The burst, and what may be late by half a second on a machine that does other things as well.
    assert!(most <= 10.0 + RATE as f64 / 2.0, "{most}");
    // Each death costs a slice of a sixteenth of a second, and its fellows' patience.
    assert!(share >= 0.7, "{share}");
}

#[test]
fn a_process_that_stood_still_uses_nothing_of_what_went_to_others() {
    let Some(server) = Server::start() else {
        return;
    };
    let log = Log::default();
    let work = work(&server, 9);
    let mut workers = [work.start(0, &log), work.start(1, &log)];
    for worker in &mut workers {
        worker.begin();
    }
    std::thread::sleep(SECOND * 2);
    workers[0].signal("STOP");
    std::thread::sleep(SECOND * 5);
    workers[0].signal("CONT");
    for worker in &mut workers {
        worker.end();
    }
    let granted = log.granted();
    let most = ahead_of(RATE, &granted);
    let share = granted.len() as f64 / (9.0 * RATE as f64);
    eprintln!("use {share:.3}, {most:.1} ahead at most");
    assert!(most <= 10.0 + RATE as f64 / 2.0, "{most}");
    assert!(share >= 0.8, "{share}");
    let alone = granted
        .iter()
        .filter(|(at, _)| (3.5..6.5).contains(&(at - granted[0].0)));
    let alone = alone.count() as f64 / (3.0 * RATE as f64);
    assert!(alone >= 0.8, "the other goes on: {alone}");
}

#[test]
fn a_process_that_ends_hands_back_what_it_had() {
    let Some(server) = Server::start() else {
        return;
    };
    let limits = super::support::tokens(100);
    let one = super::support::limiter(&server.url(), limits.clone());
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let late = one.acquire_timeout(paceline::Cost::tokens(80), Duration::from_millis(900));
            late.map(drop)
        });
        super::support::until("it is booked", || one.snapshot().head_due.is_some());
        one.close();
        assert!(waits.join().unwrap().is_err());
    });
    drop(one); // joins the thread, which has said so
    assert_eq!(server.say(&["HLEN", "paceline:{m}:people"]), "0");
    let levels = server.say(&["HGET", "paceline:{m}:state", "levels"]);
    let level: i64 = levels.split(' ').next().unwrap().parse().unwrap();
    assert!(
        level >= 0,
        "it was charged for what it never used: {levels}"
    );
}
