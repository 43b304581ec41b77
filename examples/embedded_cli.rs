//! A small command of its own around the client: it answers the questions in its arguments.
//!
//! `cargo run --example embedded_cli --all-features -- --threads 4 "Why is the sky blue?"`

mod support;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use paceline::parallel::Workers;
use paceline::{ChatRequest, Limits, Message};
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
    /// Most questions under way at once.
    #[arg(long, value_name = "N", default_value_t = 16)]
    threads: usize,
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
    let answers = Workers::new(args.threads)?.try_map(&args.questions, |question| {
        let messages = [
            Message::system("Answer in one sentence."),
            Message::user(question.as_str()),
        ];
        client.chat(ChatRequest::new(messages))
    });
    for (question, answer) in args.questions.iter().zip(&answers) {
        match answer {
            Ok(answer) => println!("{question}\n  {}", answer.text()),
            Err(error) => eprintln!("{question}\n  no answer: {error}"),
        }
    }
    Ok(answers.iter().filter(|answer| answer.is_err()).count())
}
