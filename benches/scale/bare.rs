//! What one would write by hand: a thread for each request in flight, governor and ureq, told everything.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use governor::{Quota, RateLimiter};
use serde_json::Value;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use crate::Result;
use crate::system::raise_descriptor_limit;

pub(crate) const FLAG: &str = "--by-hand";

pub(crate) fn run(mut arguments: impl Iterator<Item = String>) -> Result<ExitCode> {
    let mut next = || arguments.next().ok_or("too few arguments");
    let (url, input, output) = (next()?, next()?, next()?);
    let (threads, rate): (usize, u32) = (next()?.parse()?, next()?.parse()?);
    let roots = arguments.next();
    raise_descriptor_limit()?;
    let url = format!("{url}/chat/completions");
    let mut config = Agent::config_builder()
        .max_idle_connections(threads)
        .max_idle_connections_per_host(threads)
        .http_status_as_error(false)
        .proxy(None);
    if let Some(file) = roots {
        let pem = std::fs::read(file)?;
        let roots = ureq::tls::Certificate::from_pem(&pem)?.to_owned();
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[roots]));
        config = config.tls_config(tls.build());
    }
    let agent: Agent = config.build().into();
    let limiter = NonZeroU32::new(rate).map(|rate| RateLimiter::direct(Quota::per_second(rate)));
    let lines = Mutex::new(BufReader::new(File::open(input)?).lines());
    let output = Mutex::new(File::create(output)?);
    let work = || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        loop {
            let Some(line) = lines.lock().map_err(|_| "a thread panicked")?.next() else {
                return Ok(());
            };
            let line: Value = serde_json::from_str(&line?)?;
            let body = line["body"].to_string();
            loop {
                while limiter
                    .as_ref()
                    .is_some_and(|limiter| limiter.check().is_err())
                {
                    thread::sleep(Duration::from_millis(20));
                }
                let mut answer = agent
                    .post(&url)
                    .header("Content-Type", "application/json")
                    .header("Authorization", "Bearer simulated")
                    .send(&body)?;
                let mut text = answer.body_mut().read_to_string()?;
                if answer.status() != 200 {
                    thread::sleep(Duration::from_secs(1));
                    continue;
                }
                text.push('\n');
                output
                    .lock()
                    .map_err(|_| "a thread panicked")?
                    .write_all(text.as_bytes())?;
                break;
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let result = thread.join().map_err(|_| "a thread panicked")?;
            result.map_err(|error| error.to_string())?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
