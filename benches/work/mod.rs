//! The requests of the benchmarks, and what a server charges for them.

use std::error::Error;
use std::fs;
use std::path::Path;

use paceline::batch::{Input, Run};
use paceline::sim::{SimConfig, SimLimits, SimReport, Simulator};
use paceline::{Limits, RateLimitedClient};
use serde_json::{Value, json};

/// The data of the examples: chat requests of many sizes.
const REQUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/requests.jsonl");
pub(crate) const MODEL: &str = "gpt-4o-mini";

/// So many of the example requests, over and over, all for one model. Unless `all_texts`, only
/// those in English prose.
pub(crate) fn requests(count: usize, all_texts: bool) -> Result<String, Box<dyn Error>> {
    let lines = fs::read_to_string(REQUESTS)?;
    let lines: Vec<Value> = lines
        .lines()
        .filter(|line| all_texts || is_english_prose(line))
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let mut text = String::new();
    for (number, line) in lines.iter().cycle().take(count).enumerate() {
        let mut line = line.clone();
        line["custom_id"] = json!(format!("request-{number}"));
        line["body"]["model"] = json!(MODEL);
        // Without a cap, client and server have different ideas of what is reserved.
        if line["body"].get("max_completion_tokens").is_none() {
            line["body"]["max_completion_tokens"] = json!(500);
        }
        text.push_str(&line.to_string());
        text.push('\n');
    }
    Ok(text)
}

fn is_english_prose(line: &str) -> bool {
    let punctuation = '\u{2010}'..='\u{2030}';
    let plain = |char: char| char.is_ascii() || punctuation.contains(&char);
    line.chars().all(plain) && !line.contains("\"tools\"") && !line.contains("json_schema")
}

#[allow(dead_code, reason = "not every benchmark needs it")]
/// What a server with these settings charges for a file, found by asking one without limits.
pub(crate) fn charges(config: SimConfig, input: &Path) -> Result<SimReport, Box<dyn Error>> {
    let simulator = Simulator::start(config.default_limits(SimLimits::default()))?;
    let plenty = Limits::tokens_per_minute(1_000_000_000_000)?;
    let client = RateLimitedClient::builder()
        .api_key("simulated")
        .base_url(simulator.base_url())
        .limits(plenty)
        .build()?;
    Run::new(client, Input::file(input)?).fresh(true).run()?;
    Ok(simulator.report())
}
