//! `paceline run`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::Builder;
use std::time::Duration;

use paceline::batch::{InFlight, Prices, RequestSet, Run};
use paceline::providers::Provider;
use paceline::sim::ChargeRule;
use paceline::tokens::PromptRule;
use paceline::{Accounting, CancelToken, DEFAULT_BASE_URL, RateLimitedClient, Registry, Result};

use crate::args;
use crate::check;
use crate::display::{Display, done, spent};
use crate::eta::TimeLeft;
use crate::exit::Exit;
use crate::extract;
use crate::files;
use crate::input::{input, prints_results};
use crate::limits;
use crate::mistake::mistake;
use crate::models;
use crate::notice;
use crate::numbers::{grouped, lasting};
use crate::plan::{print_plan, say_bad_lines};
use crate::report;
use crate::say::say;
use crate::server;
use crate::several::with_label;
#[cfg(feature = "redis")]
use crate::share;
use crate::signals::{self, Signal};
use crate::simulate;
use crate::summary;

/// How long the command may take after its grace to write what comes last: the answers alone, the report,
/// the summary. 5 s are enough where the output is read, and a short delay for the user who waits for the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// By how much the time may vary from a grant to the arrival at the server before one is refused: most
/// of all the first one's, which opens a connection. Threads of a busy machine run that late. It
/// costs as much time, once in a run.
const JITTER: Duration = Duration::from_millis(500);

/// What `--prices` calls those that are built in.
pub(crate) const BUILTIN: &str = "builtin";
/// The model of requests that name none, for limits and prices.
const UNNAMED: &str = "unnamed";

pub(crate) fn run(arguments: &args::Run, interrupts: &Interrupts) -> Result<Exit> {
    server::read_table(&arguments.server)?;
    server::check(&arguments.server)?;
    let table = limits::table(&arguments.limits)?;
    check_learning(arguments)?;
    // Flags and files first: the key is asked for when there is nothing else to be put right.
    let prices = prices(&arguments.prices)?;
    let amounts = [
        ("--max-cost", &arguments.max_cost),
        ("--max-cost-this-run", &arguments.max_cost_this_run),
    ];
    for (flag, most) in amounts {
        check_currency(flag, most.as_ref(), prices.as_ref())?;
    }
    let input = input(arguments)?;
    check::models(arguments, &input, &table, prices.as_ref())?;
    let in_flight = arguments.max_in_flight;
    // As many connections as may be in use stay open between two requests.
    let connections = in_flight.unwrap_or_else(|| InFlight::of_this_machine().most);
    let burst = arguments.limits.burst_seconds;
    let simulator = match arguments.simulate {
        true => {
            let charge = match arguments.learn_output {
                // Where the cap is held by the server, there is nothing to be gained.
                Some(_) => ChargeRule::Answered,
                None => arguments
                    .accounting
                    .unwrap_or(args::AccountingRule::PromptPlusCap)
                    .try_into()?,
            };
            let latency = arguments.sim_latency;
            Some(simulate::of_table(&table, burst, latency, charge)?)
        }
        false => None,
    };
    let server = &arguments.server;
    let mut builder = RateLimitedClient::builder()
        .registry(Arc::new(Registry::new(table).jitter(JITTER)))
        .model_table(models::table(arguments.model_table.as_deref())?)
        .max_idle_connections(connections)
        .max_retries(arguments.max_retries)
        .model(UNNAMED)
        .timeout(server.timeout);
    if let Some(accounting) = arguments.accounting {
        builder = builder.accounting(accounting.into());
    }
    if let Some(share) = arguments.learn_output {
        builder = builder.learned_output(share);
    }
    let rule = arguments.prompt_rule.map(PromptRule::from);
    // What the simulator goes by is known, so nothing has to be reserved to be safe.
    let usual = if arguments.simulate {
        PromptRule::Characters
    } else {
        PromptRule::default()
    };
    builder = builder.prompt_rule(rule.unwrap_or(usual));
    builder = if let Some(simulator) = &simulator {
        builder.base_url(simulator.base_url()).api_key("simulated")
    } else if arguments.dry_run {
        // Nothing is sent, so no variable is asked where to.
        let named = server::named(builder, server).api_key("not-needed");
        match (&server.base_url, server::provider(server)?) {
            (Some(_), _) => named,
            (None, Some(provider)) if server.provider.is_some() => {
                named.base_url(provider.base_url().unwrap_or(DEFAULT_BASE_URL))
            }
            (None, _) => named.base_url(DEFAULT_BASE_URL),
        }
    } else {
        server::connect(builder, server)?
    };
    #[cfg(feature = "redis")]
    if !arguments.dry_run
        && let Some(store) = share::store(
            &arguments.share,
            arguments.outage.share_on_outage.into(),
            arguments.outage.share_processes,
        )?
    {
        builder = builder.share(&store);
    }
    let (client, no_key) = match builder.clone().build() {
        Ok(client) => (client, None),
        // What else is wrong with it is said at once.
        Err(error) => (builder.api_key("not-given").build()?, Some(error)),
    };

    let stop = CancelToken::new();
    let mut run = Run::new(client, input)
        .simulated(arguments.simulate)
        .fresh(arguments.fresh)
        .keep_failed(arguments.keep_failed)
        .sync_every(arguments.sync_every)
        .disk_full_timeout(arguments.disk_full_timeout)
        .grace(arguments.grace)
        .keep_going(arguments.keep_going)
        .flex_fallback(arguments.flex_fallback)
        .connect_patience(arguments.connect_patience)
        .on_notice(notice::tell)
        .stop(&stop);
    if let Some(most) = in_flight {
        run = run.max_in_flight(most);
    }
    if let Some(bytes) = arguments.max_memory {
        run = run.max_memory(bytes);
    }
    if let Some(path) = &arguments.output {
        run = run.output(path);
    }
    if let Some(path) = &arguments.errors {
        run = run.errors(path);
    }
    if let Some(label) = &arguments.shape.label {
        let of_model = |named: bool, path: &Path| match named {
            true => path.to_owned(),
            false => with_label(path, label),
        };
        let results = of_model(arguments.output.is_some(), run.output_path());
        // Beside results that are named there is the name in it already.
        let is_named = arguments.errors.is_some() || arguments.output.is_some();
        let errors = of_model(is_named, run.errors_path());
        run = run.output(results).errors(errors);
    }
    run = on_terms(run, arguments, prices.clone());
    if arguments.dry_run {
        return print_plan(&run.plan()?);
    }

    let (results, errors) = (run.output_path().to_owned(), run.errors_path().to_owned());
    interrupts.writes([&results, &errors]);
    extract::check(arguments, &results)?;
    let report = report::Recorder::of(arguments)?;
    files::check(arguments, &results, &errors)?;
    extract::check_name(&arguments.shape)?;
    run = report.record(run);
    let requests = RequestSet::new();
    if arguments.shape.extract.is_some() {
        run = run.collect(&requests);
    }
    if let Some(error) = no_key {
        run.check()?; // what is wrong with the files is said first
        return Err(error);
    }
    interrupts.stop(&stop, arguments.grace)?;
    let (watch, currency) = (run.watch(), run.currency());
    let display = Display::start(watch.clone(), arguments.progress, currency.clone());
    let result = run.run();
    let held = display.end();
    let summary = match result {
        Ok(summary) => summary,
        Err(error) => {
            let exit = Exit::of_error(&error);
            let progress = watch.progress();
            if progress.done() > 0 {
                let currency = currency.unwrap_or_default();
                let (done, spent) = (
                    done(&progress, TimeLeft::Unknown),
                    spent(&progress, &currency),
                );
                say!(
                    "paceline: {done}, {} failed; {spent}",
                    grouped(progress.failed)
                );
                say!("paceline: once that is corrected, the same command resumes the run");
            }
            return Ok(exit);
        }
    };
    let shown = match prints_results(arguments) {
        true => Path::new("standard output"),
        false => &*results,
    };
    let bad = &summary.bad_lines;
    let all_in = format!("that cannot be sent; all are in {}", errors.display());
    say_bad_lines(bad, summary.more_bad_lines, &all_in);
    let held = held.and_then(|held| held.in_all());
    summary::print(&summary, held, shown, &errors, arguments);
    // One file that cannot be written costs no other, and each is said.
    let summarized = match &arguments.summary {
        Some(path) => summary::write(&summary, path),
        None => Ok(()),
    };
    let written = [
        report.write(&summary),
        extract::write(arguments, &results, &errors, &requests, prices),
        summarized,
    ];
    // Each is said; the status is that of the last.
    let mut failed = None;
    for error in written.iter().filter_map(|it| it.as_ref().err()) {
        failed = Some(Exit::of_error(error));
    }
    if let Some(exit) = failed {
        return Ok(exit);
    }
    Ok(Exit::of_summary(&summary, interrupts.exit()))
}

/// Whether what answers need may be learned, by the words of the flags.
fn check_learning(arguments: &args::Run) -> Result<()> {
    let provider = server::provider(&arguments.server)?;
    let usual = provider.and_then(Provider::accounting);
    let charge = arguments.accounting.map(Accounting::from).or(usual);
    let counts_answers = [Some(Accounting::Actual), Some(Accounting::AsUsed)];
    if arguments.learn_output.is_none() || counts_answers.contains(&charge) {
        return Ok(());
    }
    let message = "--learn-output: only a server that charges what an answer used can be asked for \
                   less than the cap; if it does, say --accounting actual, else leave this out";
    Err(mistake(message.to_owned()))
}

/// A bound in one currency says nothing of prices in another.
fn check_currency(flag: &str, most: Option<&args::Amount>, prices: Option<&Prices>) -> Result<()> {
    let named = most.and_then(|most| most.currency.as_deref());
    match (named, prices.map(Prices::currency)) {
        (Some(named), Some(currency)) if named != currency => Err(mistake(format!(
            "{flag} is in {named}, and --prices are in {currency}; name the bound in {currency}"
        ))),
        _ => Ok(()),
    }
}

/// The prices of all that the flag names, each laid over the one before it.
pub(crate) fn prices(named: &[PathBuf]) -> Result<Option<Prices>> {
    let mut prices: Option<Prices> = None;
    for path in named {
        let next = match path == Path::new(BUILTIN) {
            true => {
                let prices = Prices::builtin();
                let dated = prices.dated().unwrap_or_default();
                say!("paceline: built-in prices as of {dated}; check them against your provider's");
                prices
            }
            false => Prices::from_file(path)?,
        };
        prices = Some(match prices {
            Some(before) => next.over(before)?,
            None => next,
        });
    }
    Ok(prices)
}

/// With the prices and the bounds of the flags.
fn on_terms(mut run: Run, arguments: &args::Run, prices: Option<Prices>) -> Run {
    if let Some(prices) = prices {
        run = run.prices(prices);
    }
    if let Some(tokens) = arguments.budget_tokens {
        run = run.budget_tokens(tokens);
    }
    if let Some(most) = &arguments.max_cost {
        run = run.max_cost(most.money);
    }
    if let Some(tokens) = arguments.budget_tokens_this_run {
        run = run.budget_tokens_this_run(tokens);
    }
    if let Some(most) = &arguments.max_cost_this_run {
        run = run.max_cost_this_run(most.money);
    }
    if let Some(factor) = arguments.retry_cut_off {
        run = run.retry_cut_off(factor);
    }
    for file in &arguments.shape.others {
        run = run.count_costs_of(file);
    }
    if let Some(most) = arguments.max_failures {
        run = run.max_failures(most);
    }
    if let Some(after) = arguments.deadline {
        run = run.deadline(after);
    }
    if let Some(latency) = arguments.expect_latency {
        run = run.expect_latency(latency);
    }
    run
}

/// The first signal lets requests in flight finish; the second one ends the process. So does the end of the
/// grace period, when an output that is not read blocks the process: what is on the disk then stays valid.
#[derive(Clone, Default)]
pub(crate) struct Interrupts(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    is_listening: bool,
    first: Option<Signal>,
    /// Stops what runs now.
    stop: Option<CancelToken>,
    /// The files of results and errors so far.
    files: Vec<PathBuf>,
}

impl Interrupts {
    /// Cancels a token at a signal, or at once when there has been one.
    fn stop(&self, stop: &CancelToken, grace: Duration) -> Result<()> {
        let mut heard = self.lock();
        heard.stop = Some(stop.clone());
        if heard.first.is_some() {
            stop.cancel();
        }
        if std::mem::replace(&mut heard.is_listening, true) {
            return Ok(());
        }
        let this = self.clone();
        signals::listen(move |signal| this.hear(signal, grace))
            .map_err(|error| mistake(format!("cannot listen for signals: {error}")))
    }

    fn writes(&self, files: [&Path; 2]) {
        let files = files.map(Path::to_owned);
        self.lock().files.extend(files);
    }

    /// The files of results and errors of the runs so far.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.lock().files.clone()
    }

    fn hear(&self, signal: Signal, grace: Duration) {
        let mut heard = self.lock();
        if heard.first.is_some() {
            signal.end();
        }
        heard.first = Some(signal);
        if let Some(stop) = &heard.stop {
            stop.cancel();
        }
        drop(heard);
        // On threads of their own: a write to an output that is not read may block for ever.
        let timer = Builder::new().name("paceline-grace".to_owned());
        let _ = timer.spawn(move || {
            // Nothing cancels the timer: a run that ends in time exits, and its threads end with it.
            let (_never, timer) = mpsc::channel::<()>();
            let _ = timer.recv_timeout(grace.saturating_add(LAST_WORDS));
            signal.end();
        });
        let words = Builder::new().name("paceline-words".to_owned());
        let _ = words.spawn(move || {
            say!(
                "paceline: finishing requests in flight, for at most {}; a second signal stops at once",
                lasting(grace)
            );
        });
    }

    /// How the signal that stopped the run, once one has, ends the command.
    fn exit(&self) -> Exit {
        self.lock().first.map_or(Exit::Interrupted, Signal::exit)
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        // A thread that panicked changed one field at most.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
