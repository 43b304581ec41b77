//! Responses of each provider as they were seen, as data.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;

use super::*;

const VECTORS: &str = include_str!("vectors.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    response: Vec<Response>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Response {
    what: String,
    #[serde(default)]
    host: String,
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    limits: Vec<String>,
    #[serde(default)]
    unknown: Vec<String>,
    outcome: String,
    kind: Option<String>,
    /// In seconds.
    wait: Option<f64>,
    /// UNIT/PERIOD LIMIT
    refused: Option<String>,
    #[serde(default)]
    for_room: bool,
}

fn unit(unit: Option<Unit>) -> &'static str {
    match unit {
        Some(Unit::Requests) => "requests",
        Some(Unit::Tokens) => "tokens",
        Some(Unit::InputTokens) => "input",
        Some(Unit::OutputTokens) => "output",
        _ => "-",
    }
}

/// A report as the vectors have it.
fn shown(report: &LimitStatus) -> String {
    let number = |number: Option<u64>| number.map_or("-".to_owned(), |it| it.to_string());
    let time = |time: Option<Duration>| match time {
        Some(time) => time.as_secs_f64().to_string(),
        None => "-".to_owned(),
    };
    let mut text = format!("{}/{}", unit(Some(report.unit)), time(report.period));
    let (limit, remaining) = (number(report.limit), number(report.remaining));
    write!(text, " {limit} {remaining} {}", time(report.reset)).unwrap();
    text
}

#[test]
fn what_each_provider_sends_is_understood() {
    let file: File = toml::from_str(VECTORS).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_593_600);
    let table = ProviderTable::global();
    for response in file.response {
        let Response { what, status, .. } = &response;
        let headers = response.headers.iter();
        let headers: Vec<_> = headers.map(|(name, value)| (&**name, &**value)).collect();
        let provider = table.for_host(&response.host);
        assert_eq!(provider.is_some(), !response.host.is_empty(), "{what}");
        let mut reading = table.read(provider.map(|it| &**it), &headers, now);
        let json = serde_json::from_str(&response.body).ok();
        let failed = match (200..300).contains(status) {
            true if response.body.is_empty() => None,
            true => {
                let fault = &"the response is an error";
                let in_choice = false;
                let inside = Inside { in_choice, fault };
                Some(reading.error_inside(*status, &response.body, json, inside))
            }
            false => Some(reading.error(*status, &response.body, json)),
        };
        reading.judge(*status, failed.as_ref());
        let kind = failed.map(|error| format!("{:?}", error.kind));
        assert_eq!(kind, response.kind, "{what}: kind");
        let limits: Vec<_> = reading.feedback.limits.iter().map(shown).collect();
        let mut expected = response.limits.clone();
        let mut found = limits;
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{what}: limits");
        assert_eq!(reading.unknown, response.unknown, "{what}: unknown headers");
        let outcome = match reading.feedback.outcome {
            Outcome::Admitted => "admitted",
            Outcome::Refused(_) => "refused",
            Outcome::Overloaded => "overloaded",
            Outcome::Unknown => "unknown",
        };
        assert_eq!(outcome, response.outcome, "{what}: outcome");
        if let Some(wait) = response.wait {
            assert_eq!(
                reading.wait(),
                Some(Duration::from_secs_f64(wait)),
                "{what}: wait"
            );
        }
        if let Outcome::Refused(refusal) = reading.feedback.outcome {
            assert_eq!(refusal.is_for_room, response.for_room, "{what}");
            if let Some(expected) = &response.refused {
                let seconds = refusal.period.unwrap_or_default().as_secs();
                let limit = refusal.limit.unwrap_or_default();
                let found = format!("{}/{seconds} {limit}", unit(refusal.unit));
                assert_eq!(found, *expected, "{what}: refused");
            }
        }
    }
}

#[test]
fn a_file_overrules_the_table_in_parts() {
    let file = r#"
        dated = "2027-01"
        [[provider]]
        name = "groq"
        key_env = "MY_GROQ"
        [[provider]]
        name = "acme"
        hosts = ["*.acme.example"]
        limits = [{ unit = "requests", names = "x-acme-ratelimit-{}", period = "hour" }]
        errors = [{ status = [418, 418], words = ["teapot"], means = "account" }]
        [common]
        silent = ["x-acme-ratelimit-note"]
    "#;
    let table = ProviderTable::from_toml(file).unwrap();
    assert_eq!(table.dated(), "2027-01");
    let groq = table.get("groq").unwrap();
    assert_eq!(
        (groq.key_env(), groq.base_url().is_some()),
        (Some("MY_GROQ"), true)
    );
    let headers = [
        ("x-acme-ratelimit-limit", "9"),
        ("x-acme-ratelimit-note", "hi"),
    ];
    let provider = table.for_host("llm.acme.example").unwrap();
    let reading = table.read(Some(provider), &headers, SystemTime::UNIX_EPOCH);
    assert_eq!(shown(&reading.feedback.limits[0]), "requests/3600 9 - -");
    assert!(reading.unknown.is_empty());
    let body = r#"{"error": {"code": "teapot"}}"#;
    assert_eq!(
        error(418, &reading, body.as_bytes()).kind,
        ErrorKind::Account
    );
}

#[test]
fn each_mistake_in_a_file_is_named_with_its_place() {
    let table = [
        ("[[provider]]\nname = \"A b\"", "line 1", "small letters"),
        (
            "[[provider]]\nname = \"a\"\nport = 1",
            "line 3",
            "unknown field `port`",
        ),
        ("[[provider]]\nhosts = []", "line 1", "missing field `name`"),
        (
            "[[provider]]\nname = \"a\"\nlimits = [{ unit = \"requests\", names = \"x\" }]",
            "line 1",
            "one {} is needed",
        ),
        (
            "[[provider]]\nname = \"a\"\n[[provider]]\nname = \"a\"",
            "line 3",
            "there twice",
        ),
        (
            "[[provider]]\nname = \"a\"\noutput_cap = \"cap\"",
            "line 1",
            "max_tokens or max_completion_tokens",
        ),
        ("[common]\nwait = []", "line 2", "unknown field `wait`"),
    ];
    for (step, (text, place, word)) in table.into_iter().enumerate() {
        let error = ProviderTable::from_toml(text).unwrap_err().to_string();
        assert!(
            error.contains(place) && error.contains(word),
            "step {step}: {error}"
        );
    }
}
