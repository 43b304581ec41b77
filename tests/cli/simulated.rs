//! `simulate`, and each way in which it can be told to behave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Folder, Running, chats, simulator};

/// `paceline simulate` on a port of its own.
struct Served {
    running: Running,
    url: String,
}

impl Served {
    fn start(folder: &Folder, flags: &[&str]) -> Self {
        let command = ["simulate", "--port", "0", "--latency", "0"];
        let mut running = folder.paceline(command).args(flags).start();
        let mut url = String::new();
        let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
        stdout.read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        Self { running, url }
    }

    /// Its answer to a chat request of 22 tokens, 16 of them for the answer.
    fn answer(&self) -> Answer {
        let body = json!({
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "How far is the moon?"}],
            "max_completion_tokens": 16,
        });
        let body = body.to_string();
        let host = self.url.trim_start_matches("http://");
        let host = host.trim_end_matches("/v1");
        let mut stream = TcpStream::connect(host).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer k\r\n\
             connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Answer(text)
    }

    fn stop(self) {
        self.running.signal("INT");
        self.running.ends_with(0);
    }
}

struct Answer(String);

impl Answer {
    fn status(&self) -> u16 {
        self.0.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let head = self.0.split("\r\n\r\n").next().unwrap();
        let mut headers = head.lines().filter_map(|line| line.split_once(": "));
        let found = headers.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    fn remaining(&self, what: &str) -> Option<i64> {
        let header = self.header(&format!("x-ratelimit-remaining-{what}"));
        header.map(|value| value.parse().unwrap())
    }

    fn error(&self) -> Value {
        let (_, body) = self.0.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<Value>(body).unwrap()["error"].take()
    }
}

#[test]
fn simulate_serves_until_it_is_interrupted() {
    let folder = Folder::with_input(chats(10));
    let served = Served::start(&folder, &["--api-key-env", "OPENAI_API_KEY"]);
    folder.run(&served.url).ends_with(0);
    folder.assert_each_once(10);
    let stranger = folder.run(&served.url).args(["--fresh"]);
    stranger.env("OPENAI_API_KEY", "another").ends_with(3);
    served.running.signal("INT");
    served.running.ends_with(0).says(&["10 admitted"]);
    let unset = folder.paceline(["simulate", "--api-key-env", "NO_SUCH_VARIABLE"]);
    unset.ends_with(2).says(&["NO_SUCH_VARIABLE is not set"]);
}

#[test]
fn a_port_that_is_taken_is_said() {
    let api = simulator();
    let port = api.addr().port().to_string();
    let output = Folder::new()
        .paceline(["simulate", "--port", &port])
        .ends_with(2);
    output
        .says(&["cannot start the simulator", "in use"])
        .prints_nothing();
}

#[test]
fn charges_are_as_the_flags_say() {
    // 6 tokens of prompt by its characters, 13 by its tokens, and 16 of answer at most.
    let table: [(&[&str], u64); 7] = [
        (&[], 22),
        (&["--charge", "sum"], 22),
        (&["--charge", "max"], 16),
        (&["--charge", "usage"], 22),
        (&["--charge-factor", "1.5"], 33),
        (&["--exact-tokens"], 29),
        (
            &["--charge=max", "--charge-factor=0.5", "--exact-tokens"],
            8,
        ),
    ];
    let folder = Folder::new();
    for (step, (flags, charge)) in table.into_iter().enumerate() {
        // Nothing fits, and the refusal says what was asked for.
        let served = Served::start(&folder, &[flags, &["--tpm", "1"]].concat());
        let message = served.answer().error()["message"].to_string();
        let expected = format!("Requested {charge}.");
        assert!(message.contains(&expected), "step {step}: {message}");
        served.stop();
    }
}

#[test]
fn only_charges_by_usage_come_back() {
    let folder = Folder::new();
    for (step, (rule, come_back)) in [("sum", false), ("usage", true)].into_iter().enumerate() {
        // A window does not refill, so that only charges change what remains.
        let flags = ["--charge", rule, "--tpm=1000", "--fixed-windows=3600"];
        let served = Served::start(&folder, &flags);
        let mut remains = 0;
        for _ in 0..10 {
            remains = served.answer().remaining("tokens").unwrap();
        }
        let charged = 60_000 - remains; // an hour's window has room for an hour
        assert_eq!(
            charged < 220,
            come_back,
            "step {step}: {charged} for {rule}"
        );
        served.stop();
    }
}

#[test]
fn headers_say_what_they_are_told_to() {
    let folder = Folder::new();
    for (step, (which, remaining, limit)) in [
        ("all", true, true),
        ("remaining", true, false),
        ("none", false, false),
    ]
    .into_iter()
    .enumerate()
    {
        let served = Served::start(&folder, &["--headers", which]);
        let answer = served.answer();
        let has = |header: &str| answer.header(header).is_some();
        let found = (
            has("x-ratelimit-remaining-tokens"),
            has("x-ratelimit-limit-tokens"),
        );
        assert_eq!(found, (remaining, limit), "step {step}: {which}");
        served.stop();
    }
}

#[test]
fn a_neighbour_takes_a_share_steadily_or_at_once() {
    let folder = Folder::new();
    // A tenth of 60,000 a minute: 25 every quarter of a second, or 100 every second.
    for (step, (flags, bite)) in [(&[][..], 25), (&["--neighbour-every=1"], 100)]
        .into_iter()
        .enumerate()
    {
        let all = ["--tpm=60000", "--fixed-windows=60", "--neighbour=0.1"];
        let served = Served::start(&folder, &[flags, &all].concat());
        let mut own = 0;
        let taken = loop {
            own += 22;
            let remaining = served.answer().remaining("tokens").unwrap();
            let taken = 60_000 - own - remaining;
            if taken != 0 {
                break taken;
            }
            assert!(own < 50_000, "step {step}: nobody else came");
            thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(taken % bite, 0, "step {step}: {taken} at a time");
        assert!(taken >= bite, "step {step}: {taken} at a time");
        served.stop();
    }
}

#[test]
fn money_runs_out_and_faults_happen_as_told() {
    let folder = Folder::new();
    let table: [(&[&str], &[u16]); 5] = [
        (&[], &[200, 200, 200]),
        (&["--out-of-money-after", "2"], &[200, 200, 429]),
        (&["--fault", "server-error=1"], &[500, 500]),
        (&["--fault=server-error=0", "--fault=overloaded=1"], &[503]),
        (&["--fault", "hang=0"], &[200]),
    ];
    for (step, (flags, statuses)) in table.into_iter().enumerate() {
        let served = Served::start(&folder, flags);
        for (number, status) in statuses.iter().enumerate() {
            let found = served.answer().status();
            assert_eq!(found, *status, "step {step}, request {number}");
        }
        served.stop();
    }
}

#[test]
fn limits_per_day_come_from_the_file_and_what_is_left_out_is_said() {
    let folder = Folder::new();
    folder.write("limits.toml", "[default]\nrpm = 500\nrpd = 10_000\n");
    let served = Served::start(&folder, &["--limits", "limits.toml"]);
    let answer = served.answer();
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("10000"));
    served.running.signal("INT");
    let output = served.running.ends_with(0);
    assert!(!output.stderr.contains("leaves them out"), "{output}");

    folder.write(
        "limits.toml",
        "[models.gpt-4o-mini]\nrpm = 500\nrpd = 10_000\n",
    );
    let served = Served::start(&folder, &["--limits", "limits.toml"]);
    let answer = served.answer();
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("500"));
    served.running.signal("INT");
    served.running.ends_with(0).says(&["leaves them out"]);
}

#[test]
fn wrong_flags_are_named_with_what_would_be_right() {
    let table: [(&[&str], &[&str]); 9] = [
        (&["--charge", "input"], &["--charge", "sum", "max", "usage"]),
        (&["--charge-factor", "nan"], &["--charge-factor", "from 0"]),
        (&["--fixed-windows", "0"], &["--fixed-windows", "above 0"]),
        (
            &["--fixed-windows=1", "--burst-seconds=1"],
            &["--fixed-windows", "--burst-seconds"],
        ),
        (&["--neighbour", "2"], &["--neighbour", "from 0 to 1"]),
        (&["--neighbour-every", "2"], &["--neighbour <SHARE>"]),
        (&["--headers", "some"], &["all", "remaining", "none"]),
        (&["--out-of-money-after", "-1"], &["-1"]),
        (&["--fault", "fire=1"], &["--fault", "truncated-json"]),
    ];
    let folder = Folder::new();
    for (flags, words) in table {
        let output = folder.paceline(["simulate"]).args(flags).ends_with(2);
        output.says(words).prints_nothing();
    }
}
