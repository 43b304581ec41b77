//! Requests in flight, finished and refused, over time.

use super::axis::Axis;
use super::plot::Plot;
use super::words::{lasting, moment};
use crate::batch::events::history::{Flow, Recording};

/// Bars of a plot, at most: the buckets of a history are merged to as many.
const BARS: usize = 96;

/// Requests in flight.
#[allow(clippy::cast_precision_loss, reason = "to be drawn")]
pub(super) fn in_flight(recording: &Recording) -> Option<String> {
    let lasted = recording.lasted.as_secs_f64();
    let line = &recording.in_flight;
    let most = line.buckets().iter().map(|it| it.most).max().unwrap_or(0);
    if most == 0 {
        return None;
    }
    let (x, y) = (Axis::times(lasted), Axis::amounts(most as f64));
    let mut plot = Plot::new("Requests in flight", x, y)
        .hint("The most at once; waits between two tries are part of it.");
    let width = line.width().as_secs_f64();
    let mut points = Vec::new();
    for (number, bucket) in line.buckets().iter().enumerate() {
        let from = number as f64 * width;
        points.push((from, bucket.most as f64));
        points.push(((from + width).min(lasted), bucket.most as f64));
    }
    plot.area("use", &points);
    let coarse = line.coarse(BARS);
    let width = coarse.width().as_secs_f64();
    for (number, bucket) in coarse.buckets().iter().enumerate() {
        let from = number as f64 * width;
        let text = format!("from {}: {} in flight", moment(from), bucket.most);
        plot.tell(from, from + width, &text);
    }
    Some(plot.html())
}

/// Requests finished.
pub(super) fn finished(recording: &Recording) -> Option<String> {
    let series: [Series; 2] = [
        ("good", "succeeded", |flow| flow.succeeded),
        ("bad", "failed", |flow| flow.failed),
    ];
    bars(recording, "Requests finished", &series, false)
}

/// 429 answers that asked to wait.
pub(super) fn refusals(recording: &Recording) -> Option<String> {
    let series: [Series; 1] = [("warn", "429 answers", |flow| flow.rate_limited)];
    bars(recording, "429 answers", &series, true)
}

/// Tries after the first.
pub(super) fn retries(recording: &Recording) -> Option<String> {
    let series: [Series; 1] = [("again", "retries", |flow| flow.retries)];
    bars(recording, "Retries", &series, true)
}

/// A class, a name, and what is counted.
type Series = (&'static str, &'static str, fn(&Flow) -> u64);

/// Bars upon each other. Nothing of nothing.
#[allow(clippy::cast_precision_loss, reason = "to be drawn")]
fn bars(recording: &Recording, title: &str, series: &[Series], is_low: bool) -> Option<String> {
    let line = recording.flow.coarse(BARS);
    let sum = |flow: &Flow| series.iter().map(|(_, _, count)| count(flow)).sum::<u64>();
    let most = line.buckets().iter().map(sum).max().unwrap_or(0);
    if most == 0 {
        return None;
    }
    let width = line.width().as_secs_f64();
    // To the end of the last bar, which may be later than that of the run.
    let x = Axis::times(line.buckets().len() as f64 * width);
    let mut plot = Plot::new(title, x, Axis::amounts(most as f64))
        .hint(&format!("Each bar is {}.", lasting(line.width())));
    if is_low {
        plot = plot.low();
    }
    let is_there = |it: &&Series| line.buckets().iter().any(|flow| it.2(flow) > 0);
    let there: Vec<_> = series.iter().filter(is_there).collect();
    // The title names the only one.
    if there.len() > 1 || (series.len() > 1 && there.iter().any(|it| it.0 != series[0].0)) {
        for (class, name, _) in there {
            plot.legend(class, name);
        }
    }
    for (number, flow) in line.buckets().iter().enumerate() {
        let from = number as f64 * width;
        let mut low = 0;
        let mut told = Vec::new();
        for (class, name, count) in series {
            let high = low + count(flow);
            if high > low {
                // A gap between bars, as wide as a sixth of one.
                plot.bar(
                    class,
                    (from + width / 12.0, from + width * 11.0 / 12.0),
                    (low as f64, high as f64),
                );
                told.push(format!("{} {name}", high - low));
            }
            low = high;
        }
        if low > 0 {
            plot.tell(
                from,
                from + width,
                &format!("from {}: {}", moment(from), told.join(", ")),
            );
        }
    }
    Some(plot.html())
}
