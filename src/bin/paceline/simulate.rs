//! `paceline simulate`, and the simulator behind `run --simulate`.

use std::sync::Arc;
use std::time::Duration;

use paceline::sim::{ChargeRule, SimConfig, Simulator};
use paceline::tokens::Encoding;
use paceline::{DEFAULT_MODEL, Error, LimitTable, Result};

use crate::args;
use crate::enforced;
use crate::exit::Exit;
use crate::limits;
use crate::mistake::mistake;
use crate::say::{self, say};
use crate::server;
use crate::signals;

/// How large the buckets of the API are known to be.
const DEFAULT_BURST: Duration = Duration::from_secs(60);

/// Serves until a signal, then says what it has seen.
pub(crate) fn simulate(arguments: &args::Simulate) -> Result<Exit> {
    let table = limits::table(&arguments.limits)?;
    let key = match &arguments.api_key_env {
        Some(variable) => Some(server::variable("--api-key-env", variable)?),
        None => None,
    };
    let config = config(&table, arguments)
        .port(arguments.port)
        .latency(arguments.latency)
        .latency_spread(arguments.latency_spread)
        .seed(arguments.seed)
        .api_key(key);
    let simulator = Arc::new(start(config)?);
    // Before the address is printed: a program that reads it may end this at once.
    let stopped = Arc::clone(&simulator);
    signals::listen(move |_| stopped.stop())
        .map_err(|error| mistake(format!("cannot listen for signals: {error}")))?;
    say::result(&format!("{}\n", simulator.base_url()))?;
    say!("paceline: a simulated API answers there; Ctrl-C ends it");
    simulator.wait();
    let report = simulator.report();
    say!(
        "paceline: {} requests, {} admitted, {} refused for limits, {} refused for slots, {} tokens charged",
        report.received,
        report.admitted,
        report.refused(),
        report.refused_for_slots,
        report.tokens_charged
    );
    Ok(Exit::Success)
}

/// How the API is to behave.
fn config(table: &LimitTable, arguments: &args::Simulate) -> SimConfig {
    let mut config = enforced::config(table)
        .burst(arguments.limits.burst_seconds.unwrap_or(DEFAULT_BURST))
        .charge_rule(arguments.charge.into())
        .charge_factor(arguments.charge_factor)
        .limit_headers(arguments.headers.into())
        .dialect(arguments.dialect)
        .prompt_cache(arguments.prompt_cache);
    if let Some(slots) = arguments.slots {
        config = config.slots(slots.get(), arguments.slot_queue);
    }
    if arguments.exact_tokens {
        let encoding = Encoding::for_model(DEFAULT_MODEL);
        config = config.token_counter(Arc::new(move |text| encoding.count(text)));
    }
    if let Some(window) = arguments.fixed_windows {
        config = config.fixed_windows(window);
    }
    if let Some(share) = arguments.neighbour {
        config = match arguments.neighbour_every {
            Some(every) => config.bursty_neighbour(share, every),
            None => config.neighbour(share),
        };
    }
    if let Some(admitted) = arguments.out_of_money_after {
        config = config.out_of_money_after(admitted);
    }
    let faults = arguments.fault.iter();
    faults.fold(config, |config, rate| {
        config.fault(rate.fault, rate.probability)
    })
}

/// A simulated API on any free port, which enforces `table` and charges by `rule`.
pub(crate) fn of_table(
    table: &LimitTable,
    burst: Option<Duration>,
    latency: Duration,
    rule: ChargeRule,
) -> Result<Simulator> {
    let config = enforced::config(table)
        .burst(burst.unwrap_or(DEFAULT_BURST))
        .latency(latency)
        .charge_rule(rule);
    start(config)
}

impl From<args::SimCharging> for ChargeRule {
    fn from(charging: args::SimCharging) -> Self {
        match charging {
            args::SimCharging::Sum => Self::Sum,
            args::SimCharging::Max => Self::Max,
            args::SimCharging::Usage => Self::Usage,
            args::SimCharging::Answered => Self::Answered,
        }
    }
}

impl TryFrom<args::AccountingRule> for ChargeRule {
    type Error = Error;

    fn try_from(charging: args::AccountingRule) -> Result<Self> {
        match charging {
            args::AccountingRule::PromptPlusCap => Ok(Self::Sum),
            args::AccountingRule::Larger => Ok(Self::Max),
            args::AccountingRule::Actual => Ok(Self::Usage),
            args::AccountingRule::AsUsed => Ok(Self::Answered),
            args::AccountingRule::PromptOnly => Err(mistake(
                "--accounting prompt-only: the simulated API charges for answers in every way that it has"
                    .to_owned(),
            )),
        }
    }
}

fn start(config: SimConfig) -> Result<Simulator> {
    Simulator::start(config)
        .map_err(|error| mistake(format!("cannot start the simulator: {error}")))
}
