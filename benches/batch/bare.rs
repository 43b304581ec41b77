//! A loop as one would write it in an afternoon: threads that take lines, send, and write.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use serde_json::Value;
use ureq::Agent;

use crate::Result;

pub(crate) fn run(url: &str, input: &Path, output: &Path, threads: usize) -> Result<()> {
    let url = format!("{url}/chat/completions");
    let config = Agent::config_builder()
        .max_idle_connections(threads)
        .max_idle_connections_per_host(threads)
        .proxy(None);
    let agent: Agent = config.build().into();
    let lines = Mutex::new(BufReader::new(File::open(input)?).lines());
    let output = Mutex::new(File::create(output)?);
    let work = || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        loop {
            let Some(line) = lines.lock().map_err(|_| "a thread panicked")?.next() else {
                return Ok(());
            };
            let line: Value = serde_json::from_str(&line?)?;
            let mut answer = agent
                .post(&url)
                .header("Content-Type", "application/json")
                .header("Authorization", "Bearer simulated")
                .send(line["body"].to_string())?;
            let mut text = answer.body_mut().read_to_string()?;
            text.push('\n');
            output
                .lock()
                .map_err(|_| "a thread panicked")?
                .write_all(text.as_bytes())?;
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let result = thread.join().map_err(|_| "a thread panicked")?;
            result.map_err(|error| error.to_string())?;
        }
        Ok(())
    })
}
