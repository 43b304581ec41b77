//! `paceline run`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paceline::batch::{Ending, Input, Plan, Run, Summary};
use paceline::{CancelToken, Error, RateLimitedClient, Registry, Result};

use crate::args;
use crate::display::Display;
use crate::exit::Exit;
use crate::limits;
use crate::numbers::{grouped, lasting};
use crate::simulate;

/// How many bad lines a dry run prints.
const MOST_BAD_LINES: usize = 20;

pub(crate) fn run(arguments: &args::Run) -> Result<Exit> {
    let table = limits::table(&arguments.limits)?;
    let burst = arguments.limits.burst_seconds;
    let simulator = match arguments.simulate {
        true => Some(simulate::of_table(&table, burst, arguments.sim_latency)?),
        false => None,
    };
    let mut builder = RateLimitedClient::builder()
        .api_key_env(&arguments.api_key_env)
        .registry(Arc::new(Registry::new(table)))
        .max_in_flight(arguments.max_in_flight)
        .max_retries(arguments.max_retries)
        .timeout(arguments.timeout);
    if let Some(url) = &arguments.base_url {
        builder = builder.base_url(url);
    }
    if let Some(simulator) = &simulator {
        builder = builder.base_url(simulator.base_url()).api_key("simulated");
    } else if arguments.dry_run {
        builder = builder.api_key("not needed"); // nothing is sent
    }
    let client = builder.build()?;

    let stop = CancelToken::new();
    let mut run = Run::new(client, input(arguments)?)
        .fresh(arguments.fresh)
        .max_in_flight(arguments.max_in_flight)
        .stop(&stop);
    if let Some(path) = &arguments.output {
        run = run.output(path);
    }
    if let Some(path) = &arguments.errors {
        run = run.errors(path);
    }
    if arguments.dry_run {
        return Ok(print_plan(&run.plan()?));
    }

    listen_for_signals(&stop)?;
    let (results, errors) = (run.output_path().to_owned(), run.errors_path().to_owned());
    let display = Display::start(run.watch(), arguments.progress);
    let result = run.run();
    drop(display);
    let summary = result?;
    print_summary(&summary, &results, &errors);
    if let Some(path) = &arguments.summary {
        write_summary(&summary, path)?;
    }
    Ok(match summary.ending {
        Ending::AccountError(_) => Exit::Account,
        Ending::Interrupted => Exit::Interrupted,
        _ if summary.failed > 0 => Exit::SomeFailed,
        _ => Exit::Success,
    })
}

fn input(arguments: &args::Run) -> Result<Input> {
    if arguments.input != Path::new("-") {
        return Input::file(&arguments.input);
    }
    for (flag, path) in [
        ("--output", &arguments.output),
        ("--errors", &arguments.errors),
    ] {
        if path.is_none() && !arguments.dry_run {
            let message = format!("{flag} is needed when the input is standard input");
            return Err(Error::Config(message));
        }
    }
    Ok(Input::reader("standard input", io::stdin()))
}

/// The first signal lets what is under way finish; the second one ends everything.
fn listen_for_signals(stop: &CancelToken) -> Result<()> {
    let stop = stop.clone();
    let handler = move || {
        if stop.is_cancelled() {
            std::process::exit(i32::from(Exit::Interrupted as u8));
        }
        eprintln!("paceline: finishing what is under way; once more to stop at once");
        stop.cancel();
    };
    ctrlc::set_handler(handler)
        .map_err(|error| Error::Config(format!("cannot listen for signals: {error}")))
}

pub(crate) fn print_plan(plan: &Plan) -> Exit {
    println!(
        "{:<24} {:>9} {:>13} {:>13} {:>12}  binding limit",
        "model", "requests", "prompt", "reserved", "at least"
    );
    for model in &plan.models {
        let binding = model.binding.map(|quota| quota.to_string());
        println!(
            "{:<24} {:>9} {:>13} {:>13} {:>12}  {}",
            model.model,
            grouped(model.requests),
            grouped(model.prompt_tokens),
            grouped(model.reserved.tokens),
            lasting(model.shortest),
            binding.unwrap_or_default(),
        );
    }
    let (requests, shortest) = (grouped(plan.requests()), lasting(plan.shortest()));
    println!("{requests} requests, admitted within {shortest} at the earliest");
    let bad = &plan.bad_lines;
    for line in bad.iter().take(MOST_BAD_LINES) {
        eprintln!("paceline: {line}");
    }
    if bad.len() > MOST_BAD_LINES {
        eprintln!(
            "paceline: and {} more lines that cannot be sent",
            bad.len() - MOST_BAD_LINES
        );
    }
    if bad.is_empty() {
        Exit::Success
    } else {
        Exit::SomeFailed
    }
}

fn print_summary(summary: &Summary, results: &Path, errors: &Path) {
    let Summary {
        requests,
        succeeded,
        failed,
        resumed,
        ..
    } = summary;
    let wall = Duration::try_from_secs_f64(summary.wall_seconds).unwrap_or_default();
    eprintln!(
        "{} requests: {} succeeded, {} failed, {} resumed, in {}",
        grouped(*requests),
        grouped(*succeeded),
        grouped(*failed),
        grouped(*resumed),
        lasting(wall)
    );
    eprintln!(
        "{} retries, {} answers of 429, at most {} under way, {} tokens reserved, {} used",
        grouped(summary.retries),
        grouped(summary.rate_limited),
        grouped(summary.max_in_flight),
        grouped(summary.tokens_reserved),
        grouped(summary.tokens_used)
    );
    if let Some(binding) = &summary.binding {
        eprintln!("{:.1} % used of {binding}", summary.utilisation * 100.0);
    }
    eprintln!("results in {}", results.display());
    if *failed > 0 {
        eprintln!(
            "failures in {}; they are tried again by the same command",
            errors.display()
        );
    }
    match &summary.ending {
        Ending::AccountError(reason) => {
            eprintln!("paceline: stopped: {reason}");
            eprintln!("paceline: the same command goes on from here once that is put right");
        }
        Ending::Interrupted => {
            eprintln!("paceline: interrupted; the same command goes on from here");
        }
        _ => {}
    }
}

fn write_summary(summary: &Summary, path: &Path) -> Result<()> {
    let fail = |source: io::Error| Error::Io {
        path: path.to_owned(),
        source,
    };
    let mut json = serde_json::to_string_pretty(summary).map_err(|error| fail(error.into()))?;
    json.push('\n');
    if path == Path::new("-") {
        io::stdout().write_all(json.as_bytes()).map_err(fail)
    } else {
        fs::write(path, json).map_err(fail)
    }
}
