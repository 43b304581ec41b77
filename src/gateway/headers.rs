//! What the headers of a request say to the gateway, and which of them go on: pure.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Priority;

/// The longest deadline: a year, which no clock overflows by.
const LONGEST: f64 = 365.0 * 86_400.0;

/// What a caller wants of its wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wishes {
    /// How long it waits for a response, from the request's arrival on.
    pub(super) deadline: Option<Duration>,
    pub(super) priority: Option<Priority>,
}

impl Wishes {
    /// What the headers say. Those of the official clients are taken as they are meant; one of the gateway's own that
    /// makes no sense is an error.
    pub(super) fn read(headers: &[(String, String)]) -> Result<Self, String> {
        let get = |name: &str| {
            let found = headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str())
        };
        let mut wishes = Self::default();
        if let Some(value) = get("x-paceline-deadline") {
            let deadline = seconds(value)
                .ok_or_else(|| format!("x-paceline-deadline: {value:?} is no number of seconds"))?;
            wishes.deadline = Some(deadline);
        } else {
            // How long such a client waits for the first byte: it then retries, or gives up.
            let stated = ["x-stainless-timeout", "x-stainless-read-timeout"].map(get);
            let stated = stated.into_iter().flatten().filter_map(seconds);
            wishes.deadline = stated.filter(|time| !time.is_zero()).min();
        }
        wishes.priority = match get("x-paceline-priority") {
            None => None,
            Some("interactive") => Some(Priority::Interactive),
            Some("batch") => Some(Priority::Batch),
            Some(other) => {
                return Err(format!(
                    "x-paceline-priority: {other:?} is neither interactive nor batch"
                ));
            }
        };
        Ok(wishes)
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    let is_time = seconds.is_finite() && seconds >= 0.0;
    is_time.then(|| Duration::from_secs_f64(seconds.min(LONGEST)))
}

/// Headers that carry a key, in lower case.
const CARRIERS: [&str; 4] = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];

/// Headers of one connection, and those that the gateway writes anew.
const OWN: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The headers of a request, sorted.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Those that go on.
    pub(super) passed: HeaderMap,
    /// Those that carry a key.
    pub(super) keys: Vec<(String, String)>,
}

/// Sorts the headers of a request. Those of the same name become one, as HTTP allows.
pub(super) fn sorted(headers: &[(String, String)]) -> Sorted {
    let connection = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
    let named: Vec<String> = connection
        .flat_map(|(_, value)| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut sorted = Sorted::default();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if CARRIERS.contains(&name.as_str()) {
            sorted.keys.push((name, value.clone()));
            continue;
        }
        // Who asked, and for how long it waits, is between the caller and the gateway.
        let is_ours = OWN.contains(&name.as_str()) || name.starts_with("x-paceline-");
        if is_ours || named.contains(&name) {
            continue;
        }
        let Ok(name) = HeaderName::try_from(name) else {
            continue;
        };
        let joined = match sorted.passed.get(&name).and_then(|it| it.to_str().ok()) {
            Some(before) => HeaderValue::try_from(format!("{before}, {value}")),
            None => HeaderValue::try_from(value.as_str()),
        };
        if let Ok(value) = joined {
            sorted.passed.insert(name, value);
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = headers.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn deadlines_are_the_clients_own() {
        type Row = (&'static [(&'static str, &'static str)], Option<f64>);
        let table: [Row; 8] = [
            (&[], None),
            (&[("X-Stainless-Read-Timeout", "600")], Some(600.0)),
            (
                &[
                    ("x-stainless-timeout", "60"),
                    ("x-stainless-read-timeout", "5.5"),
                ],
                Some(5.5),
            ),
            (&[("x-stainless-timeout", "NOT_GIVEN")], None),
            (&[("x-stainless-timeout", "0")], None),
            (
                &[("x-paceline-deadline", "2"), ("x-stainless-timeout", "1")],
                Some(2.0),
            ),
            (&[("x-paceline-deadline", "0")], Some(0.0)),
            (&[("x-paceline-deadline", "1e300")], Some(LONGEST)),
        ];
        for (headers, expected) in table {
            let wishes = Wishes::read(&owned(headers)).unwrap();
            let expected = expected.map(Duration::from_secs_f64);
            assert_eq!(wishes.deadline, expected, "{headers:?}");
        }
        for value in ["", "soon", "-1", "NaN", "inf"] {
            let error = Wishes::read(&owned(&[("x-paceline-deadline", value)]));
            assert!(error.is_err(), "{value}");
        }
        let priority = |value| Wishes::read(&owned(&[("x-paceline-priority", value)]));
        assert_eq!(priority("batch").unwrap().priority, Some(Priority::Batch));
        assert!(priority("high").is_err());
    }

    #[test]
    fn what_belongs_to_one_connection_or_to_the_gateway_stays_here() {
        let headers = owned(&[
            ("Host", "a"),
            ("Connection", "close, X-Hop"),
            ("X-Hop", "1"),
            ("Accept-Encoding", "gzip"),
            ("Authorization", "Bearer k"),
            ("X-Api-Key", "k"),
            ("x-paceline-deadline", "1"),
            ("User-Agent", "b"),
            ("anthropic-beta", "c"),
            ("Anthropic-Beta", "d"),
        ]);
        let sorted = sorted(&headers);
        let passed: Vec<_> = sorted
            .passed
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(passed, [("user-agent", "b"), ("anthropic-beta", "c, d")]);
        let keys = [("authorization", "Bearer k"), ("x-api-key", "k")];
        assert_eq!(sorted.keys, owned(&keys));
    }
}
