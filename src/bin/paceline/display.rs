//! Where a run stands, on standard error: a live display on a terminal, else a line now and then.

use std::collections::HashSet;
use std::io::{self, IsTerminal};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use paceline::Clock;
use paceline::batch::{Progress, Watch};

use crate::args::When;
use crate::eta::{Eta, TimeLeft};
use crate::held::Held;
use crate::numbers::{grouped, money};
use crate::pace::Pace;
use crate::plain::{cut, line as line_of};
use crate::reasons::{example, last, top};
use crate::say::{self, say, warning};
use crate::utc;

/// How often the live display is drawn anew.
const FRAME: Duration = Duration::from_millis(200);
/// How often a line is printed without a terminal.
const LINE: Duration = Duration::from_secs(30);
/// When the first one is, where lines are asked for.
const FIRST_LINE: Duration = Duration::from_secs(1);

/// Blanks before each line of the live display but the first.
const INDENT: usize = 2;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Nothing,
    Live,
    /// Lines, the first of them after this time.
    Lines(Duration),
}

impl Form {
    fn of(when: When, is_terminal: bool) -> Self {
        // A program that reads messages line by line is not a terminal.
        match (when, is_terminal && !say::is_json()) {
            (When::Never, _) => Self::Nothing,
            (When::Auto | When::Always, true) => Self::Live,
            (When::Auto, false) => Self::Lines(LINE),
            (When::Always, false) => Self::Lines(FIRST_LINE),
        }
    }
}

/// A thread that shows progress until this is dropped.
pub(crate) struct Display(Option<(Sender<()>, JoinHandle<Held>)>);

impl Display {
    /// `currency` is what costs are in, where there are prices.
    pub(crate) fn start(watch: Watch, when: Option<When>, currency: Option<String>) -> Self {
        let when = when.unwrap_or(match say::is_quiet() {
            true => When::Never,
            false => When::Auto,
        });
        let (stop, stopped) = bounded(0);
        let currency = currency.unwrap_or_default();
        let held = Held::default();
        let thread = Builder::new().name("paceline-display".to_owned());
        let thread = match Form::of(when, io::stderr().is_terminal()) {
            Form::Nothing => thread.spawn(move || silent(&watch, &stopped, held)),
            Form::Live => thread.spawn(move || live(&watch, &stopped, &currency, held)),
            Form::Lines(first) => {
                thread.spawn(move || lines(&watch, &stopped, &currency, first, held))
            }
        };
        // A run without a display is better than none.
        Self(thread.ok().map(|thread| (stop, thread)))
    }
}

impl Display {
    /// Clears the display, and tells what held the run back while it was shown.
    pub(crate) fn end(mut self) -> Option<Held> {
        self.stop()
    }

    fn stop(&mut self) -> Option<Held> {
        let (stop, thread) = self.0.take()?;
        drop(stop);
        thread.join().ok()
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits for the next frame; false when the display is to end.
fn next(stopped: &Receiver<()>, frame: Duration) -> bool {
    matches!(stopped.recv_timeout(frame), Err(RecvTimeoutError::Timeout))
}

/// Shows nothing, and still takes its samples.
fn silent(watch: &Watch, stopped: &Receiver<()>, mut held: Held) -> Held {
    let clock = Clock::real();
    while next(stopped, FRAME) {
        held.look(clock.now(), watch.bottleneck());
    }
    held
}

fn lines(
    watch: &Watch,
    stopped: &Receiver<()>,
    currency: &str,
    first: Duration,
    mut held: Held,
) -> Held {
    let clock = Clock::real();
    let mut eta = Eta::default();
    let (mut due, mut said) = (clock.now() + first, HashSet::new());
    while next(stopped, FRAME) {
        let (progress, left) = look(watch, clock.now(), &mut eta, &mut held);
        if let Some(news) = held.news(utc::now()) {
            say!("{} {news}", utc::time_of_day(utc::now()));
        }
        for reason in watch.reasons().by_count() {
            // 30 s are long to wait for the first sign of trouble.
            if reason.retried > 0 && said.insert(reason.reason.clone()) {
                warning!(
                    "{} attempts fail: {}",
                    utc::time_of_day(utc::now()),
                    example(reason)
                );
            }
        }
        if clock.now() < due {
            continue;
        }
        due = clock.now() + LINE;
        let (done, under_way) = (done(&progress, left), under_way(&progress));
        let spent = spent(&progress, currency);
        let why = top(&watch.reasons().by_count(), usize::MAX);
        let why = why.map_or_else(String::new, |why| format!("; {why}"));
        let now = utc::now();
        let held = held.now(now);
        say!(
            "{} {done}, {under_way}, {spent}; {held}{why}",
            utc::time_of_day(now)
        );
    }
    held
}

fn live(watch: &Watch, stopped: &Receiver<()>, currency: &str, mut held: Held) -> Held {
    let clock = Clock::real();
    let bars = MultiProgress::new();
    let head = bars.add(ProgressBar::new(0));
    let known = watch.progress().total.is_some();
    head.set_style(style(match known {
        true => "{bar:24} {wide_msg}",
        false => "{wide_msg}",
    }));
    let line = || bars.add(ProgressBar::new_spinner().with_style(style("  {wide_msg}")));
    let (middle, tokens, why) = (line(), line(), line());
    let mut failures: Option<[ProgressBar; 2]> = None;
    say::above(Some(bars.clone()));
    let mut eta = Eta::default();
    let mut models: Vec<(Pace, ProgressBar)> = Vec::new();
    while next(stopped, FRAME) {
        let (progress, left) = look(watch, clock.now(), &mut eta, &mut held);
        head.set_length(progress.total.unwrap_or(0));
        head.set_position(progress.done());
        head.set_message(done(&progress, left));
        middle.set_message(under_way(&progress));
        tokens.set_message(spent(&progress, currency));
        why.set_message(line_of(&held.now(utc::now())).into_owned());
        let reasons = watch.reasons();
        let width = say::width().unwrap_or(usize::MAX).saturating_sub(INDENT);
        if let (Some(top), Some(last)) = (top(&reasons.by_count(), width), last(&reasons)) {
            let [tops, lasts] = failures.get_or_insert_with(|| {
                let below = |above: &ProgressBar| {
                    let bar = ProgressBar::new_spinner().with_style(style("  {wide_msg}"));
                    bars.insert_after(above, bar)
                };
                let tops = below(&why);
                let lasts = below(&tops);
                [tops, lasts]
            });
            tops.set_message(top);
            lasts.set_message(cut(&last, width).into_owned());
        }
        for (name, limiter) in watch.client().registry().limiters() {
            if !models.iter().any(|(pace, _)| pace.is_of(&limiter)) {
                models.push((Pace::new(&name, limiter), line()));
            }
        }
        let names = models.iter().map(|(pace, _)| pace.name().chars().count());
        let width = names.max().unwrap_or(0);
        for (pace, line) in &mut models {
            line.set_message(pace.describe(width));
        }
    }
    for line in models
        .into_iter()
        .map(|(_, line)| line)
        .chain(failures.into_iter().flatten())
        .chain([why, tokens, middle])
    {
        line.finish_and_clear();
    }
    head.finish_and_clear();
    say::above(None);
    held
}

/// What is too wide for the terminal is cut off: a line that wraps could not be drawn over.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Looks at the whole run: where it stands, how long it still takes, and what holds it back.
fn look(watch: &Watch, now: Instant, eta: &mut Eta, held: &mut Held) -> (Progress, TimeLeft) {
    let (progress, bottleneck) = (watch.progress(), watch.bottleneck());
    let limiters = watch.client().registry().limiters();
    let models = watch.models().into_iter().filter_map(|of| {
        let mut limiters = limiters.iter();
        let (_, limiter) = limiters.find(|(name, _)| *name == of.model)?;
        Some((of, limiter.snapshot()))
    });
    let models: Vec<_> = models.collect();
    let left = eta.look(now, &progress, &bottleneck, &models);
    held.look(now, bottleneck);
    (progress, left)
}

/// `120 of 240 done, about 12.0 s left`.
pub(crate) fn done(progress: &Progress, left: TimeLeft) -> String {
    let mut text = match progress.total {
        Some(total) => format!("{} of {} done", grouped(progress.done()), grouped(total)),
        None => format!("{} done", grouped(progress.done())),
    };
    if let Some(left) = left.words() {
        text.push_str(&format!(", {left}"));
    }
    text
}

/// `35 in flight, 2 failed, 3 retries, 1 × 429`.
fn under_way(progress: &Progress) -> String {
    let mut text = format!("{} in flight", grouped(progress.in_flight));
    for (count, what) in [
        (progress.failed, " failed"),
        (progress.retries, " retries"),
        (progress.rate_limited, " × 429"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {}{what}", grouped(count)));
        }
    }
    text
}

/// `4,620 tokens used of about 9,240, 0.012 USD of about 0.024`.
pub(crate) fn spent(progress: &Progress, currency: &str) -> String {
    let mut text = format!("{} tokens used", grouped(progress.tokens_used));
    if let Some(tokens) = progress.expected_tokens() {
        text.push_str(&format!(" of about {}", grouped(tokens)));
    }
    if let Some(cost) = progress.cost {
        text.push_str(&format!(", {} {currency}", money(cost)));
        if let Some(cost) = progress.expected_cost() {
            text.push_str(&format!(" of about {}", money(cost)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_there_are_lines_and_never_is_never() {
        let table = [
            (When::Auto, true, Form::Live),
            (When::Always, true, Form::Live),
            (When::Never, true, Form::Nothing),
            (When::Auto, false, Form::Lines(Duration::from_secs(30))),
            (When::Always, false, Form::Lines(Duration::from_secs(1))),
            (When::Never, false, Form::Nothing),
        ];
        for (when, is_terminal, form) in table {
            assert_eq!(Form::of(when, is_terminal), form, "{when:?} {is_terminal}");
        }
    }

    #[test]
    fn progress_is_said_with_what_is_known() {
        let mut progress = Progress::default();
        (progress.succeeded, progress.in_flight) = (1_198, 35);
        progress.tokens_used = 4_800;
        assert_eq!(done(&progress, TimeLeft::Unknown), "1,198 done");
        assert_eq!(under_way(&progress), "35 in flight");
        assert_eq!(spent(&progress, ""), "4,800 tokens used");
        (progress.failed, progress.retries, progress.rate_limited) = (2, 3, 1);
        progress.total = Some(2_400);
        progress.cost = "0.6".parse().ok();
        let left = TimeLeft::About(Duration::from_secs(12));
        assert_eq!(
            done(&progress, left),
            "1,200 of 2,400 done, about 12.0 s left"
        );
        assert_eq!(
            under_way(&progress),
            "35 in flight, 2 failed, 3 retries, 1 × 429"
        );
        let text = spent(&progress, "USD");
        assert_eq!(
            text,
            "4,800 tokens used of about 9,600, 0.60 USD of about 1.20"
        );
    }
}
