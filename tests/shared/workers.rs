//! Processes that share a limit: this very program, started again to do a piece of work.
//!
//! A worker says on standard output what it was granted, and when, by the machine's clock, which is
//! the same for all of them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use paceline::{
    ChatRequest, Cost, Error, LimitTable, Limits, OnStoreOutage, Quota, RateLimitedClient,
    RateLimiter, Registry, SharedStore, Unit,
};

use super::support::{SECOND, SOON};

const WORK: &str = "PACELINE_TEST_WORK";
/// How long a request waits where it matters.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// What a worker does.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) store: String,
    pub(crate) on_outage: OnStoreOutage,
    /// Tokens a second.
    pub(crate) rate: u64,
    pub(crate) burst: u64,
    pub(crate) cost: u64,
    pub(crate) threads: usize,
    pub(crate) length: Duration,
    /// How long each of its requests may wait.
    pub(crate) patience: Duration,
    /// The API to call; if there is none, nothing is called.
    pub(crate) api: String,
}

/// Something that a worker was granted, or waited for in vain.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) worker: usize,
    /// When it joined the line, in seconds since an arbitrary time.
    pub(crate) joined: f64,
    pub(crate) at: f64,
    /// What was granted, or why it was not.
    pub(crate) what: Result<u64, String>,
}

pub(crate) struct Worker {
    child: Child,
    reader: Option<JoinHandle<()>>,
    is_ready: Receiver<()>,
}

/// All that workers tell.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Told>>>);

impl Log {
    /// What was told so far, in the order of the grants.
    pub(crate) fn told(&self) -> Vec<Told> {
        let mut told = self.0.lock().unwrap().clone();
        told.sort_by(|a, b| a.at.total_cmp(&b.at));
        told
    }

    pub(crate) fn granted(&self) -> Vec<(f64, u64)> {
        let told = self.told().into_iter();
        told.filter_map(|told| Some((told.at, told.what.ok()?)))
            .collect()
    }
}

impl Work {
    pub(crate) fn start(&self, worker: usize, log: &Log) -> Worker {
        let on_outage = match self.on_outage {
            OnStoreOutage::Fail => "fail",
            OnStoreOutage::Wait => "wait",
            _ => "share",
        };
        let work = format!(
            "{} {on_outage} {} {} {} {} {} {} {}",
            self.store,
            self.rate,
            self.burst,
            self.cost,
            self.threads,
            self.length.as_millis(),
            self.patience.as_millis(),
            self.api
        );
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "workers::work",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(WORK, work)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, log) = (
            BufReader::new(child.stdout.take().unwrap()).lines(),
            log.clone(),
        );
        let (ready, is_ready) = channel();
        let reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line == "ready" {
                    let _ = ready.send(());
                }
                log.0.lock().unwrap().extend(read(&line, worker));
            }
        });
        Worker {
            child,
            reader: Some(reader),
            is_ready,
        }
    }
}

fn read(line: &str, worker: usize) -> Option<Told> {
    let mut words = line.strip_prefix("told ")?.splitn(3, ' ');
    let (joined, at) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let what = words.next()?;
    Some(Told {
        worker,
        joined,
        at,
        what: what.parse().map_err(|_| what.to_owned()),
    })
}

impl Worker {
    /// Waits until it can begin.
    pub(crate) fn ready(&self) {
        self.is_ready.recv_timeout(SOON).unwrap();
    }

    /// Lets it begin.
    pub(crate) fn begin(&mut self) {
        self.child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }

    /// Kills it on the spot, and waits until all that it told has been read.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.end();
    }

    pub(crate) fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}"))
            .arg(self.child.id().to_string());
        assert!(kill.status().unwrap().success());
    }

    /// Waits until its work is done.
    pub(crate) fn end(&mut self) {
        self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds by the machine's clock.
pub(crate) fn seconds() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

/// The most by which grants were ever ahead of a rate, in units: what a bucket that leaks at it would
/// have to hold.
pub(crate) fn ahead_of(rate: u64, granted: &[(f64, u64)]) -> f64 {
    let (mut level, mut last, mut most) = (0.0_f64, 0.0, 0.0_f64);
    for (at, cost) in granted {
        level = (level - (at - last) * rate as f64).max(0.0) + *cost as f64;
        last = *at;
        most = most.max(level);
    }
    most
}

/// What a worker does; in any other process, nothing.
#[test]
fn work() {
    let Ok(work) = std::env::var(WORK) else {
        return;
    };
    let words: Vec<&str> = work.split(' ').collect();
    let [
        store,
        on_outage,
        rate,
        burst,
        cost,
        threads,
        millis,
        patience,
        api,
    ] = words[..]
    else {
        panic!("{work}");
    };
    let on_outage = match on_outage {
        "fail" => OnStoreOutage::Fail,
        "wait" => OnStoreOutage::Wait,
        _ => OnStoreOutage::Divide,
    };
    let number = |word: &str| word.parse::<u64>().unwrap();
    let store = SharedStore::builder(store)
        .on_outage(on_outage)
        .build()
        .unwrap();
    let limits = limits(number(rate), number(burst));
    let client = (!api.is_empty()).then(|| {
        let table = LimitTable::empty(limits.clone());
        let registry = Registry::new(table).jitter(SECOND).share(&store);
        let client = RateLimitedClient::builder().api_key("k").base_url(api);
        client
            .registry(Arc::new(registry))
            .model("m")
            .build()
            .unwrap()
    });
    let limiter = RateLimiter::builder(limits).share(&store, "m").build();
    println!("\nready");
    let mut go = String::new();
    std::io::stdin().read_line(&mut go).unwrap();
    let end = Instant::now() + Duration::from_millis(number(millis));
    let (cost, patience) = (number(cost), Duration::from_millis(number(patience)));
    thread::scope(|scope| {
        for _ in 0..number(threads) {
            scope.spawn(|| {
                while Instant::now() < end {
                    one(&limiter, client.as_ref(), cost, patience);
                }
            });
        }
    });
}

fn one(limiter: &RateLimiter, client: Option<&RateLimitedClient>, cost: u64, patience: Duration) {
    let joined = seconds();
    let what = match client {
        Some(client) => {
            let request = ChatRequest::from("a").max_completion_tokens(cost - 8);
            client.chat(request).map(drop)
        }
        None => limiter
            .acquire_timeout(Cost::tokens(cost), patience)
            .map(drop)
            .map_err(Error::from),
    };
    let what = match what {
        Ok(()) => cost.to_string(),
        Err(Error::StoreDown) => "down".to_owned(),
        Err(Error::DeadlineExceeded { .. }) => "late".to_owned(),
        Err(error) => error.to_string(),
    };
    println!("told {joined} {} {what}", seconds());
    if what == "down" {
        thread::sleep(Duration::from_millis(100)); // as any caller would
    }
}

pub(crate) fn limits(rate: u64, burst: u64) -> Limits {
    let quota = Quota::per_second(Unit::Tokens, rate).unwrap();
    Limits::builder()
        .quota(quota.with_burst(burst))
        .build()
        .unwrap()
}
