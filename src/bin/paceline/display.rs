//! Where a run stands, on standard error: a live display on a terminal, else a line now and then.

use std::io::{self, IsTerminal};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use paceline::batch::{Progress, Watch};
use paceline::{RateLimiter, Unit};

use crate::args::When;
use crate::numbers::grouped;

/// How often the live display is drawn anew.
const FRAME: Duration = Duration::from_millis(200);
/// How often a line is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(30);
/// The stretch over which the rate is measured.
const RATE_OVER: Duration = Duration::from_secs(10);

/// A thread that shows progress until this is dropped.
pub(crate) struct Display(Option<(Sender<()>, JoinHandle<()>)>);

impl Display {
    pub(crate) fn start(watch: Watch, when: When) -> Self {
        let terminal = io::stderr().is_terminal();
        let (stop, stopped) = bounded(0);
        let thread = Builder::new().name("paceline-display".to_owned());
        let thread = match (when, terminal) {
            (When::Never, _) | (When::Auto, false) => return Self(None),
            (When::Auto | When::Always, true) => thread.spawn(move || live(&watch, &stopped)),
            (When::Always, false) => thread.spawn(move || lines(&watch, &stopped)),
        };
        // A run without a display is better than none.
        Self(thread.ok().map(|thread| (stop, thread)))
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

/// Waits for the next frame; false when the display is to end.
fn next(stopped: &Receiver<()>, frame: Duration) -> bool {
    matches!(stopped.recv_timeout(frame), Err(RecvTimeoutError::Timeout))
}

fn lines(watch: &Watch, stopped: &Receiver<()>) {
    while next(stopped, LINE) {
        let progress = watch.progress();
        eprintln!("{} done, {}", of_total(&progress), counts(&progress));
    }
}

fn live(watch: &Watch, stopped: &Receiver<()>) {
    let bars = MultiProgress::new();
    let head = bars.add(ProgressBar::new(0));
    let style = ProgressStyle::with_template("{bar:28} {pos}/{len} {msg}, {eta} left");
    head.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut models: Vec<Model> = Vec::new();
    while next(stopped, FRAME) {
        let progress = watch.progress();
        head.set_length(progress.total.unwrap_or(0));
        head.set_position(progress.done());
        head.set_message(counts(&progress));
        for (name, limiter) in watch.client().registry().limiters() {
            if !models.iter().any(|model| model.name == name) {
                models.push(Model::new(name, limiter, &bars));
            }
        }
        for model in &mut models {
            model.draw();
        }
    }
    for model in models {
        model.line.finish_and_clear();
    }
    head.finish_and_clear();
}

fn of_total(progress: &Progress) -> String {
    match progress.total {
        Some(total) => format!("{} of {}", grouped(progress.done()), grouped(total)),
        None => grouped(progress.done()),
    }
}

fn counts(progress: &Progress) -> String {
    let mut text = format!("{} in flight", grouped(progress.in_flight));
    for (count, what) in [(progress.failed, "failed"), (progress.retries, "retries")] {
        if count > 0 {
            text.push_str(&format!(", {} {what}", grouped(count)));
        }
    }
    format!("{text}, {} × 429", grouped(progress.rate_limited))
}

/// The line of one limiter: its rate against its limit.
struct Model {
    name: String,
    limiter: RateLimiter,
    line: ProgressBar,
    /// When, and how much had been granted by then; the oldest first.
    samples: Vec<(Instant, u64)>,
}

impl Model {
    fn new(name: String, limiter: RateLimiter, bars: &MultiProgress) -> Self {
        let line = bars.add(ProgressBar::new_spinner());
        let style = ProgressStyle::with_template("  {msg}");
        line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        Self {
            name,
            limiter,
            line,
            samples: Vec::new(),
        }
    }

    fn draw(&mut self) {
        let snapshot = self.limiter.snapshot();
        let tokens = snapshot
            .quotas
            .iter()
            .find(|of| of.quota.unit() == Unit::Tokens);
        let Some(shown) = tokens.or(snapshot.quotas.first()) else {
            return;
        };
        let now = self.limiter.clock().now();
        self.samples.push((now, shown.granted));
        self.samples
            .retain(|(at, _)| now.saturating_duration_since(*at) <= RATE_OVER);
        let per_minute = self.samples.first().map_or(0, |(at, granted)| {
            let elapsed = now.saturating_duration_since(*at).as_millis().max(1);
            let granted = u128::from(shown.granted - granted);
            u64::try_from(granted * 60_000 / elapsed).unwrap_or(u64::MAX)
        });
        self.line.set_message(format!(
            "{}: {} a minute now, limit {}, {} left in the bucket",
            self.name,
            grouped(per_minute),
            shown.quota,
            shown.level,
        ));
    }
}
