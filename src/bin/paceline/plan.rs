//! What a run would take, as a table.

use std::fmt::Write;

use paceline::batch::{ModelPlan, Money, Plan};
use paceline::{LimitOrigin, Quota, Result};

use crate::exit::Exit;
use crate::held::mark;
use crate::numbers::{grouped, lasting, money, quota};
use crate::say::{self, warning};

/// How many bad lines are printed.
const SHOWN: usize = 10;

pub(crate) fn print_plan(plan: &Plan) -> Result<Exit> {
    say::result(&table(plan))?;
    let bad = &plan.bad_lines;
    say_bad_lines(bad, plan.more_bad_lines, "that cannot be sent");
    Ok(match bad.is_empty() {
        true => Exit::Success,
        false => Exit::SomeFailed,
    })
}

/// Says what is wrong with the first lines that cannot be sent, and how many more there are: all
/// but those that are shown, of `lines` and of `more` that are not among them.
pub(crate) fn say_bad_lines(lines: &[String], more: u64, where_they_are: &str) {
    for line in lines.iter().take(SHOWN) {
        warning!("paceline: {line}");
    }
    let kept = u64::try_from(lines.len().saturating_sub(SHOWN)).unwrap_or(u64::MAX);
    let more = kept.saturating_add(more);
    if more > 0 {
        let more = grouped(more);
        warning!("paceline: and {more} more lines {where_they_are}");
    }
}

fn table(plan: &Plan) -> String {
    let names = plan.models.iter().map(|model| model.model.chars().count());
    let width = names.max().unwrap_or(0).max("model".len());
    let currency = plan.currency.as_deref();
    let at_most = currency.map_or_else(String::new, |currency| {
        format!(" {:>16}", format!("at most {currency}"))
    });
    let mut text = format!(
        "{:<width$} {:>9} {:>14} {:>15} {:>9}{at_most} {:>14}  binding limit\n",
        "model", "requests", "prompt tokens", "reserved tokens", "in flight", "shortest time"
    );
    // Writing to a string does not fail.
    for model in &plan.models {
        let _ = writeln!(
            text,
            "{:<width$} {:>9} {:>14} {:>15} {:>9}{} {:>14}  {}",
            model.model,
            grouped(model.requests),
            grouped(model.prompt_tokens),
            grouped(model.reserved.tokens),
            grouped(model.in_flight),
            cost(model),
            lasting(model.shortest),
            model.binding.map_or_else(|| "none".to_owned(), limit),
        );
    }
    let _ = writeln!(
        text,
        "{} requests, {} prompt tokens, {} reserved; from full buckets, the last one is admitted \
         after {} at the earliest",
        grouped(plan.requests()),
        grouped(plan.prompt_tokens()),
        grouped(plan.reserved_tokens()),
        lasting(plan.shortest()),
    );
    let latency = lasting(plan.latency);
    let _ = writeln!(
        text,
        "in flight at the rate of the binding limit, if an answer takes {latency}"
    );
    if plan.done > 0 {
        let (done, left) = (grouped(plan.done), grouped(plan.requests()));
        let _ = writeln!(
            text,
            "{done} requests are done already and left out; {left} are left"
        );
    }
    if plan.uncapped > 0 {
        let (uncapped, cap) = (grouped(plan.uncapped), grouped(plan.default_cap));
        let _ = writeln!(
            text,
            "{uncapped} requests have no output cap: {cap} tokens each are reserved; a lower cap \
             makes them faster (--max-tokens with a prompt, else max_completion_tokens in the body)"
        );
    }
    if let (Some(cost), Some(currency)) = (plan.at_most(), currency) {
        let cost = money(cost);
        let _ = writeln!(
            text,
            "at most {cost} {currency}, if nothing is cached and every answer is as long as its cap"
        );
        if plan.unpriced() > 0 {
            let unpriced = grouped(plan.unpriced());
            let _ = writeln!(text, "{unpriced} requests have no price and are left out");
        }
    }
    text
}

/// A limit, and whether it is only a guess.
fn limit(of: Quota) -> String {
    let origin = match of.is_provisional() {
        true => LimitOrigin::Provisional,
        false => LimitOrigin::Stated,
    };
    format!("{}{}", quota(of), mark(origin))
}

/// The cell of what a model's requests cost at most, where there are prices.
fn cost(model: &ModelPlan) -> String {
    let said = |cost: Money| match model.unpriced == model.requests {
        true => "no price".to_owned(),
        false => money(cost),
    };
    let cost = model.at_most.map(said);
    cost.map_or_else(String::new, |cost| format!(" {cost:>16}"))
}
