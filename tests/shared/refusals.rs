//! A store that answers and refuses, after it has been used: one warning, and the rule for outages until a
//! whole visit has succeeded.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use paceline::{Cost, Limits, OnStoreOutage, Quota, RateLimiter, SharedStore, Unit};

use super::server::Server;
use super::support::{SOON, until};

const RATE: u64 = 200;
const BURST: u64 = 10;
const PASSWORD: &str = "Zq81xT0p-hunter2";

/// What is logged, by all tests of this program.
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keep;

impl log::Log for Keep {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.level() <= log::Level::Warn {
            LOG.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// What has the store refuse, what has it stop that, and a word of its reason.
type Refusal = (
    &'static str,
    &'static [&'static [&'static str]],
    &'static [&'static str],
);

const REFUSALS: [Refusal; 3] = [
    (
        "NOPERM",
        &[&["ACL", "SETUSER", "default", "-@scripting"]],
        &["ACL", "SETUSER", "default", "+@all"],
    ),
    (
        "READONLY",
        &[&["REPLICAOF", "127.0.0.1", "1"]],
        &["REPLICAOF", "NO", "ONE"],
    ),
    (
        "AUTH",
        &[
            &["CONFIG", "SET", "requirepass", PASSWORD],
            &["-a", PASSWORD, "CLIENT", "KILL", "TYPE", "normal"],
        ],
        &["-a", PASSWORD, "CONFIG", "SET", "requirepass", ""],
    ),
];

fn limiter(url: &str, name: &str, on_outage: OnStoreOutage) -> RateLimiter {
    let quota = Quota::per_second(Unit::Tokens, RATE).unwrap();
    let limits = Limits::builder().quota(quota.with_burst(BURST));
    let store = SharedStore::builder(url)
        .horizon(Duration::from_millis(200))
        .on_outage(on_outage);
    let limiter = RateLimiter::builder(limits.build().unwrap());
    limiter.share(&store.build().unwrap(), name).build()
}

fn is_reachable(limiter: &RateLimiter) -> bool {
    limiter.snapshot().store.unwrap().is_reachable
}

fn refuses_in_mid_run(server: &Server) {
    let _ = log::set_logger(&Keep);
    log::set_max_level(log::LevelFilter::Warn);
    for (reason, refuse, stop) in REFUSALS {
        let [divides, waits] = [OnStoreOutage::Divide, OnStoreOutage::Wait]
            .map(|rule| limiter(&server.url(), reason, rule));
        let began = Instant::now();
        let mut granted = 0_u64;
        let mut take = |limiter: &RateLimiter, count: u64, when: &str| {
            for number in 0..count {
                let permit = limiter.acquire_timeout(Cost::tokens(1), SOON);
                assert!(permit.is_ok(), "{reason}, {when}, {number}: {permit:?}");
                granted += 1;
            }
        };
        take(&divides, 20, "before");
        take(&waits, 20, "before");
        let before = LOG.lock().unwrap().len();
        for words in refuse {
            server.say(words);
        }
        take(&divides, 100, "while it refuses");
        // It is asked again and again, and refuses: no beginning of anything.
        until(&format!("{reason}: it stays away"), || {
            take(&divides, 1, "while it refuses");
            began.elapsed() > Duration::from_secs(4) && !is_reachable(&divides)
        });
        let wait = Duration::from_millis(300);
        let late = (0..200).find_map(|_| waits.acquire_timeout(Cost::tokens(1), wait).err());
        assert!(late.is_some(), "{reason}: what waits for the store waits");
        assert!(!is_reachable(&waits), "{reason}");
        server.say(stop);
        let end = Instant::now() + SOON;
        while !(is_reachable(&divides) && is_reachable(&waits)) {
            assert!(Instant::now() < end, "{reason}: it comes back");
            let _ = waits.acquire_timeout(Cost::tokens(1), wait);
            take(&divides, 1, "after");
        }
        take(&waits, 10, "after");
        // Each has its own store, with one thread and one connection.
        let port = server.port().to_string();
        let said = LOG.lock().unwrap()[before..].to_vec();
        let said: Vec<_> = said.iter().filter(|it| it.contains(&port)).collect();
        let of_it = |words: &str| said.iter().filter(|it| it.contains(words)).count();
        assert_eq!(of_it("cannot be used"), 2, "{reason}: {said:#?}");
        assert!(of_it("can be used again") <= 2, "{reason}: {said:#?}");
        let seconds = began.elapsed().as_secs_f64() + 2.0;
        let most = RATE as f64 * seconds + 4.0 * BURST as f64;
        assert!(granted as f64 <= most, "{reason}: {granted} in {seconds} s");
        assert!(!said.iter().any(|it| it.contains(PASSWORD)), "{said:?}");
    }
}

#[test]
fn a_store_that_is_full_serves_those_that_it_knows_and_refuses_others() {
    let Some(server) = Server::start() else {
        return;
    };
    let known = limiter(&server.url(), "known", OnStoreOutage::Fail);
    let take = |when: &str| {
        for _ in 0..20 {
            let permit = known.acquire_timeout(Cost::tokens(1), SOON);
            assert!(permit.is_ok(), "{when}: {permit:?}");
        }
    };
    take("before");
    server.say(&["CONFIG", "SET", "maxmemory", "1"]);
    take("while it is full");
    let store = SharedStore::new(&server.url()).unwrap();
    let refusal = store.refusal().map(|it| it.to_string());
    assert!(
        refusal.as_ref().is_some_and(|it| it.contains("OOM")),
        "{refusal:?}"
    );
    server.say(&["CONFIG", "SET", "maxmemory", "0"]);
    assert!(store.refusal().is_none());
    take("after");
}

#[test]
fn a_refusal_in_mid_run_is_one_warning_and_an_outage() {
    if let Some(server) = Server::start() {
        refuses_in_mid_run(&server);
    }
}

#[test]
fn a_refusal_in_mid_run_is_one_warning_and_an_outage_on_valkey() {
    if let Some(server) = Server::valkey() {
        refuses_in_mid_run(&server);
    }
}
