//! The forms in which headers tell times.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::durations;

/// In which form a header tells a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Clock {
    /// Any of the others, recognized by how it is written.
    #[default]
    Any,
    /// A number of seconds from now; above a year an instant in Unix time.
    Seconds,
    /// A number of milliseconds from now.
    Milliseconds,
    /// Go's form: `6m0s`.
    Duration,
    /// An instant of RFC 3339 or of HTTP.
    Instant,
    /// An instant in seconds since 1970.
    UnixSeconds,
    /// An instant in milliseconds since 1970.
    UnixMilliseconds,
}

impl Clock {
    /// The time from `now` that a text names. `None` where it names none in this form that is believable.
    pub(super) fn read(self, text: &str, now: SystemTime) -> Option<Duration> {
        let text = text.trim();
        match self {
            Self::Any => durations::read(text, now),
            Self::Seconds => durations::seconds(text).or_else(|| durations::until_unix(text, now)),
            Self::Milliseconds => durations::millis(text),
            Self::Duration => durations::go_style(text),
            Self::Instant => durations::until(text, now),
            Self::UnixSeconds | Self::UnixMilliseconds => durations::until_unix(text, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_reads_its_own() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_593_600);
        let table = [
            (Clock::Seconds, "11.5", Some(11_500)),
            (Clock::Seconds, "1795593660", Some(60_000)),
            (Clock::Milliseconds, "250", Some(250)),
            (Clock::Duration, "6m0s", Some(360_000)),
            (Clock::Duration, "60", None),
            (Clock::Instant, "2026-11-25T08:00:02Z", Some(2_000)),
            (Clock::Instant, "2", None),
            (Clock::UnixMilliseconds, "1795593601500", Some(1_500)),
            (Clock::UnixSeconds, "60", None),
            (Clock::Any, "6m0s", Some(360_000)),
            (Clock::Any, "soon", None),
        ];
        for (clock, text, expected) in table {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(clock.read(text, now), expected, "{clock:?} of {text:?}");
        }
    }
}
