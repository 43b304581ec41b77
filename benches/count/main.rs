//! What counting costs beside Python's tiktoken, tiktoken-rs and `wc`: batch files on one core and
//! on all, with and without a prompt that all lines share, texts of 20 characters, the first count
//! of a process, and a large text.
//!
//! ```text
//! pip install tiktoken
//! cargo bench --all-features --bench count
//! cargo bench --all-features --bench count -- --megabytes 1000 --rounds 1   # as large as you like
//! cargo bench --all-features --bench count -- --quick            # within seconds, no figures
//! ```
//!
//! The files are made anew each time and are always the same. Everything runs by turns, each in a
//! process of its own, and a ratio is taken within a round. Python's tiktoken is `python3` (or what
//! `PYTHON` names) with the rank files of tiktoken-rs from Cargo's registry (or the folder that
//! `PACELINE_RANKS` names): it gets the strings of the same lines, and only its `encode_ordinary` is
//! timed, while all that paceline does to plan the batch is. Both must come to the same sum. One core
//! is what `taskset` says, where there is one.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the real clock"
)]

mod child; // what is measured in a process of its own
mod data; //  the files
mod table; // rounds, ratios and the table

use std::env;
use std::error::Error;
use std::process::ExitCode;

use child::Task;
use table::{Aim, Row};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<ExitCode> {
    let (mut quick, mut megabytes, mut rounds) = (false, 12, 5);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            child::FLAG => return child::run(&arguments.collect::<Vec<_>>()),
            "--bench" => {}
            "--quick" => quick = true,
            "--megabytes" => {
                let number = arguments.next().ok_or("--megabytes: a number is needed")?;
                megabytes = number.parse()?;
            }
            "--rounds" => {
                let number = arguments.next().ok_or("--rounds: a number is needed")?;
                rounds = number.parse::<usize>()?.max(1);
            }
            other => {
                let message = "there are only --quick, --megabytes N and --rounds N";
                return Err(format!("unknown argument {other}; {message}").into());
            }
        }
    }
    if quick {
        rounds = 1;
    }
    let bytes = if quick {
        300_000
    } else {
        megabytes * 1_000_000
    };
    let folder = tempfile::tempdir()?;
    let files = data::Files::make(folder.path(), bytes)?;
    let python = child::Python::find(folder.path())?;
    let [single, all] = [Some("0"), None];

    let plan = |file, cores| Task::itself("plan", file, cores);
    let in_python = |file| python.as_ref().map(|python| python.task(file));
    let rows = [
        Row {
            name: "batch, all of it different, one core",
            own: plan(&files.different, single),
            other: in_python(&files.different),
            aim: Aim::Faster(3.0),
        },
        Row {
            name: "batch, all of it different, all cores",
            own: plan(&files.different, all),
            other: in_python(&files.different),
            aim: Aim::Faster(5.0),
        },
        Row {
            name: "batch, a shared prompt, one core",
            own: plan(&files.shared, single),
            other: in_python(&files.shared),
            aim: Aim::Faster(20.0),
        },
        Row {
            name: "batch, a shared prompt, all cores",
            own: plan(&files.shared, all),
            other: in_python(&files.shared),
            aim: Aim::Faster(20.0),
        },
        Row {
            name: "a text of 20 characters",
            own: Task::itself("short", &files.text, single),
            other: Some(Task::itself("short-reference", &files.text, single)),
            aim: Aim::Faster(2.0),
        },
        Row {
            name: "first count, beside loading alone",
            own: Task::itself("first", &files.text, single),
            other: Some(Task::itself("load", &files.text, single)),
            aim: Aim::Faster(1.0 / 1.2),
        },
        Row {
            name: "first count, beside loading tiktoken-rs",
            own: Task::itself("first", &files.text, single),
            other: Some(Task::itself("load-reference", &files.text, single)),
            aim: Aim::None,
        },
        Row {
            name: "large text, one core",
            own: Task::itself("text", &files.text, single),
            other: in_python(&files.text),
            aim: Aim::None,
        },
        Row {
            name: "large text, all cores, beside wc -w",
            own: Task::itself("text", &files.text, all),
            other: Some(Task::words(&files.text)),
            aim: Aim::None,
        },
    ];
    println!("{bytes} bytes a file, medians of {rounds} rounds");
    if python.is_none() {
        println!("no python3 with tiktoken, or no rank files: rows beside it are left out");
    }
    let met = table::print(&rows, rounds)?;
    Ok(if met || quick {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
