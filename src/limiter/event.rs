//! Events of a limiter, for metrics.

use std::sync::Arc;
use std::time::Duration;

use crate::AcquireError;
use crate::cost::Cost;
use crate::error::per;
use crate::quota::Quota;

/// Something that happened to a request in a limiter. See
/// [`RateLimiterBuilder::on_event`](super::RateLimiterBuilder::on_event).
///
/// ```
/// use paceline::Event;
///
/// fn count(event: &Event<'_>) {
///     match event {
///         Event::Granted { cost, waited } => println!("{} tokens after {waited:?}", cost.tokens),
///         Event::Denied { error, .. } => println!("denied: {error}"),
///         _ => {}
///     }
/// }
/// # let _ = count;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It cannot be granted at once, and stands in line now.
    Waiting {
        /// What it asks for.
        cost: Cost,
    },
    /// It was granted.
    Granted {
        /// What was taken for it.
        cost: Cost,
        /// How long it stood in line.
        waited: Duration,
    },
    /// A limit has been found that is not stated and that the server does not report: the rate that it
    /// admits. Comes once for each.
    LimitFound {
        /// About what it is.
        quota: Quota,
    },
    /// It was not granted.
    Denied {
        /// What it asked for.
        cost: Cost,
        /// Why.
        error: &'a AcquireError,
    },
    /// What was taken for it has been corrected.
    Settled {
        /// What had been taken.
        reserved: Cost,
        /// What it is now.
        actual: Cost,
    },
}

/// The callback for events.
pub(super) type Hook = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// A limit that has been measured, to two digits: `340,000 tokens a minute`.
pub(super) fn about(quota: Quota) -> String {
    let digits = quota.amount().checked_ilog10().unwrap_or_default();
    let scale = 10_u64.pow(digits.saturating_sub(1));
    let amount = quota.amount().saturating_add(scale / 2) / scale * scale;
    let digits = amount.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text} {} a {}", quota.unit(), per(quota.period()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Unit;

    #[test]
    fn a_measured_limit_is_said_to_two_digits() {
        let table = [
            (1, "1 requests a minute"),
            (57, "57 requests a minute"),
            (584, "580 requests a minute"),
            (9_962, "10,000 requests a minute"),
            (343_210, "340,000 requests a minute"),
            (1_250_000, "1,300,000 requests a minute"),
        ];
        for (amount, expected) in table {
            let quota = Quota::per_minute(Unit::Requests, amount).unwrap();
            assert_eq!(about(quota), expected);
        }
    }
}
