//! How the limits stand, in the headers of the API.

use super::config::{HeaderRules, LimitHeaders};
use super::durations::{go_style, seconds_up};
use super::http::Response;
use super::ledger::{Counted, Standing, Standings};

/// The names of a trio: limit, remaining, reset.
type Names = [&'static str; 3];

const REQUESTS: Names = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
];
const TOKENS: Names = [
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
];
const PROJECT_TOKENS: Names = [
    "x-ratelimit-limit-project-tokens",
    "x-ratelimit-remaining-project-tokens",
    "x-ratelimit-reset-project-tokens",
];

pub(super) fn rate_limit_headers(
    response: &mut Response,
    standings: Standings,
    rules: &HeaderRules,
) {
    for (counted, standing) in standings {
        let Some(standing) = standing else { continue };
        match counted {
            Counted::Requests | Counted::DailyRequests => {
                trio(response, REQUESTS, standing, rules);
            }
            Counted::Tokens | Counted::DailyTokens => {
                trio(response, TOKENS, standing, rules);
                if rules.project_tokens {
                    trio(response, PROJECT_TOKENS, standing, rules);
                }
            }
        }
    }
}

fn trio(response: &mut Response, names: Names, standing: Standing, rules: &HeaderRules) {
    let [limit, remaining, reset] = names;
    if rules.shown == LimitHeaders::None {
        return;
    }
    response.header(remaining, standing.remaining.to_string());
    if rules.shown == LimitHeaders::Remaining {
        return;
    }
    let said = match rules.false_limit {
        Some(said) => said.to_string(),
        None => standing.limit.to_string(),
    };
    response.header(limit, said);
    let time = if rules.bare_resets {
        seconds_up(standing.reset).to_string()
    } else {
        go_style(standing.reset)
    };
    response.header(reset, time);
}
