//! Thousands of requests in flight: time, processor time and peak memory of a run of the command,
//! beside the same work by hand (a thread for each request, governor and ureq).
//!
//! ```text
//! cargo bench --all-features --bench scale
//! cargo bench --all-features --bench scale -- --quick       # small, no figures
//! cargo bench --all-features --bench scale -- --only tiny   # the rows whose names hold this
//! PACELINE_OLDER=old/paceline cargo bench --all-features --bench scale -- --only lines
//! ```
//!
//! The server is a process of its own. What is judged is the process's peak by the system's account.

#![allow(
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a benchmark reads the real clock, and its figures are small"
)]

mod bare; //    the loop by hand
mod library; // the library's client, from threads and `parallel`
mod lines; //   a million lines
mod server; //  the server, in a process of its own
mod system; //  what the system says of a process

use std::env;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use server::{Seen, Server, Terms};
use system::{Used, watch};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// One workload, and what a run of the command may take for it.
#[derive(Debug, Clone, Copy)]
struct Row {
    name: &'static str,
    requests: u64,
    latency: Duration,
    /// Requests a second; 0 is no limit.
    rate: u64,
    tls: bool,
    /// Beside as many busy threads as there are cores.
    busy: bool,
    /// `None` is the command's default.
    max_in_flight: Option<u64>,
    /// Threads of the loop by hand.
    threads: u64,
    aims: Aims,
}

/// The most that a run may take; 0 is not judged.
#[derive(Debug, Clone, Copy, Default)]
struct Aims {
    /// As a multiple of the ideal time.
    time: f64,
    refused: u64,
    /// As a multiple of the processor time by hand, in the same run.
    processor: f64,
    /// In MB.
    memory: u64,
}

const ROWS: [Row; 5] = [
    Row {
        name: "40,000 requests of 10 s",
        requests: 40_000,
        latency: Duration::from_secs(10),
        rate: 1_000,
        tls: false,
        busy: false,
        max_in_flight: None,
        threads: 12_000,
        aims: Aims {
            time: 1.03,
            refused: 3,
            processor: 0.3,
            memory: 500,
        },
    },
    Row {
        name: "40,000 requests of 10 s over TLS",
        requests: 40_000,
        latency: Duration::from_secs(10),
        rate: 1_000,
        tls: true,
        busy: false,
        max_in_flight: None,
        threads: 12_000,
        aims: Aims {
            time: 1.05,
            refused: 3,
            processor: 0.0,
            memory: 800,
        },
    },
    Row {
        name: "20,000 tiny requests",
        requests: 20_000,
        latency: Duration::ZERO,
        rate: 0,
        tls: false,
        busy: false,
        max_in_flight: None,
        threads: 16,
        aims: Aims {
            time: 0.0,
            refused: 0,
            processor: 0.65,
            memory: 60,
        },
    },
    Row {
        name: "20,000 tiny requests, busy machine",
        requests: 20_000,
        latency: Duration::ZERO,
        rate: 0,
        tls: false,
        busy: true,
        max_in_flight: None,
        threads: 16,
        aims: Aims {
            time: 0.0,
            refused: 0,
            processor: 0.65,
            memory: 60,
        },
    },
    Row {
        name: "200 in flight",
        requests: 2_000,
        latency: Duration::from_secs(1),
        rate: 0,
        tls: false,
        busy: false,
        max_in_flight: Some(200),
        threads: 200,
        aims: Aims {
            time: 0.0,
            refused: 0,
            processor: 0.0,
            memory: 40,
        },
    },
];

fn main() -> Result<ExitCode> {
    let (mut quick, mut only) = (false, String::new());
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            server::FLAG => return server::serve(arguments),
            bare::FLAG => return bare::run(arguments),
            library::FLAG => return library::run(arguments),
            "--bench" => {}
            "--quick" => quick = true,
            "--only" => only = arguments.next().unwrap_or_default(),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let folder = tempfile::tempdir()?;
    certificate(folder.path())?;
    println!(
        "workload                            who       time   ÷ ideal   429s   CPU s per 1,000   peak MB   at once"
    );
    let mut is_met = true;
    for row in ROWS.iter().filter(|row| row.name.contains(&only)) {
        let row = if quick { row.shortened() } else { *row };
        let input = folder.path().join("requests.jsonl");
        write_requests(&input, row.requests)?;
        let hand = measure(&row, folder.path(), by_hand)?;
        row.print("by hand", hand);
        let ours = measure(&row, folder.path(), command)?;
        row.print("paceline", ours);
        is_met &= quick || row.is_met(ours, hand);
    }
    if "a million lines".contains(&only) {
        is_met &= lines::run(folder.path(), quick)?;
    }
    if "cancel".contains(&only) {
        is_met &= library::cancel(folder.path(), quick)?;
    }
    if "library".contains(&only) {
        library::print(folder.path(), quick)?;
    }
    Ok(if is_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Threads that take the time of every core, until this is dropped.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn start() -> Self {
        let has_ended = Arc::new(AtomicBool::new(false));
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let has_ended = Arc::clone(&has_ended);
            thread::spawn(move || {
                while !has_ended.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(has_ended)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Start = fn(&Row, &str, &Path) -> Command;

fn measure(row: &Row, folder: &Path, start: Start) -> Result<(Used, Seen)> {
    let terms = Terms {
        latency: row.latency,
        rate: row.rate,
    };
    let server = Server::start(terms, row.tls.then_some(folder))?;
    let mut command = start(row, server.url(), folder);
    let log = fs::File::create(folder.join("log"))?;
    let _busy = row.busy.then(Busy::start);
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let used = watch(child, Duration::from_secs(300))?;
    let seen = server.end()?;
    if !used.succeeded {
        print!("{}", fs::read_to_string(folder.join("log"))?);
    }
    Ok((used, seen))
}

fn by_hand(row: &Row, url: &str, folder: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap_or_default());
    command
        .args([bare::FLAG, url])
        .arg(folder.join("requests.jsonl"))
        .arg(folder.join("by-hand"))
        .args([row.threads.to_string(), row.rate.to_string()]);
    if row.tls {
        command.arg(folder.join("ca.pem"));
    }
    command
}

fn command(row: &Row, url: &str, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    command
        .arg("run")
        .arg(folder.join("requests.jsonl"))
        .args(["--base-url", url, "--fresh", "--progress", "never"])
        .args(["--tpm", "1000000000000"])
        .env("OPENAI_API_KEY", "simulated")
        .env("SSL_CERT_FILE", folder.join("ca.pem"));
    match row.rate {
        0 => command.args(["--rpm", "1000000000000"]),
        rate => command.args(["--rpm", &(rate * 60).to_string(), "--burst-seconds", "1"]),
    };
    if let Some(most) = row.max_in_flight {
        command.args(["--max-in-flight", &most.to_string()]);
    }
    command
}

impl Row {
    /// The time in which nobody can do better: the bucket's rest after its burst, and one latency.
    fn ideal(&self) -> Duration {
        let seconds = match self.rate {
            0 => 0.0,
            rate => self.requests.saturating_sub(rate) as f64 / rate as f64,
        };
        Duration::from_secs_f64(seconds) + self.latency
    }

    fn shortened(self) -> Self {
        Self {
            requests: self.requests / 40,
            latency: self.latency / 10,
            threads: self.threads / 10,
            ..self
        }
    }

    fn print(&self, who: &str, (used, seen): (Used, Seen)) {
        println!(
            "{:<35} {who:<9} {:>5.1} s {:>8.2} {:>6} {:>17.2} {:>9} {:>9}",
            self.name,
            used.time.as_secs_f64(),
            used.time.as_secs_f64() / self.ideal().as_secs_f64(),
            seen.refused,
            used.processor.as_secs_f64() / self.requests as f64 * 1e3,
            used.memory >> 20,
            seen.most,
        );
        let _ = std::io::stdout().flush();
    }

    fn is_met(&self, (used, seen): (Used, Seen), (by_hand, _): (Used, Seen)) -> bool {
        let Aims {
            time,
            refused,
            processor,
            memory,
        } = self.aims;
        let judged = [
            (
                "all done",
                if used.succeeded && seen.admitted >= self.requests {
                    0.0
                } else {
                    1.0
                },
                0.0,
            ),
            (
                "time",
                used.time.as_secs_f64() / self.ideal().as_secs_f64(),
                time,
            ),
            ("429s", seen.refused as f64, refused as f64),
            (
                "processor time",
                used.processor.as_secs_f64() / by_hand.processor.as_secs_f64(),
                processor,
            ),
            ("memory", (used.memory >> 20) as f64, memory as f64),
        ];
        let mut is_met = true;
        for (what, figure, aim) in judged {
            let is_judged = aim > 0.0 || what == "all done";
            if is_judged && figure > aim {
                println!("    {what}: {figure:.2}, aim {aim}: MISSED");
                is_met = false;
            }
        }
        is_met
    }
}

fn write_requests(path: &Path, count: u64) -> Result<()> {
    let mut file = std::io::BufWriter::new(fs::File::create(path)?);
    for number in 0..count {
        let line: Value = json!({
            "custom_id": format!("request-{number}"),
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": "gpt-4o-mini",
                "max_completion_tokens": 16,
                "messages": [{"role": "user", "content": format!("Say {number}.")}],
            },
        });
        writeln!(file, "{line}")?;
    }
    Ok(file.flush()?)
}

/// A P-256 certificate for this machine and the authority that signed it, by openssl.
fn certificate(folder: &Path) -> Result<()> {
    let script = "
        openssl ecparam -name prime256v1 -genkey -noout -out ca.key &&
        openssl req -x509 -new -key ca.key -subj '/CN=scale' -days 2 -out ca.pem &&
        openssl ecparam -name prime256v1 -genkey -noout -out key.pem &&
        openssl req -new -key key.pem -subj '/CN=127.0.0.1' -out request.pem &&
        printf 'subjectAltName=IP:127.0.0.1' >names &&
        openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile names -out cert.pem";
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if made.success() {
        Ok(())
    } else {
        Err("openssl made no certificate".into())
    }
}
