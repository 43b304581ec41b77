//! How the limits stand, in the headers of each provider.

use super::super::clock::unix_now;
use super::super::config::{Dialect, HeaderRules, LimitHeaders};
use super::super::durations::{go_style, rfc_3339, seconds_up};
use super::super::ledger::{Counted, Standing, Standings};
use super::super::response::Response;

/// The names of a trio: limit, remaining, reset. A provider that lacks one has no name for it.
type Names = [Option<&'static str>; 3];

const fn trio(limit: &'static str, remaining: &'static str, reset: &'static str) -> Names {
    [Some(limit), Some(remaining), Some(reset)]
}

const REQUESTS: Names = trio(
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
);
const TOKENS: Names = trio(
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
);
const PROJECT_TOKENS: Names = trio(
    "x-ratelimit-limit-project-tokens",
    "x-ratelimit-remaining-project-tokens",
    "x-ratelimit-reset-project-tokens",
);

/// A header's value from a standing.
type Written = fn(Standing) -> String;

/// How one provider tells one limit.
struct Told {
    names: Names,
    limit: Written,
    remaining: Written,
    reset: Written,
}

impl Told {
    const fn new(names: Names, reset: Written) -> Self {
        Self {
            names,
            limit: |standing| standing.limit.to_string(),
            remaining: |standing| standing.remaining.to_string(),
            reset,
        }
    }

    /// Reports limits per minute as limits per second.
    const fn per_second(names: Names) -> Self {
        Self {
            limit: |standing| (standing.limit / 60).max(1).to_string(),
            ..Self::new(names, |standing| seconds_up(standing.reset).to_string())
        }
    }
}

/// Adds what this provider tells. `refused` is whether the answer is a 429.
pub(in crate::sim) fn rate_limit_headers(
    response: &mut Response,
    standings: Standings,
    rules: &HeaderRules,
    dialect: Dialect,
    refused: bool,
) {
    for (counted, standing) in standings {
        let Some(standing) = standing else { continue };
        for told in told(dialect, counted, refused, rules) {
            write(response, &told, standing, rules, dialect);
        }
    }
    if dialect == Dialect::Fireworks && rules.shown != LimitHeaders::None {
        // As captured: "no" on refusals, too.
        response.header("x-ratelimit-over-limit", "no".to_owned());
    }
}

fn told(dialect: Dialect, counted: Counted, refused: bool, rules: &HeaderRules) -> Vec<Told> {
    let requests = matches!(counted, Counted::Requests | Counted::DailyRequests);
    let go: Written = |standing| go_style(standing.reset);
    let instant: Written = |standing| rfc_3339(unix_now() + standing.reset);
    match (dialect, requests) {
        (Dialect::OpenAi, true) => vec![Told::new(REQUESTS, go)],
        (Dialect::OpenAi, false) if rules.project_tokens => {
            vec![Told::new(TOKENS, go), Told::new(PROJECT_TOKENS, go)]
        }
        (Dialect::OpenAi, false) | (Dialect::Groq, false) => vec![Told::new(TOKENS, go)],
        (Dialect::Groq, true) if counted == Counted::DailyRequests => {
            vec![Told::new(REQUESTS, go)]
        }
        (Dialect::Azure, true) => vec![Told::new([None, REQUESTS[1], None], go)],
        (Dialect::Azure, false) => vec![Told::new([None, TOKENS[1], None], go)],
        (Dialect::Anthropic, true) => vec![Told::new(
            trio(
                "anthropic-ratelimit-requests-limit",
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-requests-reset",
            ),
            instant,
        )],
        (Dialect::Anthropic, false) => vec![Told::new(
            trio(
                "anthropic-ratelimit-tokens-limit",
                "anthropic-ratelimit-tokens-remaining",
                "anthropic-ratelimit-tokens-reset",
            ),
            instant,
        )],
        (Dialect::Cerebras, _) => {
            let seconds: Written = |standing| format!("{:.3}", standing.reset.as_secs_f64());
            vec![Told::new(by_period(counted), seconds)]
        }
        (Dialect::Mistral, true) => vec![Told::new(
            [
                Some("x-ratelimit-limit-req-minute"),
                Some("x-ratelimit-remaining-req-minute"),
                None,
            ],
            go,
        )],
        (Dialect::Mistral, false) => vec![Told::new(
            [
                Some("x-ratelimit-limit-tokens-minute"),
                Some("x-ratelimit-remaining-tokens-minute"),
                None,
            ],
            go,
        )],
        (Dialect::Fireworks, false) => vec![Told::new(
            [
                Some("x-ratelimit-limit-tokens-prompt"),
                Some("x-ratelimit-remaining-tokens-prompt"),
                None,
            ],
            go,
        )],
        (Dialect::Together, true) => vec![Told::per_second(trio(
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
        ))],
        (Dialect::Together, false) => vec![Told::per_second([
            Some("x-tokenlimit-limit"),
            Some("x-tokenlimit-remaining"),
            None,
        ])],
        (Dialect::OpenRouter, true) if refused => vec![Told::new(
            trio(
                "X-RateLimit-Limit",
                "X-RateLimit-Remaining",
                "X-RateLimit-Reset",
            ),
            |standing| (unix_now() + standing.reset).as_millis().to_string(),
        )],
        (Dialect::Groq | Dialect::Fireworks, true)
        | (Dialect::OpenRouter | Dialect::Gemini | Dialect::Moonshot, _) => Vec::new(),
    }
}

fn by_period(counted: Counted) -> Names {
    match counted {
        Counted::Requests => trio(
            "x-ratelimit-limit-requests-minute",
            "x-ratelimit-remaining-requests-minute",
            "x-ratelimit-reset-requests-minute",
        ),
        Counted::Tokens => trio(
            "x-ratelimit-limit-tokens-minute",
            "x-ratelimit-remaining-tokens-minute",
            "x-ratelimit-reset-tokens-minute",
        ),
        Counted::DailyRequests => trio(
            "x-ratelimit-limit-requests-day",
            "x-ratelimit-remaining-requests-day",
            "x-ratelimit-reset-requests-day",
        ),
        Counted::DailyTokens => trio(
            "x-ratelimit-limit-tokens-day",
            "x-ratelimit-remaining-tokens-day",
            "x-ratelimit-reset-tokens-day",
        ),
    }
}

fn write(
    response: &mut Response,
    told: &Told,
    standing: Standing,
    rules: &HeaderRules,
    dialect: Dialect,
) {
    if rules.shown == LimitHeaders::None {
        return;
    }
    let [limit, remaining, reset] = told.names;
    if let Some(name) = remaining {
        response.header(name, (told.remaining)(standing));
    }
    if rules.shown == LimitHeaders::Remaining {
        return;
    }
    if let Some(name) = limit {
        let said = rules.false_limit.map(|said| said.to_string());
        response.header(name, said.unwrap_or_else(|| (told.limit)(standing)));
    }
    if let Some(name) = reset {
        let bare = rules.bare_resets && dialect == Dialect::OpenAi;
        let time = if bare {
            seconds_up(standing.reset).to_string()
        } else {
            (told.reset)(standing)
        };
        response.header(name, time);
    }
}
