//! One provider: its address, its authorization, and the form of its requests.

use super::file::{AccountingName, Cached, Entry};
use crate::cost::Accounting;

/// A provider of an API, as the [table](super::ProviderTable) has it.
///
/// ```
/// use paceline::providers::ProviderTable;
///
/// let provider = ProviderTable::global().get("anthropic").expect("it is in the table");
/// assert_eq!(provider.key_env(), Some("ANTHROPIC_API_KEY"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    name: String,
    hosts: Vec<String>,
    paths: Vec<String>,
    base_url: Option<String>,
    base_url_env: Option<String>,
    key_env: Option<String>,
    key_header: Option<String>,
    headers: Vec<(String, String)>,
    takes_messages: bool,
    has_deployments: bool,
    is_local: bool,
    output_cap: OutputCap,
    accounting: Option<Accounting>,
    cached_tokens_are_free: bool,
}

/// The field by which a chat request caps its answer.
///
/// ```
/// use paceline::providers::ProviderTable;
///
/// let mistral = ProviderTable::global().get("mistral").expect("it is in the table");
/// assert_eq!(mistral.output_cap().field(), "max_tokens");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OutputCap {
    /// `max_completion_tokens`. The default.
    #[default]
    MaxCompletionTokens,
    /// `max_tokens`, for servers that refuse the newer name.
    MaxTokens,
}

impl OutputCap {
    /// The name of the field.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxTokens => "max_tokens",
        }
    }
}

impl Provider {
    pub(super) fn of(entry: &Entry) -> Self {
        let lower = |host: &String| host.to_ascii_lowercase();
        let headers = entry.headers.iter().flatten();
        let messages = entry.messages.unwrap_or_default();
        Self {
            name: entry.name.clone(),
            hosts: entry.hosts.iter().flatten().map(lower).collect(),
            paths: entry.paths.clone().unwrap_or_default(),
            base_url: entry.base_url.clone(),
            base_url_env: entry.base_url_env.clone(),
            key_env: entry.key_env.clone(),
            key_header: entry.key_header.clone(),
            headers: headers
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            takes_messages: messages,
            has_deployments: entry.deployments.unwrap_or_default(),
            is_local: entry.is_local.unwrap_or_default(),
            output_cap: match entry.output_cap.as_deref() {
                Some("max_tokens") => OutputCap::MaxTokens,
                _ if messages => OutputCap::MaxTokens,
                _ => OutputCap::MaxCompletionTokens,
            },
            accounting: entry.accounting.map(|name| match name {
                AccountingName::PromptPlusCap => Accounting::PromptPlusCap,
                AccountingName::Larger => Accounting::Larger,
                AccountingName::Actual => Accounting::Actual,
                AccountingName::PromptOnly => Accounting::PromptOnly,
                AccountingName::AsUsed => Accounting::AsUsed,
            }),
            cached_tokens_are_free: entry.cached_tokens == Some(Cached::Free),
        }
    }

    /// Its name in the table, such as `anthropic`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hosts by which it is recognized, each with at most one `*`.
    #[must_use]
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Parts of a base URL's path by which it is recognized on any host.
    #[must_use]
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Its base URL. `None` where each customer has their own.
    #[must_use]
    pub fn base_url(&self) -> Option<&str> {
        self.base_url.as_deref()
    }

    /// The environment variable that holds a customer's base URL.
    #[must_use]
    pub fn base_url_env(&self) -> Option<&str> {
        self.base_url_env.as_deref()
    }

    /// The environment variable that holds the key.
    #[must_use]
    pub fn key_env(&self) -> Option<&str> {
        self.key_env.as_deref()
    }

    /// The header that carries the key. `None` for `Authorization: Bearer KEY`.
    #[must_use]
    pub fn key_header(&self) -> Option<&str> {
        self.key_header.as_deref()
    }

    /// Headers that each request needs.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// True when prompts are written for `/v1/messages`, and not for `/v1/chat/completions`.
    #[must_use]
    pub const fn takes_messages(&self) -> bool {
        self.takes_messages
    }

    /// True when its base URLs are those of Azure, with a deployment for each model.
    #[must_use]
    pub const fn has_deployments(&self) -> bool {
        self.has_deployments
    }

    /// True for servers of one's own, which need no key.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.is_local
    }

    /// The field by which chat requests cap their answers.
    #[must_use]
    pub const fn output_cap(&self) -> OutputCap {
        self.output_cap
    }

    /// How it counts requests against limits, where that is known.
    #[must_use]
    pub const fn accounting(&self) -> Option<Accounting> {
        self.accounting
    }

    /// True when cached tokens of a prompt do not count against limits.
    #[must_use]
    pub const fn cached_tokens_are_free(&self) -> bool {
        self.cached_tokens_are_free
    }
}
