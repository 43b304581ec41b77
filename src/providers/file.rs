//! The table in TOML. [`ProviderTable`](super::ProviderTable) shows the form.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::clock::Clock;
use crate::Result;
use crate::observation::Scope;
use crate::quota::{Place, from_toml};
use crate::unit::Unit;

/// What files say, one laid over the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    pub(super) common: Common,
    /// In the order in which they are asked.
    pub(super) providers: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    dated: Option<String>,
    #[serde(default)]
    common: Common,
    #[serde(default, rename = "provider")]
    providers: Vec<Spanned<Entry>>,
}

/// What holds for every provider.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Common {
    pub(super) waits: Option<Vec<WaitHeader>>,
    pub(super) wait_words: Option<Vec<String>>,
    pub(super) concurrency_words: Option<Vec<String>>,
    pub(super) silent: Option<Vec<String>>,
    #[serde(default)]
    pub(super) statuses: BTreeMap<String, u16>,
    pub(super) errors: Option<Vec<Rule>>,
}

/// A header that names the wait before the next attempt.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitHeader {
    pub(super) header: String,
    #[serde(default)]
    pub(super) clock: Clock,
}

/// One provider, as a file has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) paths: Option<Vec<String>>,
    pub(super) signs: Option<Vec<String>>,
    pub(super) base_url: Option<String>,
    pub(super) base_url_env: Option<String>,
    pub(super) key_env: Option<String>,
    pub(super) key_header: Option<String>,
    pub(super) headers: Option<BTreeMap<String, String>>,
    pub(super) messages: Option<bool>,
    pub(super) deployments: Option<bool>,
    pub(super) is_local: Option<bool>,
    pub(super) output_cap: Option<String>,
    pub(super) accounting: Option<AccountingName>,
    pub(super) cached_tokens: Option<Cached>,
    pub(super) day_ends: Option<DayEnd>,
    pub(super) limits: Option<Vec<LimitHeaders>>,
    pub(super) errors: Option<Vec<Rule>>,
}

/// How requests count against limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AccountingName {
    PromptPlusCap,
    Larger,
    Actual,
    PromptOnly,
    AsUsed,
}

/// Whether cached tokens count against limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Cached {
    Count,
    Free,
}

/// When the limits of a day begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DayEnd {
    MidnightPacific,
    MidnightUtc,
}

/// The headers of one limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitHeaders {
    pub(super) unit: UnitName,
    /// With `{}` in place of `limit`, `remaining` and `reset`.
    pub(super) names: String,
    /// The name of the reset, where it is another one.
    pub(super) reset: Option<String>,
    pub(super) period: Option<PeriodName>,
    #[serde(default)]
    pub(super) scope: ScopeName,
    #[serde(default)]
    pub(super) clock: Clock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum UnitName {
    Requests,
    Tokens,
    InputTokens,
    OutputTokens,
}

impl From<UnitName> for Unit {
    fn from(name: UnitName) -> Self {
        match name {
            UnitName::Requests => Self::Requests,
            UnitName::Tokens => Self::Tokens,
            UnitName::InputTokens => Self::InputTokens,
            UnitName::OutputTokens => Self::OutputTokens,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PeriodName {
    Second,
    Minute,
    Hour,
    Day,
}

impl PeriodName {
    pub(super) const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ScopeName {
    #[default]
    Account,
    Project,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Account => Self::Account,
            ScopeName::Project => Self::Project,
        }
    }
}

/// An error that means something else than its status. All that is stated has to fit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// The first and the last status.
    pub(super) status: [u16; 2],
    /// Its code, type or status is one of these.
    #[serde(default)]
    pub(super) words: Vec<String>,
    /// Its message holds all of these.
    #[serde(default)]
    pub(super) text: Vec<String>,
    /// Its message names this limit.
    pub(super) limit: Option<u64>,
    /// The name of one of the quotas that it names as used up holds this.
    pub(super) quota: Option<String>,
    /// This header is there and is 0.
    pub(super) zero: Option<String>,
    pub(super) means: Meaning,
}

/// What an error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Meaning {
    /// Over a rate limit: all requests that share it wait.
    Wait,
    /// Over the limit of a day: the same, until the day ends.
    Day,
    /// Above the limit by itself.
    TooLarge,
    /// Final for this request.
    Request,
    /// Final for the account.
    Account,
    /// A class of service has no room: this request alone backs off.
    Capacity,
    /// Too much at once for the server.
    Overloaded,
    /// A fault of the server.
    Server,
}

impl Written {
    /// Lays what a file says over what is there, key by key. Returns its date.
    pub(super) fn lay_over(&mut self, text: &str) -> Result<Option<String>> {
        let file: File = from_toml(text)?;
        self.common.take(file.common);
        let mut names: Vec<String> = Vec::new();
        let mut new = Vec::new();
        for entry in file.providers {
            let place = Place::of(text, entry.span().start);
            let entry = entry.into_inner();
            entry
                .check()
                .map_err(|(key, reason)| place.wrong(key, &reason))?;
            if names.contains(&entry.name) {
                let reason = format!("the provider {:?} is there twice", entry.name);
                return Err(place.wrong("name", &reason));
            }
            names.push(entry.name.clone());
            let known = self.providers.iter_mut().find(|it| it.name == entry.name);
            match known {
                Some(known) => known.take(entry),
                None => new.push(entry),
            }
        }
        // A user's own is asked before those that are built in.
        new.append(&mut self.providers);
        self.providers = new;
        Ok(file.dated)
    }
}

impl Common {
    fn take(&mut self, other: Self) {
        self.waits = other.waits.or(self.waits.take());
        self.wait_words = other.wait_words.or(self.wait_words.take());
        self.concurrency_words = other.concurrency_words.or(self.concurrency_words.take());
        self.statuses.extend(other.statuses);
        // Of these a file adds to what there is.
        let silent = other.silent.into_iter().chain(self.silent.take());
        let silent: Vec<_> = silent.flatten().collect();
        self.silent = (!silent.is_empty()).then_some(silent);
        let rules = other.errors.into_iter().chain(self.errors.take());
        self.errors = Some(rules.flatten().collect());
    }
}

impl Entry {
    fn take(&mut self, other: Self) {
        let Self {
            name: _,
            hosts,
            paths,
            signs,
            base_url,
            base_url_env,
            key_env,
            key_header,
            headers,
            messages,
            deployments,
            is_local,
            output_cap,
            accounting,
            cached_tokens,
            day_ends,
            limits,
            errors,
        } = other;
        self.hosts = hosts.or(self.hosts.take());
        self.paths = paths.or(self.paths.take());
        self.signs = signs.or(self.signs.take());
        self.base_url = base_url.or(self.base_url.take());
        self.base_url_env = base_url_env.or(self.base_url_env.take());
        self.key_env = key_env.or(self.key_env.take());
        self.key_header = key_header.or(self.key_header.take());
        self.headers = headers.or(self.headers.take());
        self.messages = messages.or(self.messages);
        self.deployments = deployments.or(self.deployments);
        self.is_local = is_local.or(self.is_local);
        self.output_cap = output_cap.or(self.output_cap.take());
        self.accounting = accounting.or(self.accounting);
        self.cached_tokens = cached_tokens.or(self.cached_tokens);
        self.day_ends = day_ends.or(self.day_ends);
        self.limits = limits.or(self.limits.take());
        self.errors = errors.or(self.errors.take());
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if self.name.is_empty() || !self.name.chars().all(is_plain) {
            let name = &self.name;
            return Err((
                "name",
                format!("name = {name:?}: small letters, digits, - and _ are needed"),
            ));
        }
        for limit in self.limits.iter().flatten() {
            if limit.names.matches("{}").count() != 1 {
                let names = &limit.names;
                return Err((
                    "names",
                    format!(
                        "names = {names:?}: one {{}} is needed, where limit, remaining and reset stand"
                    ),
                ));
            }
        }
        if let Some(cap) = &self.output_cap
            && !["max_tokens", "max_completion_tokens"].contains(&cap.as_str())
        {
            return Err((
                "output_cap",
                format!("output_cap = {cap:?}: max_tokens or max_completion_tokens is needed"),
            ));
        }
        Ok(())
    }
}
