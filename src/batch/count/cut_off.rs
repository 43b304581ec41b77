//! Answers that ended at their cap, and the same requests with a larger one.

use std::collections::HashMap;

use crate::batch::fingerprint::Fingerprint;
use crate::batch::json::{Json, quoted};
use crate::client::used_by;
use crate::cost::ServiceTier;
use crate::{Completion, Usage};

/// The fields that cap an answer.
const CAPS: [&str; 4] = [
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "max_tokens_to_sample",
];

/// An answer of an earlier run that ended at its cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) struct Shorter {
    pub(in crate::batch) of: Option<Fingerprint>,
    pub(in crate::batch) usage: Usage,
    pub(in crate::batch) tier: ServiceTier,
}

/// Answers of earlier runs that ended at their cap, by `custom_id`. It holds those alone.
#[derive(Debug, Default)]
pub(in crate::batch) struct CutOff(HashMap<String, Shorter>);

impl CutOff {
    /// The answer in a body, if it ended at its cap and says what it used.
    pub(in crate::batch) fn read(of: Option<Fingerprint>, body: &str) -> Option<Shorter> {
        if crate::client::completion_of(body) != Completion::CutOff {
            return None;
        }
        let (usage, tier) = used_by(body);
        Some(Shorter {
            of,
            usage: usage?,
            tier: tier.unwrap_or(ServiceTier::Standard),
        })
    }

    /// Takes note of one. Of those of one request the longest counts.
    pub(in crate::batch) fn add(&mut self, id: &str, shorter: Shorter) {
        let old = self.0.get(id);
        if old.is_none_or(|old| old.usage.output_tokens <= shorter.usage.output_tokens) {
            self.0.insert(id.to_owned(), shorter);
        }
    }

    /// Forgets those whose requests have a whole answer.
    pub(in crate::batch) fn retain(&mut self, is_open: impl Fn(&str) -> bool) {
        self.0.retain(|id, _| is_open(id));
    }

    pub(in crate::batch) fn get(&self, id: &str) -> Option<Shorter> {
        self.0.get(id).copied()
    }
}

/// A body whose cap is `factor` times as large as the larger of its own and of what the answer used. `None`
/// where it has no cap.
pub(in crate::batch) fn with_larger_cap(body: &str, factor: f64, used: u64) -> Option<String> {
    let fields = Json::read(body)?.fields()?;
    let mut has_cap = false;
    let fields = fields.into_iter().map(|(name, value)| {
        let cap = value.as_str().parse::<u64>().ok();
        let json = match cap.filter(|_| CAPS.contains(&&*name)) {
            Some(cap) => {
                has_cap = true;
                larger(cap.max(used), factor).to_string()
            }
            None => value.as_str().to_owned(),
        };
        format!("{}:{json}", quoted(&name))
    });
    let fields: Vec<_> = fields.collect();
    has_cap.then(|| format!("{{{}}}", fields.join(",")))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "`as` saturates, and no cap has that many digits"
)]
fn larger(cap: u64, factor: f64) -> u64 {
    ((cap as f64 * factor).ceil() as u64).max(cap.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_grows_and_all_else_stands() {
        let body = r#"{"model":"m","max_tokens": 10,"seed":1.10,"x":{"max_tokens":1}}"#;
        let expected = r#"{"model":"m","max_tokens":25,"seed":1.10,"x":{"max_tokens":1}}"#;
        assert_eq!(with_larger_cap(body, 2.5, 0).as_deref(), Some(expected));
        let again = with_larger_cap(body, 2.0, 25).unwrap();
        assert!(again.contains("\"max_tokens\":50"), "{again}");
        assert_eq!(with_larger_cap(r#"{"model":"m"}"#, 2.0, 9), None);
        assert_eq!(with_larger_cap("[", 2.0, 9), None);
        assert_eq!((larger(1, 1.000_001), larger(u64::MAX, 9.0)), (2, u64::MAX));
    }

    #[test]
    fn the_longest_of_one_request_counts() {
        let body = |tokens: u64, reason: &str| {
            format!(
                r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"{reason}"}}],"usage":{{"prompt_tokens":3,"completion_tokens":{tokens}}}}}"#
            )
        };
        let read = |tokens, reason| CutOff::read(None, &body(tokens, reason));
        assert_eq!(read(5, "stop"), None);
        let mut cut = CutOff::default();
        for tokens in [5, 9, 7] {
            cut.add("a", read(tokens, "length").unwrap());
        }
        assert_eq!(cut.get("a").unwrap().usage.output_tokens, 9);
        cut.retain(|id| id != "a");
        assert_eq!(cut.get("a"), None);
    }
}
