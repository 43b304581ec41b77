//! A small command of its own around the client: it answers the questions in its arguments, with a
//! progress bar and a deadline, and Ctrl-C ends its waits at once.
//!
//! `cargo run --example embedded_cli --all-features -- --threads 4 "Why is the sky blue?"`

mod support;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use paceline::parallel::Workers;
use paceline::{CallOptions, CancelToken, ChatRequest, Clock, Limits, Message};
use support::Service;

/// Answers questions, in order, at the pace that the limits allow.
#[derive(Parser)]
struct Args {
    /// What to ask.
    #[arg(default_values = ["Why is the sky blue?", "Why is grass green?", "Why is snow white?"])]
    questions: Vec<String>,
    /// The model to ask.
    #[arg(long, default_value = "gpt-4o-mini")]
    model: String,
    /// Most tokens a minute.
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    tpm: u64,
    /// Most tokens of one answer.
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_tokens: u64,
    /// Most questions in flight at once.
    #[arg(long, value_name = "N", default_value_t = 16)]
    threads: usize,
    /// Most seconds for all of it.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    deadline: u64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("{failed} questions have no answer");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints the answers, and returns how many questions got none.
fn run(args: &Args) -> Result<usize, Box<dyn Error>> {
    let service = Service::start()?;
    let client = service
        .client()
        .model(&args.model)
        .limits(Limits::tokens_per_minute(args.tpm)?)
        .max_completion_tokens(args.max_tokens)
        .build()?;
    let stop = CancelToken::new();
    cancel_on_ctrl_c(&stop)?;
    let deadline = Clock::real().now() + Duration::from_secs(args.deadline);
    // The map starts nothing after it, and no call waits past it.
    let call = CallOptions::new().deadline(deadline).cancel(&stop);

    let bar = ProgressBar::new(args.questions.len() as u64);
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {pos} of {len} {msg}",
    )?);
    let workers = Workers::new(args.threads)?;
    let map = workers.options().deadline(deadline).cancel(&stop);
    let map = map.on_progress(|progress| {
        bar.set_position(progress.done as u64);
        bar.set_message(format!("({} failed)", progress.failed));
    });
    let answers = map.try_map(&args.questions, |question| {
        let messages = [
            Message::system("Answer in one sentence."),
            Message::user(question.as_str()),
        ];
        client.chat_with(ChatRequest::new(messages), &call)
    });
    bar.finish_and_clear();

    for (question, answer) in args.questions.iter().zip(&answers) {
        match answer {
            Ok(answer) => println!("{question}\n  {}", answer.text()),
            Err(error) => eprintln!("{question}\n  no answer: {error}"),
        }
    }
    Ok(answers.iter().filter(|answer| answer.is_err()).count())
}

#[cfg(unix)]
fn cancel_on_ctrl_c(stop: &CancelToken) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT])?;
    let stop = stop.clone();
    let thread = std::thread::Builder::new().name("ctrl-c".to_owned());
    thread.spawn(move || {
        if signals.forever().next().is_some() {
            stop.cancel();
        }
    })?;
    Ok(())
}

#[cfg(not(unix))]
fn cancel_on_ctrl_c(stop: &CancelToken) -> io::Result<()> {
    let stop = stop.clone();
    ctrlc::set_handler(move || stop.cancel()).map_err(io::Error::other)
}
