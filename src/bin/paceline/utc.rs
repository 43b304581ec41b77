//! The time of day, in UTC: a log that is read elsewhere is read with no zone in mind.

use std::time::{Duration, SystemTime};

const DAY: u64 = 24 * 60 * 60;

/// `18:42:30Z`.
pub(crate) fn time_of_day(at: SystemTime) -> String {
    let seconds = since_epoch(at) % DAY;
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}Z", seconds % 60)
}

/// `2026-03-01T18:42:30Z`, as programs read it.
pub(crate) fn timestamp(at: SystemTime) -> String {
    let seconds = i64::try_from(since_epoch(at)).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(seconds);
    time.map_or_else(|_| String::new(), |time| time.to_string())
}

/// When `wait` from now will be over: `18:53:10Z`, and the days when it is not today.
pub(crate) fn until(now: SystemTime, wait: Duration) -> String {
    let Some(at) = now.checked_add(wait) else {
        return "the end of time".to_owned();
    };
    let time = time_of_day(at);
    match since_epoch(at) / DAY - since_epoch(now) / DAY {
        0 => time,
        1 => format!("{time} tomorrow"),
        days => format!("{time} in {days} days"),
    }
}

fn since_epoch(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// The wall clock, which people read.
#[allow(
    clippy::disallowed_methods,
    reason = "a time that people read; everything else goes by a monotonic clock"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_the_day_and_waits_name_the_day() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let now = 784_111_777; // 08:49:37
        assert_eq!(time_of_day(at(now)), "08:49:37Z");
        assert_eq!(time_of_day(at(0)), "00:00:00Z");
        assert_eq!(timestamp(at(now)), "1994-11-06T08:49:37Z");
        assert_eq!(time_of_day(at(DAY - 1)), "23:59:59Z");
        let table = [
            (660, "09:00:37Z"),
            (16 * 3_600, "00:49:37Z tomorrow"),
            (365 * DAY, "08:49:37Z in 365 days"),
            (u64::MAX, "the end of time"),
        ];
        for (wait, expected) in table {
            assert_eq!(until(at(now), Duration::from_secs(wait)), expected);
        }
    }
}
