//! A batch run inside a program: requests from an iterator, results to a file, each of them seen as it
//! comes.
//!
//! `cargo run --example batch_inside --all-features`

mod support;

use std::error::Error;

use paceline::ChatRequest;
use paceline::batch::{Input, RequestLine, Run};
use support::Service;

const BOOKS: [&str; 4] = ["Moby-Dick", "Emma", "Walden", "Dracula"];

fn main() -> Result<(), Box<dyn Error>> {
    let service = Service::start()?;
    let client = service.client().build()?;
    let folder = std::env::temp_dir().join(format!("paceline-batch-inside-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;

    // Taken one by one while the run continues: it may be endless, or come from a database.
    let requests = BOOKS.into_iter().map(|book| {
        let request = ChatRequest::from(format!("In one sentence: what is {book} about?"));
        RequestLine::chat(book, request.model("gpt-4o-mini").max_completion_tokens(50))
    });
    let summary = Run::new(client, Input::from_requests("books", requests))
        .output(folder.join("results.jsonl"))
        .errors(folder.join("errors.jsonl"))
        .on_result(|line| {
            let id = line.custom_id.unwrap_or("a line without an id");
            println!("{id}: {}", if line.succeeded { "done" } else { "failed" });
        })
        .run()?;
    println!("{:?}: results are in {}", summary.ending, folder.display());
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
