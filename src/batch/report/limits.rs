//! What was granted of each limit over time, beside what it allowed.

use std::time::Duration;

use super::axis::Axis;
use super::plot::Plot;
use super::table::NOTABLE;
use super::words::{grouped, lasting, moment, percent, period, short};
use crate::batch::events::history::{Grants, Lane, Limit, Recording, Timeline};

/// Plots, at most: the page counts the limits that have none.
const MOST: usize = 6;
/// How many stretches of a plot can be pointed at.
const TOLD: usize = 64;
/// A limit this many times as high as the use is not drawn: the use would be too low to see.
const FAR: f64 = 4.0;

/// The plots of those limits that held requests up, or else of the one that was used most; and how
/// many others there are.
pub(super) fn plots(recording: &Recording) -> (Vec<String>, usize) {
    let mut courses: Vec<Course> = Vec::new();
    for lane in recording.lanes.told_apart() {
        for (index, limit) in lane.limits.iter().enumerate() {
            courses.push(Course::of(lane, index, limit, recording.lasted));
        }
    }
    courses.retain(|course| course.most > 0.0);
    let all = courses.len();
    let key = |it: &Course<'_>| (it.held, it.most / it.highest.max(1.0));
    courses.sort_by(|a, b| {
        let (a, b) = (key(a), key(b));
        b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
    });
    let binding = courses.iter().filter(|course| course.held > 0.0).count();
    courses.truncate(binding.clamp(1, MOST));
    let plots: Vec<_> = courses.iter().map(Course::plot).collect();
    let others = all - plots.len();
    (plots, others)
}

/// A limit and what was granted of it.
struct Course<'a> {
    lane: &'a Lane,
    index: usize,
    limit: &'a Limit,
    lasted: f64,
    /// What was granted in the period before each moment.
    points: Vec<(f64, f64)>,
    /// The period, or a bucket where that is longer.
    window: f64,
    most: f64,
    /// The highest that the limit ever was.
    highest: f64,
    /// The fraction of the run in which a request waited for it.
    held: f64,
    /// The fraction in which a request waited for something that is no limit.
    held_otherwise: f64,
}

impl<'a> Course<'a> {
    #[allow(clippy::cast_precision_loss, reason = "to be drawn")]
    fn of(lane: &'a Lane, index: usize, limit: &'a Limit, lasted: Duration) -> Self {
        let lasted = lasted.as_secs_f64().max(0.001);
        let (points, window) = trailing(&lane.grants, limit, lasted);
        let buckets = lane.grants.buckets();
        let share = |is_it: &dyn Fn(&Grants) -> bool| {
            let count = buckets.iter().filter(|it| is_it(it)).count();
            count as f64 / buckets.len().max(1) as f64
        };
        let amounts = limit.amounts.iter().map(|(_, amount)| *amount);
        Self {
            lane,
            index,
            limit,
            lasted,
            most: points.iter().map(|(_, value)| *value).fold(0.0, f64::max),
            points,
            window,
            highest: amounts.max().unwrap_or(0) as f64,
            held: share(&|it| it.held_by(index)),
            held_otherwise: share(&Grants::held_otherwise),
        }
    }

    fn plot(&self) -> String {
        let Self { limit, lasted, .. } = *self;
        let (unit, period) = (limit.unit, period(limit.period));
        let is_far = self.is_far();
        let top = if is_far {
            self.most
        } else {
            self.most.max(self.highest)
        };
        let title = format!("{}: {unit} a {period}", self.lane.name);
        let mut plot =
            Plot::new(&title, Axis::times(lasted), Axis::amounts(top)).hint(&self.hint());
        let window = match self.window > limit.period.as_secs_f64() {
            true => format!("{unit} a {period}"),
            false => format!("{unit} in the {period} before"),
        };
        plot.legend("use", &window);
        if !is_far {
            plot.legend("limit", "the limit");
        }
        if self.held > 0.0 {
            plot.legend("held", "requests waited for it");
        }
        self.strips(&mut plot);
        plot.area("use", &self.points);
        if !is_far {
            plot.line("limit", &self.limit_line());
        }
        let step = self.points.len().div_ceil(TOLD).max(1);
        let mut from = 0.0;
        for chunk in self.points[1..].chunks(step) {
            let Some((to, value)) = chunk.last().copied() else {
                continue;
            };
            let text = format!("{}: {} {window}", moment(to), short(value));
            plot.tell(from, to, &text);
            from = to;
        }
        plot.html()
    }

    fn is_far(&self) -> bool {
        self.highest > self.most * FAR
    }

    /// Where requests waited for it.
    #[allow(clippy::cast_precision_loss, reason = "to be drawn")]
    fn strips(&self, plot: &mut Plot) {
        let width = self.lane.grants.width().as_secs_f64();
        let buckets = self.lane.grants.buckets();
        let mut since = None;
        for (number, is_held) in buckets
            .iter()
            .map(|bucket| bucket.held_by(self.index))
            .chain([false])
            .enumerate()
        {
            let at = (number as f64 * width).min(self.lasted);
            match (since, is_held) {
                (None, true) => since = Some(at),
                (Some(from), false) => {
                    plot.strip("held", from, at);
                    since = None;
                }
                _ => {}
            }
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "to be drawn")]
    fn limit_line(&self) -> Vec<(f64, f64)> {
        let mut line = Vec::new();
        for (number, (since, amount)) in self.limit.amounts.iter().enumerate() {
            let since = if number == 0 {
                0.0
            } else {
                since.as_secs_f64()
            };
            if let Some((_, before)) = line.last().copied() {
                line.push((since, before));
            }
            line.push((since, *amount as f64));
        }
        let last = line.last().map_or(0.0, |(_, amount)| *amount);
        line.push((self.lasted, last));
        line
    }

    fn hint(&self) -> String {
        let Self { limit, .. } = *self;
        let (first, last) = (limit.amounts.first(), limit.amounts.last());
        let said = match (limit.is_guess, limit.reported) {
            (true, _) => " (guess)",
            (false, true) => " (reported)",
            (false, false) => "",
        };
        let far = if self.is_far() {
            ", far above what is drawn"
        } else {
            ""
        };
        let mut text = format!("The limit is {}{said}{far}.", self.amount(last));
        if first.map(|it| it.1) != last.map(|it| it.1) {
            text.push_str(&format!(" It was {} at first.", self.amount(first)));
        }
        if self.held > 0.0 {
            text.push_str(&format!(
                " Requests waited for it in {} of the time.",
                percent(self.held)
            ));
        } else {
            text.push_str(" No request had to wait for it.");
        }
        if self.held_otherwise > 0.0 {
            text.push_str(&format!(
                " In {} of the time they waited for something else: a pause, or a careful start.",
                percent(self.held_otherwise)
            ));
        }
        if (limit.count_ratio - 1.0).abs() >= NOTABLE {
            text.push_str(&format!(
                " The server charges {:.2} × our count, which is drawn.",
                limit.count_ratio
            ));
        }
        if limit.others >= NOTABLE {
            text.push_str(&format!(
                " Others on the account seem to use {} of it.",
                percent(limit.others)
            ));
        }
        let mut amounts = limit.amounts.iter();
        if amounts.all(|(_, amount)| self.most > *amount as f64 * 1.01) {
            text.push_str(
                " More than the limit can pass at first, when a full bucket comes on top of what flows in.",
            );
        }
        if self.window > limit.period.as_secs_f64() {
            let window = Duration::try_from_secs_f64(self.window).unwrap_or_default();
            text.push_str(&format!(" Averaged over {}.", lasting(window)));
        }
        text
    }

    fn amount(&self, amount: Option<&(Duration, u64)>) -> String {
        let amount = amount.map_or(0, |(_, amount)| *amount);
        format!(
            "{} {} a {}",
            grouped(amount),
            self.limit.unit,
            period(self.limit.period)
        )
    }
}

/// What was granted in the period that ends at each moment, and how long that is: no shorter than a
/// bucket, for more is not known.
#[allow(clippy::cast_precision_loss, reason = "to be drawn")]
fn trailing(grants: &Timeline<Grants>, limit: &Limit, lasted: f64) -> (Vec<(f64, f64)>, f64) {
    let width = grants.width().as_secs_f64();
    let mut sum = 0.0;
    let mut sums = vec![(0.0, 0.0)];
    for (number, bucket) in grants.buckets().iter().enumerate() {
        sum += bucket.amount(limit.unit) as f64 * limit.count_ratio;
        sums.push((((number + 1) as f64 * width).min(lasted), sum));
    }
    let period = limit.period.as_secs_f64();
    let window = period.max(width);
    let before = |at: f64| {
        let at = (at - window).max(0.0);
        let next = sums
            .partition_point(|(time, _)| *time <= at)
            .min(sums.len() - 1);
        let ((from, low), (to, high)) = (sums[next.saturating_sub(1)], sums[next]);
        match to > from {
            true => low + (high - low) * ((at - from) / (to - from)).clamp(0.0, 1.0),
            false => low,
        }
    };
    let value = |(at, sum): &(f64, f64)| (*at, (sum - before(*at)) * period / window);
    (sums.iter().map(value).collect(), window)
}
