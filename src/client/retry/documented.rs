//! The tables of `docs/outcomes.md`, held against the code.

use super::super::errors::api_error;
use super::*;
use crate::TransportKind;
use crate::providers::Reading;

const PAGE: &str = include_str!("../../../docs/outcomes.md");

/// The cells of each row that begins with a name, below the head that begins with `first`.
fn rows(first: &str) -> Vec<Vec<&'static str>> {
    let lines = PAGE.lines().skip_while(|line| !line.starts_with(first));
    let table = lines.skip(2).take_while(|line| line.starts_with('|'));
    table
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

fn row<'a>(rows: &'a [Vec<&'static str>], name: &str) -> &'a [&'static str] {
    let quoted = format!("`{name}`");
    let found = rows.iter().find(|row| row[0] == quoted);
    found.unwrap_or_else(|| panic!("{name} is not on the page"))
}

/// Every kind, in a list that the compiler keeps whole: a new one has no arm.
fn next_kind(kind: Option<ErrorKind>) -> Option<ErrorKind> {
    use ErrorKind as Kind;
    Some(match kind {
        None => Kind::RateLimited,
        Some(Kind::RateLimited) => Kind::TooLarge,
        Some(Kind::TooLarge) => Kind::Account,
        Some(Kind::Account) => Kind::Forbidden,
        Some(Kind::Forbidden) => Kind::Request,
        Some(Kind::Request) => Kind::Conflict,
        Some(Kind::Conflict) => Kind::Server,
        Some(Kind::Server) => Kind::Overloaded,
        Some(Kind::Overloaded) => Kind::Capacity,
        Some(Kind::Capacity) => return None,
    })
}

fn kind_of(status: u16) -> ErrorKind {
    api_error(status, &Reading::default(), b"").kind
}

#[test]
fn every_kind_of_answer_is_on_the_page_as_it_is() {
    let rows = rows("| `ErrorKind`");
    let kinds: Vec<_> =
        std::iter::successors(next_kind(None), |kind| next_kind(Some(*kind))).collect();
    assert_eq!(rows.len(), kinds.len());
    for kind in kinds {
        let row = row(&rows, &format!("{kind:?}"));
        let again = if kind.is_retryable() { "yes" } else { "no" };
        assert_eq!(row[2], again, "{kind:?}");
        let ends = kind == ErrorKind::Account;
        assert_eq!(row[3] == "yes", ends, "{kind:?}");
    }
}

#[test]
fn every_status_is_on_the_page_in_the_row_of_its_kind() {
    let rows = rows("| `ErrorKind`");
    // What a row says of a status with more words is held by the table of refusals.
    let plain = |row: &[&str]| row[1].split(';').next().unwrap_or_default().to_owned();
    for status in 300..600 {
        let kind = kind_of(status);
        let row = row(&rows, &format!("{kind:?}"));
        let class = format!("{}xx", status / 100);
        let is_named = plain(row).contains(&status.to_string());
        let is_other = row[1]
            .split(';')
            .any(|part| part.trim().starts_with("other") && part.contains(&class));
        assert!(is_named || is_other, "{status} is of kind {kind:?}");
        for other in &rows {
            let is_there = !other[1].contains("says") && plain(other).contains(&status.to_string());
            assert!(
                !is_there || other[0] == row[0],
                "{status} stands with {}",
                other[0]
            );
        }
    }
}

/// Every kind of failure on the way, as above.
fn next_step(kind: Option<TransportKind>) -> Option<TransportKind> {
    use TransportKind as Kind;
    Some(match kind {
        None => Kind::Dns,
        Some(Kind::Dns) => Kind::Connect,
        Some(Kind::Connect) => Kind::Proxy,
        Some(Kind::Proxy) => Kind::Certificate,
        Some(Kind::Certificate) => Kind::Tls,
        Some(Kind::Tls) => Kind::Timeout,
        Some(Kind::Timeout) => Kind::Disconnected,
        Some(Kind::Disconnected) => Kind::Resources,
        Some(Kind::Resources) => Kind::Other,
        Some(Kind::Other) => return None,
    })
}

#[test]
fn every_failure_on_the_way_is_on_the_page_as_it_is() {
    let rows = rows("| `TransportKind`");
    let kinds: Vec<_> =
        std::iter::successors(next_step(None), |kind| next_step(Some(*kind))).collect();
    assert_eq!(rows.len(), kinds.len());
    for kind in kinds {
        let does = match kind {
            TransportKind::Certificate => "stops",
            TransportKind::Resources => "sends fewer at once",
            kind if kind.is_unreachable() => "holds",
            _ => "sends it again",
        };
        assert_eq!(row(&rows, &format!("{kind:?}"))[2], does, "{kind:?}");
        let error = Error::Transport {
            url: String::new(),
            kind,
            message: String::new(),
            unsent: true,
            source: None,
        };
        let is_final = kind == TransportKind::Certificate;
        assert_eq!(error.is_retryable(), !is_final, "{kind:?}");
    }
}

#[test]
fn the_numbers_on_the_page_are_those_of_the_policy() {
    let policy = RetryPolicy::default();
    let expected = format!(
        "(8; {} in the library), after {} s, 1 s, 2 s and\n  so on up to {} s, each up to a quarter longer, and for {} s in all",
        policy.max_retries,
        Advice::default().back_off(1).as_secs_f64(),
        Advice::default().back_off(99).as_secs(),
        policy.max_elapsed.as_secs(),
    );
    assert!(PAGE.contains(&expected), "{expected}");
    assert_eq!(REFUSALS_PER_RETRY, 4);
    assert_eq!((MOST_UNLUCKY, OTHERS), (20, 100));
}
