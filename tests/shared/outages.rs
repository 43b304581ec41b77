//! A store that is killed, stands still, forgets, or cannot be reached.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use paceline::{AcquireError, Cost, OnStoreOutage, RateLimiter, SharedStore};

use super::server::Server;
use super::support::{SECOND, until};
use super::workers::{Log, PATIENCE, Told, Work, ahead_of, limits, seconds};

const RATE: u64 = 100;
const BURST: u64 = 10;

fn work(store: &str, on_outage: OnStoreOutage, seconds: u32) -> Work {
    Work {
        store: store.to_owned(),
        on_outage,
        rate: RATE,
        burst: BURST,
        cost: 1,
        threads: 8,
        length: SECOND * seconds,
        patience: PATIENCE,
        api: String::new(),
    }
}

/// Two processes, to which something happens after two seconds, which is over when it returns.
/// Returns what they told, and when it was over.
fn through(work: &Work, happens: impl FnOnce()) -> (Vec<Told>, f64, f64) {
    let log = Log::default();
    let mut workers = [work.start(0, &log), work.start(1, &log)];
    for worker in &mut workers {
        worker.begin();
    }
    until("they have begun", || log.granted().len() > 100);
    let began = seconds();
    happens();
    let over = seconds();
    for worker in &mut workers {
        worker.end();
    }
    (log.told(), began, over)
}

fn granted(told: &[Told]) -> Vec<(f64, u64)> {
    let granted = told.iter();
    granted
        .filter_map(|told| Some((told.at, *told.what.as_ref().ok()?)))
        .collect()
}

/// Nothing waited for longer than it would; and both processes were granted something soon after
/// `over`. Returns after how long.
fn assert_survived(told: &[Told], over: f64) -> f64 {
    for told in told {
        let waited = told.at - told.joined;
        let most = (PATIENCE + SECOND).as_secs_f64();
        assert!(waited <= most, "it waited for {waited} s: {told:?}");
    }
    let back = [0, 1].map(|worker| {
        let its = told
            .iter()
            .filter(|told| told.worker == worker && told.what.is_ok());
        let after = its.map(|told| told.at - over).filter(|after| *after > 0.0);
        after.fold(f64::MAX, f64::min)
    });
    let recovered = back[0].max(back[1]);
    assert!(recovered < 6.0, "it took {recovered} s to come back");
    recovered
}

fn during(told: &[Told], from: f64, to: f64) -> usize {
    granted(told)
        .iter()
        .filter(|(at, _)| *at > from && *at < to)
        .count()
}

#[test]
fn a_store_that_is_killed_and_started_again() {
    for on_outage in [
        OnStoreOutage::Divide,
        OnStoreOutage::Fail,
        OnStoreOutage::Wait,
    ] {
        let Some(mut server) = Server::start() else {
            return;
        };
        let work = work(&server.url(), on_outage, 9);
        let (told, began, over) = through(&work, || {
            server.kill();
            thread::sleep(SECOND * 3);
            server.run();
        });
        let recovered = assert_survived(&told, over);
        let most = ahead_of(RATE, &granted(&told));
        let meanwhile = during(&told, began + 1.2, over);
        eprintln!(
            "{on_outage:?}: {recovered:.2} s to come back, {most:.0} ahead at most, {meanwhile} meanwhile"
        );
        assert!(most <= (BURST + RATE) as f64, "{on_outage:?}: {most}");
        let down = told
            .iter()
            .filter(|told| told.what == Err("down".to_owned()))
            .count();
        match on_outage {
            OnStoreOutage::Divide => assert!(meanwhile > 60, "{meanwhile}"),
            OnStoreOutage::Fail => assert!(down > 0 && meanwhile == 0, "{down} {meanwhile}"),
            _ => assert!(down == 0 && meanwhile == 0, "{down} {meanwhile}"),
        }
    }
}

#[test]
fn a_store_that_stands_still_for_five_seconds() {
    let Some(server) = Server::start() else {
        return;
    };
    let work = work(&server.url(), OnStoreOutage::Divide, 11);
    let (told, began, over) = through(&work, || {
        server.signal("STOP");
        thread::sleep(SECOND * 5);
        server.signal("CONT");
    });
    let recovered = assert_survived(&told, over);
    let most = ahead_of(RATE, &granted(&told));
    let meanwhile = during(&told, began + 2.5, over);
    eprintln!("{recovered:.2} s to come back, {most:.0} ahead at most, {meanwhile} meanwhile");
    assert!(most <= (BURST + RATE) as f64, "{most}");
    assert!(meanwhile > 60, "{meanwhile}");
}

#[test]
fn a_store_that_has_forgotten_everything() {
    let Some(server) = Server::start() else {
        return;
    };
    let work = work(&server.url(), OnStoreOutage::Wait, 6);
    let (told, _, over) = through(&work, || {
        server.say(&["FLUSHALL"]);
        server.say(&["SCRIPT", "FLUSH"]);
    });
    let most = ahead_of(RATE, &granted(&told));
    let after = during(&told, over + 2.0, f64::MAX);
    eprintln!("{most:.0} ahead at most, {after} afterwards");
    assert_survived(&told, over);
    assert!(most <= (BURST + RATE / 2) as f64, "{most}");
    assert!(after > 100, "{after}");
}

/// What is between a process and its store, and can be cut.
struct Wire {
    port: u16,
    is_cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let wire = Self {
            port: listener.local_addr().unwrap().port(),
            is_cut: Arc::default(),
            open: Arc::default(),
        };
        let (is_cut, open) = (Arc::clone(&wire.is_cut), Arc::clone(&wire.open));
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let far = TcpStream::connect(("127.0.0.1", port)).unwrap();
                open.lock()
                    .unwrap()
                    .extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                let (from, to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                thread::spawn(move || pass(from, to));
                thread::spawn(move || pass(far, near));
            }
        });
        wire
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for end in self.open.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16_384];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn a_process_that_is_cut_off_goes_on_with_its_share() {
    let Some(server) = Server::start() else {
        return;
    };
    let wire = Wire::to(server.port());
    let log = Log::default();
    let near = work(&server.url(), OnStoreOutage::Divide, 12);
    let far = work(
        &format!("redis://127.0.0.1:{}", wire.port),
        OnStoreOutage::Divide,
        12,
    );
    let mut workers = [near.start(0, &log), far.start(1, &log)];
    for worker in &mut workers {
        worker.begin();
    }
    until("they have begun", || log.granted().len() > 100);
    let began = seconds();
    wire.cut();
    thread::sleep(SECOND * 5);
    wire.mend();
    let over = seconds();
    for worker in &mut workers {
        worker.end();
    }
    let told = log.told();
    let recovered = assert_survived(&told, over);
    let of = |worker: usize| {
        let its = told.iter().filter(|told| told.worker == worker);
        during(&its.cloned().collect::<Vec<_>>(), began + 2.0, over) as f64 / (over - began - 2.0)
    };
    let (near, far) = (of(0), of(1));
    eprintln!("{recovered:.2} s to come back; {near:.0} and {far:.0} a second meanwhile");
    // The limit is 100 a second: all of it here, and half of it there, which is what is stated.
    assert!(far > 25.0 && far < 60.0, "{far}");
    assert!(near > 60.0 && near < 110.0, "{near}");
}

#[test]
fn a_store_that_was_never_there() {
    let url = format!("redis://127.0.0.1:{}", super::server::free_port());
    let limiter = |rule| {
        let store = SharedStore::builder(&url).on_outage(rule).build().unwrap();
        RateLimiter::builder(limits(RATE, BURST))
            .share(&store, "m")
            .build()
    };
    let cost = Cost::tokens(1);
    let closed = limiter(OnStoreOutage::Fail);
    let refused = closed.acquire(cost).map(drop).unwrap_err();
    assert!(
        matches!(refused, AcquireError::StoreDown) && refused.is_retryable(),
        "{refused}"
    );
    let refused = closed.try_acquire(cost).map(drop);
    assert!(
        matches!(refused, Err(AcquireError::StoreDown)),
        "{refused:?}"
    );
    let store = closed.snapshot().store.unwrap();
    assert!(!store.is_reachable && store.outages == 1, "{store:?}");
    limiter(OnStoreOutage::Divide)
        .acquire(cost)
        .map(drop)
        .unwrap();
    let of_ten = SharedStore::builder(&url).processes(10).build().unwrap();
    let of_ten = RateLimiter::builder(limits(RATE, BURST))
        .share(&of_ten, "m")
        .build();
    of_ten.acquire(cost).map(drop).unwrap();
    let part = of_ten.snapshot().quotas[0].quota.amount();
    assert_eq!(part, RATE / 10, "a tenth of the limit");
    let lease = limiter(OnStoreOutage::Wait);
    let late = lease
        .acquire_timeout(cost, Duration::from_millis(300))
        .map(drop);
    assert!(
        matches!(late, Err(AcquireError::DeadlineExceeded { .. })),
        "{late:?}"
    );
}
