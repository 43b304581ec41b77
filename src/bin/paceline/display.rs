//! Where a run stands, on standard error: a live display on a terminal, else a line now and then.

use std::io::{self, IsTerminal};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use paceline::Clock;
use paceline::batch::{Progress, Watch};

use crate::args::When;
use crate::numbers::{grouped, lasting};
use crate::pace::{Pace, TimeLeft};
use crate::say::{self, say};

/// How often the live display is drawn anew.
const FRAME: Duration = Duration::from_millis(200);
/// When the first line is printed where there is no terminal.
const FIRST_LINE: Duration = Duration::from_secs(1);
/// How often one follows.
const LINE: Duration = Duration::from_secs(30);

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
    let clock = Clock::real();
    let mut left = TimeLeft::new(clock.now());
    let mut pause = FIRST_LINE;
    while next(stopped, pause) {
        let progress = watch.progress();
        let left = left.after(clock.now(), &progress);
        say!("{}", counts(&progress, left));
        pause = LINE;
    }
}

fn live(watch: &Watch, stopped: &Receiver<()>) {
    let clock = Clock::real();
    let bars = MultiProgress::new();
    let head = bars.add(ProgressBar::new(0));
    let known = watch.progress().total.is_some();
    let style = ProgressStyle::with_template(if known { "{bar:24} {msg}" } else { "{msg}" });
    head.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    say::above(Some(bars.clone()));
    let mut left = TimeLeft::new(clock.now());
    let mut models: Vec<(Pace, ProgressBar)> = Vec::new();
    while next(stopped, FRAME) {
        let progress = watch.progress();
        head.set_length(progress.total.unwrap_or(0));
        head.set_position(progress.done());
        let left = left.after(clock.now(), &progress);
        head.set_message(counts(&progress, left));
        for (name, limiter) in watch.client().registry().limiters() {
            if !models.iter().any(|(pace, _)| pace.name() == name) {
                let line = bars.add(ProgressBar::new_spinner());
                let style = ProgressStyle::with_template("  {msg}");
                line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                models.push((Pace::new(name, limiter), line));
            }
        }
        let names = models.iter().map(|(pace, _)| pace.name().chars().count());
        let width = names.max().unwrap_or(0);
        for (pace, line) in &mut models {
            line.set_message(pace.describe(width));
        }
    }
    for (_, line) in models {
        line.finish_and_clear();
    }
    head.finish_and_clear();
    say::above(None);
}

/// `120 of 240 done, 35 in flight, 2 failed, 3 retries, 1 × 429, 12 s left`.
fn counts(progress: &Progress, left: Option<Duration>) -> String {
    let mut text = match progress.total {
        Some(total) => format!("{} of {} done", grouped(progress.done()), grouped(total)),
        None => format!("{} done", grouped(progress.done())),
    };
    let in_flight = grouped(progress.in_flight);
    text.push_str(&format!(", {in_flight} in flight"));
    for (count, what) in [
        (progress.failed, " failed"),
        (progress.retries, " retries"),
        (progress.rate_limited, " × 429"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {}{what}", grouped(count)));
        }
    }
    if let Some(left) = left {
        text.push_str(&format!(", about {} left", lasting(left)));
    }
    text
}
