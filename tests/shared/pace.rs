//! Eight processes of 32 threads, one limit: the simulator's ledger judges.

use std::time::Duration;

use paceline::OnStoreOutage;
use paceline::sim::{SimConfig, SimLimits, Simulator};

use super::server::Server;
use super::support::SECOND;
use super::workers::{Log, PATIENCE, Told, Work, Worker};

const PROCESSES: usize = 8;
const COST: u64 = 1_000;
/// Requests a second.
const RATE: u64 = 40;

/// How long, how much of the limit is used at least, and how far a share is off the mean at most. In a
/// short run a machine that is busy with something else for a moment shows more.
fn aims() -> (Duration, f64, f64) {
    match std::env::var_os("PACELINE_LONG") {
        Some(_) => (SECOND * 30, 0.97, 0.1),
        None => (SECOND * 12, 0.9, 0.25),
    }
}

fn run(work: &Work, processes: usize) -> Vec<Told> {
    let log = Log::default();
    let mut workers: Vec<_> = (0..processes)
        .map(|worker| work.start(worker, &log))
        .collect();
    workers.iter().for_each(Worker::ready);
    workers.iter_mut().for_each(Worker::begin);
    workers.iter_mut().for_each(Worker::end);
    log.told()
}

#[test]
fn eight_processes_hold_one_limit_to_the_full_and_share_it_alike() {
    let Some(server) = Server::start() else {
        return;
    };
    let (length, least_use, most_off) = aims();
    let limits = SimLimits::none().tokens_per_minute(RATE * COST * 60);
    // Four seconds in its bucket; three in theirs, of which one is kept back for what is late.
    let config = SimConfig::new().default_limits(limits).burst(SECOND * 4);
    let simulator = Simulator::start(config.latency(Duration::from_millis(20))).unwrap();
    let work = Work {
        store: server.url(),
        on_outage: OnStoreOutage::Wait,
        rate: RATE * COST,
        burst: RATE * COST * 3,
        cost: COST,
        threads: 32,
        length,
        patience: PATIENCE,
        api: simulator.base_url(),
    };
    let told = run(&work, PROCESSES);
    let report = simulator.report();
    assert_eq!(report.refused(), 0, "a 429");
    assert_eq!(report.violations(), []);
    // From the first to the last that was granted while all were still there.
    let begun = told.iter().map(|told| told.joined).fold(f64::MAX, f64::min);
    let end = begun + length.as_secs_f64();
    let within: Vec<&Told> = told.iter().filter(|told| told.at <= end).collect();
    let first = within[0].at;
    let use_of_it = within.len() as f64 / ((end - first) * RATE as f64);
    let mut shares = [0_u32; PROCESSES];
    for told in &within {
        assert!(told.what.is_ok(), "{told:?}");
        // Once all are there: who begins earlier has the limit for itself until then.
        if told.at > first + 2.0 {
            shares[told.worker] += 1;
        }
    }
    eprintln!("use {use_of_it:.3}, shares {shares:?}");
    assert!(use_of_it >= least_use, "{use_of_it}");
    let mean = f64::from(shares.iter().sum::<u32>()) / PROCESSES as f64;
    for share in shares {
        let off = (f64::from(share) - mean).abs() / mean;
        assert!(off <= most_off, "{shares:?}");
    }
}

#[test]
fn whoever_came_first_is_served_first_to_within_the_horizon() {
    let Some(server) = Server::start() else {
        return;
    };
    let work = |threads| Work {
        store: server.url(),
        on_outage: OnStoreOutage::Wait,
        rate: 40,
        burst: 4,
        cost: 1,
        threads,
        length: SECOND * 7,
        patience: SECOND * 20,
        api: String::new(),
    };
    // One has waits of two and a half seconds before the others come, and all have longer ones then.
    let log = Log::default();
    let mut workers = [100, 30, 30].map(|threads| work(threads).start(threads, &log));
    workers.iter().for_each(Worker::ready);
    workers[0].begin();
    std::thread::sleep(SECOND * 3 / 2);
    workers[1..].iter_mut().for_each(Worker::begin);
    workers.iter_mut().for_each(Worker::end);
    let told = log.told();
    let (mut latest, mut worst) = (0.0_f64, 0.0_f64);
    let granted: Vec<&Told> = told.iter().filter(|told| told.what.is_ok()).collect();
    for told in &granted {
        latest = latest.max(told.joined);
        worst = worst.max(latest - told.joined);
    }
    eprintln!(
        "{} grants; the most that one was overtaken by: {worst:.3} s",
        granted.len()
    );
    assert!(granted.len() > 200, "{}", granted.len());
    assert!(worst <= 1.0, "somebody who came {worst} s later went first");
}
