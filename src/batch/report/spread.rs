//! How long things took: a histogram on a logarithmic scale, with its quantiles.

use std::time::Duration;

use super::axis::Axis;
use super::plot::Plot;
use super::words::{counted, lasting};
use crate::batch::events::history::{Bin, Histogram};

/// The most bars, where it can be helped.
const BARS: usize = 48;

/// The shares that are marked.
const MARKS: [(f64, &str); 3] = [(0.5, "half"), (0.9, "90 %"), (0.99, "99 %")];

/// Nothing of nothing.
#[allow(clippy::cast_precision_loss, reason = "to be drawn")]
pub(super) fn plot(title: &str, hint: &str, things: &str, histogram: &Histogram) -> Option<String> {
    let longest = histogram.longest();
    let quantile = |share| histogram.quantile(share).unwrap_or_default();
    let bins = [1, 2, 4, 8, 16].map(|several| histogram.bins(several));
    let bins = bins
        .iter()
        .find(|bins| bins.len() <= BARS)
        .unwrap_or(&bins[4]);
    let (first, last) = (bins.first()?, bins.last()?);
    let most = bins.iter().map(|bin| bin.count).max()?;
    let x = Axis::durations(first.from, last.to);
    let mut text = format!(
        "{hint} Half within {}, 90 % within {}, 99 % within {}; the longest {}.",
        lasting(quantile(0.5)),
        lasting(quantile(0.9)),
        lasting(quantile(0.99)),
        lasting(longest),
    );
    if histogram.none() > 0 {
        let none = counted(histogram.none(), things);
        text.push_str(&format!(
            " {none} did not wait at all; the others are drawn."
        ));
    }
    let mut plot = Plot::new(title, x, Axis::amounts(most as f64)).hint(&text);
    for bin in bins.iter().filter(|bin| bin.count > 0) {
        plot.bar("use-bar", inset(bin), (0.0, bin.count as f64));
        let seconds = |it| lasting(Duration::try_from_secs_f64(it).unwrap_or_default());
        let text = format!(
            "{} to {}: {}",
            seconds(bin.from),
            seconds(bin.to),
            counted(bin.count, things)
        );
        plot.tell(bin.from, bin.to, &text);
    }
    for (row, (share, name)) in MARKS.into_iter().enumerate() {
        let at = quantile(share);
        if !at.is_zero() {
            plot.mark(row, at.as_secs_f64(), name);
        }
    }
    Some(plot.html())
}

/// A gap between bars, on a scale on which each is as wide as the others.
fn inset(bin: &Bin) -> (f64, f64) {
    let gap = (bin.to / bin.from).powf(0.08);
    (bin.from * gap, bin.to / gap)
}
