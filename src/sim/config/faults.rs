//! What goes wrong, and how often.

use std::collections::BTreeMap;

use super::super::fraction::{WHOLE, parts};
use super::SimConfig;

/// What can go wrong with a request that is valid and admitted.
///
/// The first four come before the limits, and charge nothing. The others come after admission:
/// the request has been charged, and counts as admitted.
///
/// ```
/// use paceline::sim::{Fault, SimConfig};
///
/// let config = SimConfig::new().fault(Fault::Drop, 0.01).fault(Fault::ServerError, 0.02);
/// # let _ = config;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// A 500 at once. Charges nothing.
    ServerError,
    /// A 503 "Slow Down" at once, without `retry-after`. Charges nothing.
    Overloaded,
    /// A 503 "Slow Down" at once, with a `retry-after` of 1 s, which
    /// [`retry_after`](SimConfig::retry_after) does not leave out. Charges nothing.
    OverloadedForASecond,
    /// A request with `service_tier: "flex"` finds no capacity: 429 `resource_unavailable`, or
    /// Groq's 498. Other requests are not concerned. Charges nothing.
    NoCapacity,
    /// No answer, until the client gives up or the simulator stops. Charges the request.
    Hang,
    /// After the latency the connection closes without an answer. Charges the request.
    Drop,
    /// After the latency the connection closes in the middle of the answer's body, with its true
    /// length in the header. Charges the request.
    DropMidway,
    /// After the latency comes an answer that ends in the middle of its JSON; a stream ends in
    /// the middle of an event. The length in the header is that of what is sent, so that only the
    /// JSON is wrong. Charges the request.
    TruncatedJson,
    /// After the latency comes a 200 whose body is an error, as gateways send it when their own
    /// upstream has failed. Charges the request.
    ErrorInside,
}

impl Fault {
    pub(in crate::sim) fn comes_before_admission(self) -> bool {
        matches!(
            self,
            Self::ServerError | Self::Overloaded | Self::OverloadedForASecond | Self::NoCapacity
        )
    }
}

/// Probabilities in parts per million.
#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct Faults(BTreeMap<Fault, u64>);

impl Faults {
    pub(in crate::sim) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fault that a draw between 0 and a million, excluded, stands for.
    pub(in crate::sim) fn pick(&self, drawn: u64) -> Option<Fault> {
        let mut below = 0_u64;
        self.0.iter().find_map(|(fault, parts)| {
            below = below.saturating_add(*parts);
            (drawn < below).then_some(*fault)
        })
    }
}

/// What goes wrong.
impl SimConfig {
    /// Sets the probability of a fault, from 0 to 1, to the millionth. Each request has at most one
    /// fault; when all probabilities sum to more than 1, the last in the order of [`Fault`] get less.
    ///
    /// The fault is drawn from the [seed](Self::seed), the request's body, and how many times the
    /// same body came before; times that ended in a 429 do not count. So a retry can succeed, and
    /// no fault depends on the order in which requests arrive. Default: 0 for each.
    #[must_use]
    pub fn fault(mut self, fault: Fault, probability: f64) -> Self {
        let parts = parts(probability).min(WHOLE);
        self.faults.0.insert(fault, parts);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_gets_its_part_and_the_last_what_is_left() {
        let config = SimConfig::new()
            .fault(Fault::Hang, 0.25)
            .fault(Fault::ServerError, 0.5)
            .fault(Fault::Overloaded, 0.0);
        let table = [
            (0, Some(Fault::ServerError)),
            (499_999, Some(Fault::ServerError)),
            (500_000, Some(Fault::Hang)),
            (749_999, Some(Fault::Hang)),
            (750_000, None),
            (999_999, None),
        ];
        for (step, (drawn, expected)) in table.into_iter().enumerate() {
            assert_eq!(config.faults.pick(drawn), expected, "step {step}");
        }
        let config = config.fault(Fault::ServerError, 7.0);
        assert_eq!(config.faults.pick(999_999), Some(Fault::ServerError));
        assert!(SimConfig::new().faults.is_empty());
    }
}
