//! The 429 of a limit, in the words of each provider.

use std::time::Duration;

use serde_json::json;

use super::super::clock::unix_now;
use super::super::config::Dialect;
use super::super::durations::{go_style, millis_up, seconds_up};
use super::super::ledger::{Counted, Verdict};
use super::super::response::Response;
use super::errors::{Error, envelope};

/// The name of the organization in messages.
const ORGANIZATION: &str = "org-sim";

/// What a refusal says of the limit that refused.
struct Refused<'a> {
    model: &'a str,
    by: Counted,
    limit: u64,
    /// Used so far; nothing when the request is too large by itself.
    used: Option<u64>,
    requested: u64,
    /// None when waiting would never help.
    wait: Option<Duration>,
}

/// The 429 for a verdict; None when it was admitted.
pub(in crate::sim) fn over_limit(
    verdict: Verdict,
    model: &str,
    dialect: Dialect,
    retry_after: bool,
) -> Option<Response> {
    let refused = match verdict {
        Verdict::Admitted => return None,
        Verdict::TooLarge {
            by,
            limit,
            requested,
        } => Refused {
            model,
            by,
            limit,
            used: None,
            requested,
            wait: None,
        },
        Verdict::Refused {
            by,
            standing,
            requested,
            wait,
        } => Refused {
            model,
            by,
            limit: standing.limit,
            used: Some(standing.used),
            requested,
            wait: Some(wait),
        },
    };
    let mut response = Response::json(429, &refused.body(dialect));
    if let Some(wait) = refused.wait {
        refused.wait_headers(&mut response, dialect, wait, retry_after);
    }
    Some(response)
}

impl Refused<'_> {
    fn body(&self, dialect: Dialect) -> serde_json::Value {
        let message = self.message(dialect);
        let mut body = envelope(
            dialect,
            Error {
                status: 429,
                message: &message,
                kind: self.kind(dialect),
                param: None,
                code: Some(match dialect {
                    Dialect::Azure => "429",
                    Dialect::Moonshot => "rate_limit_reached_error",
                    Dialect::Cerebras => "request_quota_exceeded",
                    _ => "rate_limit_exceeded",
                }),
            },
        );
        match (dialect, self.wait) {
            (Dialect::Gemini, Some(wait)) => {
                body[0]["error"]["details"] = json!([
                    {
                        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                        "violations": [{
                            "quotaId": self.quota_id(),
                            "quotaDimensions": {"location": "global", "model": self.model},
                            "quotaValue": self.limit.to_string(),
                        }],
                    },
                    {
                        "@type": "type.googleapis.com/google.rpc.RetryInfo",
                        "retryDelay": format!("{}s", seconds_up(wait)),
                    },
                ]);
            }
            (Dialect::OpenRouter, Some(wait)) => {
                body["error"]["metadata"] = json!({"headers": {
                    "X-RateLimit-Limit": self.limit.to_string(),
                    "X-RateLimit-Remaining": "0",
                    "X-RateLimit-Reset": (unix_now() + wait).as_millis().to_string(),
                }});
            }
            _ => {}
        }
        body
    }

    fn message(&self, dialect: Dialect) -> String {
        let Self {
            model,
            limit,
            requested,
            ..
        } = self;
        let unit = unit(self.by);
        let (Some(used), Some(wait)) = (self.used, self.wait) else {
            return format!(
                "Request too large for {model} in organization {ORGANIZATION} on {unit}: \
                 Limit {limit}, Requested {requested}. The input or output tokens must be reduced \
                 in order to run successfully. \
                 Visit https://platform.openai.com/account/rate-limits to learn more."
            );
        };
        let after = go_style(wait);
        match dialect {
            Dialect::Anthropic => format!(
                "This request would exceed your organization's rate limit of {limit} {} \
                 (org: {ORGANIZATION}, model: {model}).",
                of_minute(self.by)
            ),
            Dialect::Azure => format!(
                "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have \
                 exceeded the {} rate limit of your current pricing tier. \
                 Please retry after {} seconds.",
                if self.is_of_tokens() { "token" } else { "call" },
                seconds_up(wait)
            ),
            Dialect::Gemini => format!(
                "You exceeded your current quota, please check your plan and billing details.\n\
                 * Quota exceeded for metric: generate_content_requests, limit: {limit}, \
                 model: {model}\nPlease retry in {}s.",
                wait.as_secs_f64()
            ),
            Dialect::Mistral => "Rate limit exceeded".to_owned(),
            Dialect::Cerebras => {
                let what = if self.is_of_tokens() {
                    "Tokens"
                } else {
                    "Requests"
                };
                format!(
                    "{what} per minute limit exceeded - too many {} processed.",
                    what.to_lowercase()
                )
            }
            Dialect::Fireworks => "rate limit exceeded, please try again later".to_owned(),
            Dialect::Moonshot => format!(
                "Your account {ORGANIZATION} request reached organization max RPM: {limit}, \
                 please try again after {} seconds",
                seconds_up(wait)
            ),
            Dialect::OpenRouter => "Rate limit exceeded: requests-per-min.".to_owned(),
            Dialect::Together => format!(
                "You have reached the rate limit specific to this model {model}. \
                 The maximum rate limit for this model is {limit} {}.",
                of_minute(self.by)
            ),
            Dialect::OpenAi | Dialect::Groq => format!(
                "Rate limit reached for {model} in organization {ORGANIZATION} on {unit}: \
                 Limit {limit}, Used {used}, Requested {requested}. Please try again in {after}. \
                 Visit https://platform.openai.com/account/rate-limits to learn more."
            ),
        }
    }

    fn kind(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Fireworks => "invalid_request_error",
            Dialect::Moonshot => "rate_limit_reached_error",
            Dialect::Cerebras => "too_many_requests_error",
            Dialect::Together => "rate_limit",
            _ if self.is_of_tokens() => "tokens",
            _ => "requests",
        }
    }

    fn is_of_tokens(&self) -> bool {
        matches!(self.by, Counted::Tokens | Counted::DailyTokens)
    }

    fn quota_id(&self) -> &'static str {
        match self.by {
            Counted::Requests => "GenerateRequestsPerMinutePerProjectPerModel",
            Counted::Tokens => "GenerateContentInputTokensPerModelPerMinute",
            Counted::DailyRequests => "GenerateRequestsPerDayPerProjectPerModel",
            Counted::DailyTokens => "GenerateContentInputTokensPerModelPerDay",
        }
    }

    fn wait_headers(
        &self,
        response: &mut Response,
        dialect: Dialect,
        wait: Duration,
        retry_after: bool,
    ) {
        let names_wait = matches!(
            dialect,
            Dialect::OpenAi
                | Dialect::Anthropic
                | Dialect::Azure
                | Dialect::Cerebras
                | Dialect::Groq
        );
        if names_wait && retry_after {
            if matches!(dialect, Dialect::OpenAi | Dialect::Azure) {
                response.header("retry-after-ms", millis_up(wait).to_string());
            }
            response.header("retry-after", seconds_up(wait).to_string());
        }
        if matches!(dialect, Dialect::OpenAi | Dialect::Anthropic) {
            response.header("x-should-retry", "true".to_owned());
        }
    }
}

fn unit(by: Counted) -> &'static str {
    match by {
        Counted::Requests => "requests per min (RPM)",
        Counted::Tokens => "tokens per min (TPM)",
        Counted::DailyRequests => "requests per day (RPD)",
        Counted::DailyTokens => "tokens per day (TPD)",
    }
}

fn of_minute(by: Counted) -> &'static str {
    match by {
        Counted::Requests => "requests per minute",
        Counted::Tokens => "tokens per minute",
        Counted::DailyRequests => "requests per day",
        Counted::DailyTokens => "tokens per day",
    }
}
