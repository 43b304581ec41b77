//! An answer piece by piece. The stream begins before a deadline, or not at all.
//!
//! `cargo run --example streaming --all-features`

mod support;

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use paceline::{CallOptions, ChatRequest, Clock};
use support::Service;

fn main() -> Result<(), Box<dyn Error>> {
    let service = Service::start()?;
    let client = service.client().build()?;

    let request = ChatRequest::from("Tell me a story of three rivers.").max_completion_tokens(100);
    let deadline = Clock::real().now() + Duration::from_secs(60);
    let mut stream = client.chat_stream_with(request, &CallOptions::new().deadline(deadline))?;
    for piece in stream.by_ref() {
        print!("{}", piece?.text());
        io::stdout().flush()?;
    }
    println!();
    if let Some(usage) = stream.usage() {
        println!("{} tokens, {:?}", usage.total(), stream.completion());
    }
    Ok(())
}
