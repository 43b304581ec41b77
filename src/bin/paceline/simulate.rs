//! `paceline simulate`, and the simulator behind `run --simulate`.

use std::sync::Arc;
use std::time::Duration;

use paceline::sim::{ChargeRule, SimConfig, SimLimits, Simulator};
use paceline::{Error, LimitTable, Limits, Result, Unit};

use crate::args;
use crate::exit::Exit;
use crate::limits;
use crate::say::{self, say};
use crate::signals;

/// How large the buckets of the API are known to be.
const DEFAULT_BURST: Duration = Duration::from_secs(60);

/// Serves until a signal, then says what it has seen.
pub(crate) fn simulate(arguments: &args::Simulate) -> Result<Exit> {
    let table = limits::table(&arguments.limits)?;
    let key = match &arguments.api_key_env {
        Some(variable) => Some(std::env::var(variable).map_err(|_| {
            Error::Config(format!("--api-key-env: the variable {variable} is not set"))
        })?),
        None => None,
    };
    let config = config(&table, arguments.limits.burst_seconds)
        .port(arguments.port)
        .latency(arguments.latency)
        .latency_spread(arguments.latency_spread)
        .seed(arguments.seed)
        .api_key(key);
    let simulator = Arc::new(start(config)?);
    // Before the address is out: who has it may end this at once.
    let stopped = Arc::clone(&simulator);
    signals::listen(move || stopped.stop())
        .map_err(|error| Error::Config(format!("cannot listen for signals: {error}")))?;
    say::result(&format!("{}\n", simulator.base_url()))?;
    say!("paceline: a simulated API answers there; Ctrl-C ends it");
    simulator.wait();
    let report = simulator.report();
    say!(
        "paceline: {} requests, {} admitted, {} refused with 429, {} tokens charged",
        report.received,
        report.admitted,
        report.refused(),
        report.tokens_charged
    );
    Ok(Exit::Success)
}

/// A simulated API on any free port, which enforces `table` and charges by `rule`.
pub(crate) fn of_table(
    table: &LimitTable,
    burst: Option<Duration>,
    latency: Duration,
    rule: ChargeRule,
) -> Result<Simulator> {
    let config = config(table, burst);
    start(config.latency(latency).charge_rule(rule))
}

impl TryFrom<args::Charging> for ChargeRule {
    type Error = Error;

    fn try_from(charging: args::Charging) -> Result<Self> {
        match charging {
            args::Charging::Sum => Ok(Self::Sum),
            args::Charging::Max => Ok(Self::Max),
            args::Charging::Usage => Ok(Self::Usage),
            args::Charging::Input => Err(Error::Config(
                "--charge input: the simulated API charges for answers in every way that it has"
                    .to_owned(),
            )),
        }
    }
}

fn start(config: SimConfig) -> Result<Simulator> {
    Simulator::start(config)
        .map_err(|error| Error::Config(format!("cannot start the simulator: {error}")))
}

fn config(table: &LimitTable, burst: Option<Duration>) -> SimConfig {
    let config = SimConfig::new()
        .burst(burst.unwrap_or(DEFAULT_BURST))
        .default_limits(of_limits(table.default_limits()));
    table.models().fold(config, |config, (model, limits)| {
        config.limits(model, of_limits(limits))
    })
}

fn of_limits(limits: &Limits) -> SimLimits {
    let amount = |unit: Unit| {
        let quota = limits.quotas().iter().find(|quota| quota.unit() == unit);
        quota.map(paceline::Quota::amount)
    };
    SimLimits {
        tokens_per_minute: amount(Unit::Tokens),
        requests_per_minute: amount(Unit::Requests),
    }
}
