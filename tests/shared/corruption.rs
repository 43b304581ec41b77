//! What others write into a store: whatever stands there, a limit holds and nobody waits for ever.

use std::time::{Duration, Instant};

use paceline::{Cost, Limits, OnStoreOutage, Quota, RateLimiter, SharedStore, Unit};

use super::server::Server;
use super::support::SOON;

const RATE: u64 = 100;
const BURST: u64 = 10;
/// Short, so that what is refused is repaired soon.
const HORIZON: Duration = Duration::from_millis(200);

const STATE: &str = "paceline:{m}:state";
const LINE: &str = "paceline:{m}:line";
const ALIVE: &str = "paceline:{m}:alive";
const PEOPLE: &str = "paceline:{m}:people";
const FAR: &str = "9999999999999999";
/// Two levels, of which each is far above any that is written.
const HUGE: &str = "999999999999999999 1 999999999999999999 1";
/// A limit a hundred times as large, as the script would have written it.
const LARGER: &str = "1 10000 1000000 1000 1000 0 1 100 1 100000";

/// What others have observed, in numbers that nobody has counted and words that nobody has said.
const NOTES: &str = "1 9999999999999999999 x y\n99 1 x 9223372036854775807 -9223372036854775808 0 0 \
    1 1 18446744073709551615 0 r 1 60000000 1 1 18446744073709551615 0\n";

/// Writes something in place of what the script has written.
type Corrupt = (&'static str, &'static [&'static [&'static str]]);

const CORRUPTIONS: [Corrupt; 39] = [
    ("no limits", &[&["HSET", STATE, "limits", ""]]),
    (
        "no limits and no levels",
        &[&["HSET", STATE, "limits", "", "levels", ""]],
    ),
    ("limits of words", &[&["HSET", STATE, "limits", "hello"]]),
    (
        "limits of zeros",
        &[&["HSET", STATE, "limits", "0 0 0 0 0 0 0 0 0 0"]],
    ),
    (
        "negative limits",
        &[&["HSET", STATE, "limits", "1 -9 -9 -9 -9 0 -1 -1 -1 -1"]],
    ),
    ("larger limits", &[&["HSET", STATE, "limits", LARGER]]),
    ("no levels", &[&["HSET", STATE, "levels", ""]]),
    ("huge levels", &[&["HSET", STATE, "levels", HUGE]]),
    ("levels of words", &[&["HSET", STATE, "levels", "a b"]]),
    ("no time", &[&["HDEL", STATE, "time"]]),
    ("a time of words", &[&["HSET", STATE, "time", "x"]]),
    ("a time far ahead", &[&["HSET", STATE, "time", FAR]]),
    (
        "a time that is no number",
        &[&["HSET", STATE, "time", "nan"]],
    ),
    ("a pause far ahead", &[&["HSET", STATE, "pause", FAR]]),
    ("a pause of words", &[&["HSET", STATE, "pause", "x"]]),
    ("no pause", &[&["HDEL", STATE, "pause"]]),
    ("no last visit", &[&["HDEL", STATE, "seen"]]),
    ("a last visit of words", &[&["HSET", STATE, "seen", "x"]]),
    ("grants of words", &[&["HSET", STATE, "grants", "x"]]),
    ("counts of words", &[&["HSET", STATE, "counted", "x"]]),
    (
        "huge counts",
        &[&["HSET", STATE, "counted", "9e300 -99999999999999999999"]],
    ),
    ("a pace of 0", &[&["HSET", STATE, "paces", "0 0"]]),
    (
        "a huge pace",
        &[&["HSET", STATE, "paces", "99999999999999"]],
    ),
    ("a negative pace", &[&["HSET", STATE, "paces", "-5"]]),
    ("a bucket of 0", &[&["HSET", STATE, "fulls", "0 0"]]),
    ("a huge bucket", &[&["HSET", STATE, "fulls", FAR]]),
    (
        "notes of words",
        &[&["HSET", STATE, "noted", "x", "notes", "a b c d\n1 2 3\n"]],
    ),
    (
        "notes that come from nowhere",
        &[&["HSET", STATE, "noted", FAR, "notes", NOTES]],
    ),
    (
        "a speaker who speaks later",
        &[&["HSET", STATE, "speaker", "x", "spoke", FAR]],
    ),
    ("an epoch of words", &[&["HSET", STATE, "epoch", "x"]]),
    (
        "another incarnation",
        &[&["HSET", STATE, "incarnation", "x"]],
    ),
    (
        "a state that is a text",
        &[&["DEL", STATE], &["SET", STATE, "x"]],
    ),
    (
        "a line that is a text",
        &[&["DEL", LINE], &["SET", LINE, "x"]],
    ),
    (
        "processes that are a list",
        &[&["DEL", ALIVE], &["RPUSH", ALIVE, "x"]],
    ),
    (
        "records that are a text",
        &[&["DEL", PEOPLE], &["SET", PEOPLE, "x"]],
    ),
    (
        "a head that never comes",
        &[
            &["ZADD", LINE, "-inf", "ghost"],
            &[
                "HSET",
                PEOPLE,
                "ghost",
                "1 0 0 0 0 0 0 0 0 9999999999999999 5|x",
            ],
        ],
    ),
    (
        "a process that never dies",
        &[&["ZADD", ALIVE, FAR, "ghost"]],
    ),
    (
        "a dead process that gives back more than there is",
        &[
            &["ZADD", ALIVE, "1", "ghost"],
            &[
                "HSET",
                PEOPLE,
                "ghost",
                "1 9e99 99999999999999999999 1 1 1 1 1 1 1 1|x",
            ],
        ],
    ),
    ("nothing at all", &[&["FLUSHALL"]]),
];

fn limiter(url: &str) -> RateLimiter {
    let quota = Quota::per_second(Unit::Tokens, RATE).unwrap();
    let limits = Limits::builder().quota(quota.with_burst(BURST));
    let store = SharedStore::builder(url)
        .horizon(HORIZON)
        .on_outage(OnStoreOutage::Wait);
    let limiter = RateLimiter::builder(limits.build().unwrap());
    limiter.share(&store.build().unwrap(), "m").build()
}

fn take(limiter: &RateLimiter, count: usize, what: &str) {
    for number in 0..count {
        let granted = limiter.acquire_timeout(Cost::tokens(1), SOON);
        if let Err(error) = granted.map(drop) {
            panic!("{what}: token {number} is not granted: {error}");
        }
    }
}

fn survives_each(server: &Server) {
    for (what, commands) in CORRUPTIONS {
        server.say(&["FLUSHALL"]);
        let began = Instant::now();
        let limiter = limiter(&server.url());
        take(&limiter, 15, what);
        for words in commands {
            server.say(words);
        }
        take(&limiter, 60, what);
        // Two horizons of the limit are what may be taken late, and a moment is what the test takes.
        let most = 2 * u128::from(BURST)
            + u128::from(RATE) * (began.elapsed() + HORIZON * 2).as_millis() / 1_000;
        assert!(75 <= most, "{what}: 75 tokens in {:?}", began.elapsed());
        // What was refused has been repaired.
        let limits = server.say(&["HGET", STATE, "limits"]);
        assert!(limits.starts_with("1 "), "{what}: {limits:?}");
    }
}

#[test]
fn each_corruption_of_each_key_is_survived() {
    if let Some(server) = Server::start() {
        survives_each(&server);
    }
}

#[test]
fn each_corruption_of_each_key_is_survived_on_valkey() {
    if let Some(server) = Server::valkey() {
        survives_each(&server);
    }
}

#[test]
fn a_failover_is_an_outage_until_a_whole_visit_has_succeeded() {
    let Some(server) = Server::valkey() else {
        return;
    };
    let quota = Quota::per_second(Unit::Tokens, RATE).unwrap();
    let limits = Limits::builder().quota(quota.with_burst(BURST));
    let store = SharedStore::builder(&server.url())
        .horizon(HORIZON)
        .on_outage(OnStoreOutage::Divide);
    let limiter = RateLimiter::builder(limits.build().unwrap());
    let limiter = limiter.share(&store.build().unwrap(), "m").build();
    let began = Instant::now();
    take(&limiter, 20, "before");
    // It becomes the replica of nobody, and takes no writes.
    server.say(&["REPLICAOF", "127.0.0.1", "1"]);
    take(&limiter, 60, "read-only");
    server.say(&["REPLICAOF", "NO", "ONE"]);
    take(&limiter, 60, "after");
    let most = 4 * u128::from(BURST)
        + u128::from(RATE) * (began.elapsed() + HORIZON * 4).as_millis() / 1_000;
    assert!(140 <= most, "140 tokens in {:?}", began.elapsed());
}

#[test]
fn what_is_too_long_is_not_passed_on() {
    let Some(server) = Server::start() else {
        return;
    };
    let limiter = limiter(&server.url());
    take(&limiter, 15, "before");
    // A limit that holds, with 100 KB of other text that all processes would be sent, and a note.
    let fill = "local text = string.rep('x', 100000) \
        local limits = redis.call('HGET', KEYS[1], 'limits') \
        redis.call('HSET', KEYS[1], ARGV[1], ARGV[1] == 'notes' and '1 1 x ' .. text .. '\\n' or limits .. text) \
        redis.call('HSET', KEYS[1], 'noted', '1', 'speaker', text)";
    for field in ["limits", "notes"] {
        server.say(&["EVAL", fill, "1", STATE, field]);
        take(&limiter, 60, field);
        let size: u64 = ["limits", "notes", "speaker"]
            .map(|field| {
                server
                    .say(&["HSTRLEN", STATE, field])
                    .parse::<u64>()
                    .unwrap()
            })
            .iter()
            .sum();
        assert!(size < 2_000, "{field}: {size}");
    }
}
