//! A million lines: the peak memory of a run over them, and how long another run takes to find that
//! nothing is left to do.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::server::{Server, Terms};
use crate::system::{Used, watch};
use crate::{Result, write_requests};

/// An older build of the command, to be compared with: half of its time is the aim.
const OLDER: &str = "PACELINE_OLDER";
/// In MB.
const AIM_MEMORY: u64 = 80;
const AIM_TIME: f64 = 0.5;
/// Of the times, the shortest counts: whatever else the machine did made the others longer.
const ROUNDS: usize = 3;

/// Prints both, and returns whether the aims are met.
pub(crate) fn run(folder: &Path, quick: bool) -> Result<bool> {
    let lines = if quick { 2_000 } else { 1_000_000 };
    let input = folder.join("lines.jsonl");
    write_requests(&input, lines)?;
    let server = Server::start(
        Terms {
            latency: Duration::ZERO,
            rate: 0,
        },
        None,
    )?;
    let ours = OsString::from(env!("CARGO_BIN_EXE_paceline"));
    let older = env::var_os(OLDER);
    println!("\n{lines} lines                      time   CPU s   peak MB");
    let all = once(&ours, &input, server.url())?;
    print("all sent", all);
    let mut best = Used::default();
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let before = older
            .as_deref()
            .map(|older| once(older, &input, server.url()));
        let now = once(&ours, &input, server.url())?;
        if best.time.is_zero() || now.time < best.time {
            best = now;
        }
        if let Some(before) = before.transpose()? {
            print("nothing to do, older", before);
            ratios.push(now.time.as_secs_f64() / before.time.as_secs_f64());
        }
    }
    print("nothing to do", best);
    let seen = server.end()?;
    let least = ratios.into_iter().reduce(f64::min);
    let memory = all.memory.max(best.memory) >> 20;
    let judged = [
        (
            "lines sent twice or not at all",
            seen.admitted.abs_diff(lines) as f64,
            0.0,
        ),
        ("memory", memory as f64, AIM_MEMORY as f64),
        (
            "time beside the older build",
            least.unwrap_or(0.0),
            AIM_TIME,
        ),
    ];
    let mut is_met = all.succeeded && best.succeeded;
    for (what, figure, aim) in judged {
        if figure > aim && !quick {
            println!("    {what}: {figure:.2}, aim {aim}: MISSED");
            is_met = false;
        }
    }
    Ok(is_met)
}

fn once(command: &OsStr, input: &Path, url: &str) -> Result<Used> {
    let log = fs::File::create(input.with_extension("log"))?;
    let child = Command::new(command)
        .arg("run")
        .arg(input)
        .args(["--base-url", url, "--progress", "never"])
        .args(["--tpm", "1000000000000", "--rpm", "1000000000000"])
        .env("OPENAI_API_KEY", "simulated")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let used = watch(child, Duration::from_secs(900))?;
    if !used.succeeded {
        print!("{}", fs::read_to_string(input.with_extension("log"))?);
    }
    Ok(used)
}

fn print(what: &str, used: Used) {
    println!(
        "{what:<25} {:>9.1} s {:>7.1} {:>9}",
        used.time.as_secs_f64(),
        used.processor.as_secs_f64(),
        used.memory >> 20
    );
}
