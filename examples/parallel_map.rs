//! Titles for many texts at once: rayon prepares the prompts on all cores, and the map helpers
//! send them on as many threads as there are texts, in order, with a progress report.
//!
//! `cargo run --example parallel_map --all-features`

mod support;

use std::error::Error;

use paceline::parallel::{self, Progress};
use paceline::{ChatRequest, Message};
use rayon::prelude::*;
use support::Service;

const BEGINNINGS: [&str; 5] = [
    "Call me Ishmael. Some years ago, never mind how long precisely, I went to sea.",
    "It was the best of times, it was the worst of times, it was the age of wisdom.",
    "Alice was beginning to get very tired of sitting by her sister on the bank.",
    "To Sherlock Holmes she is always the woman. I have seldom heard him mention her otherwise.",
    "It is a truth universally acknowledged, that a single man must be in want of a wife.",
];
const PLACES: [&str; 8] = [
    "at sea",
    "in Paris",
    "by a river",
    "in Baker Street",
    "on Mars",
    "in the rain",
    "at home",
    "underground",
];

fn main() -> Result<(), Box<dyn Error>> {
    let service = Service::start()?;
    let client = service.client().build()?;

    let texts: Vec<String> = (BEGINNINGS.iter())
        .flat_map(|text| PLACES.map(|place| format!("{text} All this happened {place}.")))
        .collect();

    // What computes belongs into the iterator, what waits into the closure.
    let prompts = texts.par_iter().map(|text| prompt(text));
    let titles = parallel::options()
        .on_progress(report)
        .try_map_par(prompts, |prompt| client.chat(prompt));

    for (text, title) in texts.iter().zip(&titles).step_by(PLACES.len() + 1) {
        match title {
            Ok(title) => println!("{text:.40}… → {}", title.text()),
            Err(error) => println!("{text:.40}… → failed: {error}"),
        }
    }
    let failed = titles.iter().filter(|title| title.is_err()).count();
    println!("… {} texts, {failed} failed", texts.len());
    Ok(())
}

fn prompt(text: &str) -> ChatRequest {
    let messages = [
        Message::system("Give the text a title of at most five words."),
        Message::user(text),
    ];
    ChatRequest::new(messages).max_completion_tokens(20)
}

fn report(progress: Progress) {
    if progress.done.is_multiple_of(10) {
        let total = progress.total.unwrap_or(progress.done);
        println!("{} of {total} done", progress.done);
    }
}
