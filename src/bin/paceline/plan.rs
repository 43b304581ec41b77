//! What a run would take, as a table.

use std::fmt::Write;

use paceline::Result;
use paceline::batch::Plan;

use crate::exit::Exit;
use crate::numbers::{grouped, lasting, quota};
use crate::say::{self, say};

/// How many bad lines are printed.
const MOST_BAD_LINES: usize = 20;

pub(crate) fn print_plan(plan: &Plan) -> Result<Exit> {
    say::result(&table(plan))?;
    let bad = &plan.bad_lines;
    for line in bad.iter().take(MOST_BAD_LINES) {
        say!("paceline: {line}");
    }
    if bad.len() > MOST_BAD_LINES {
        let more = bad.len() - MOST_BAD_LINES;
        say!("paceline: and {more} more lines that cannot be sent");
    }
    Ok(match bad.is_empty() {
        true => Exit::Success,
        false => Exit::SomeFailed,
    })
}

fn table(plan: &Plan) -> String {
    let names = plan.models.iter().map(|model| model.model.chars().count());
    let width = names.max().unwrap_or(0).max("model".len());
    let mut text = format!(
        "{:<width$} {:>9} {:>14} {:>15} {:>14}  binding limit\n",
        "model", "requests", "prompt tokens", "reserved tokens", "shortest time"
    );
    // Writing to a string does not fail.
    for model in &plan.models {
        let _ = writeln!(
            text,
            "{:<width$} {:>9} {:>14} {:>15} {:>14}  {}",
            model.model,
            grouped(model.requests),
            grouped(model.prompt_tokens),
            grouped(model.reserved.tokens),
            lasting(model.shortest),
            model.binding.map_or_else(|| "none".to_owned(), quota),
        );
    }
    let requests = grouped(plan.requests());
    let shortest = lasting(plan.shortest());
    let _ = writeln!(
        text,
        "{requests} requests; from full buckets, the last one is admitted after {shortest} at the earliest"
    );
    text
}
