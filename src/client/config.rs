//! Settings of a client.

use std::sync::Arc;
use std::time::Duration;

use super::RateLimitedClient;
use super::authorization::{KeySource, Secret, headers};
use super::azure;
use super::retry::RetryPolicy;
use super::secrets::Secrets;
use super::transport::{BaseUrl, HttpTransport, Replaced, Transport};
use crate::cost::Accounting;
#[cfg(feature = "redis")]
use crate::limiter::SharedStore;
use crate::limiter::{RateLimiter, Registry};
use crate::providers::{Provider, ProviderTable};
use crate::quota::{LimitTable, Limits};
use crate::tokens::{ModelTable, PromptRule, Quantile};
use crate::{ConfigError, Error, Result};

/// The model of a request that names none.
pub const DEFAULT_MODEL: &str = "gpt-4.1";
/// The output cap of a request that sets none, in tokens.
pub const DEFAULT_MAX_COMPLETION_TOKENS: u64 = 1_000;
/// The public API.
pub const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
const BASE_URL_VARIABLE: &str = "OPENAI_BASE_URL";

/// Settings of a [`RateLimitedClient`], each with a default.
///
/// ```no_run
/// use std::time::Duration;
/// use paceline::{Limits, RateLimitedClient};
///
/// let client = RateLimitedClient::builder()
///     .model("gpt-4o-mini")
///     .limits(Limits::builder().tokens_per_minute(2_000_000).requests_per_minute(5_000).build()?)
///     .timeout(Duration::from_secs(120))
///     .build()?;
/// # Ok::<(), paceline::Error>(())
/// ```
///
/// # Proxies
///
/// As curl has it, `https_proxy` names the proxy of an https base URL, `http_proxy` that of an http
/// one, and `all_proxy` that of both where its own is not set; each also in capitals. `HTTP_PROXY`
/// in capitals is ignored in a CGI script, where it is a header of the caller. `http://`, `https://`,
/// `socks4://`, `socks4a://`, `socks5://` (or `socks://`) and `socks5h://` are spoken. The first two
/// open a `CONNECT` tunnel, for an http base URL too. Any other proxy that would be used is refused.
///
/// `no_proxy` lists hosts that are reached directly, with commas or spaces between them: `*`, a host
/// with all below it (with or without a dot before it), the same with a port, IP addresses, and
/// ranges such as `10.0.0.0/8`. This machine (`localhost`, `127.0.0.1`, `[::1]`) always is, because
/// no proxy can reach it. The variables are read when the client is built.
///
/// # Certificates
///
/// The authorities in the file `SSL_CERT_FILE` and the folders `SSL_CERT_DIR` are trusted, else those
/// of the system, else those that browsers trust. They are read once a process, before its first
/// connection with TLS.
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    key: KeySource,
    base_url: Option<String>,
    headers: Vec<(String, Secret)>,
    registry: Arc<Registry>,
    #[cfg(feature = "redis")]
    shared: Option<SharedStore>,
    /// As it was given; whether it makes sense is said when the client is built.
    learned_output: Option<f64>,
    /// As it was named; the table may be set later.
    provider: Option<String>,
    accounting: Option<Accounting>,
    pub(super) settings: Settings,
}

/// What a client keeps of its settings.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) model: String,
    pub(super) max_completion_tokens: u64,
    pub(super) accounting: Accounting,
    pub(super) prompt_rule: PromptRule,
    pub(super) provider_table: Arc<ProviderTable>,
    /// The provider of the server, where it is known.
    pub(super) provider: Option<Arc<Provider>>,
    /// Whether each model has a path of its own, as at Azure.
    pub(super) has_deployments: bool,
    pub(super) model_table: Arc<ModelTable>,
    pub(super) learned_output: Option<Quantile>,
    pub(super) retry: RetryPolicy,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Option<Duration>,
    pub(super) max_idle_connections: usize,
    pub(super) transport: Option<Replaced>,
    pub(super) proxy: ProxyChoice,
    /// In PEM.
    pub(super) root_certificates: Option<Vec<u8>>,
}

/// Which proxy is used.
#[derive(Debug, Clone)]
pub(super) enum ProxyChoice {
    Environment,
    Direct,
    /// A URL, which may hold a password.
    Named(Secret),
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            key: KeySource::default(),
            base_url: None,
            headers: Vec::new(),
            registry: Arc::clone(Registry::global()),
            #[cfg(feature = "redis")]
            shared: None,
            learned_output: None,
            provider: None,
            accounting: None,
            settings: Settings {
                model: DEFAULT_MODEL.to_owned(),
                max_completion_tokens: DEFAULT_MAX_COMPLETION_TOKENS,
                accounting: Accounting::default(),
                prompt_rule: PromptRule::default(),
                provider_table: Arc::clone(ProviderTable::global()),
                provider: None,
                has_deployments: false,
                model_table: Arc::clone(ModelTable::global()),
                learned_output: None,
                retry: RetryPolicy::default(),
                timeout: Duration::from_secs(600),
                connect_timeout: Duration::from_secs(10),
                read_timeout: None,
                max_idle_connections: 1_024,
                transport: None,
                proxy: ProxyChoice::Environment,
                root_certificates: None,
            },
        }
    }
}

impl ClientBuilder {
    /// Sets the provider by its name in the [table](ClientBuilder::provider_table): its base URL, the variable
    /// that holds its key, the headers that it needs, and how it counts requests. Default: the provider whose
    /// host or path the base URL names.
    ///
    /// ```no_run
    /// use paceline::RateLimitedClient;
    ///
    /// let client = RateLimitedClient::builder() // ANTHROPIC_API_KEY
    ///     .provider("anthropic")
    ///     .model("claude-haiku-4-5")
    ///     .build()?;
    /// println!("{}", client.chat("Name the largest moon of Saturn.")?.text());
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn provider(mut self, name: impl Into<String>) -> Self {
        self.provider = Some(name.into());
        self
    }

    /// Sets what is known of providers. Default: the process's [`ProviderTable::global`].
    pub fn provider_table(mut self, table: impl Into<Arc<ProviderTable>>) -> Self {
        self.settings.provider_table = table.into();
        self
    }

    /// Sets the API key. Default: the value of the [variable](ClientBuilder::api_key_env).
    ///
    /// It is sent as `Authorization: Bearer KEY`, or in the header that the
    /// [provider](ClientBuilder::provider) takes it in: `x-api-key` for Anthropic, and `api-key` for Azure
    /// unless it is a token (JWT).
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.key.key = Some(Secret(key.into()));
        self
    }

    /// Sets the environment variable that holds the key. Default: the provider's, such as
    /// `ANTHROPIC_API_KEY`, else `OPENAI_API_KEY`. It need not be set where the base URL is this machine's or
    /// one's own network's: then no key is sent.
    pub fn api_key_env(mut self, variable: impl Into<String>) -> Self {
        self.key.variable = Some(variable.into());
        self
    }

    /// Sets the API to talk to, as its provider names it: `https://api.openai.com/v1`,
    /// `https://HOST/v1beta/openai`, `https://HOST/openai/deployments/NAME?api-version=VERSION`.
    /// Default: the environment variable `OPENAI_BASE_URL`, else [`DEFAULT_BASE_URL`]; with a
    /// [provider](ClientBuilder::provider) that is named, the provider's.
    ///
    /// A resource at Azure may be named alone, `https://NAME.openai.azure.com`. Requests then go to its
    /// `/openai/v1`, or where the URL or the environment variable `OPENAI_API_VERSION` has an `api-version`, to the
    /// deployment that is called as their model.
    ///
    /// A base URL with a path stands in place of the `/v1` of a request's path, and one without
    /// keeps it. Its query goes with every request, and is never printed.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Sends a header with every request. Its value is never printed. Default: the headers that the
    /// environment sets, `OpenAI-Organization` by `OPENAI_ORG_ID` and `OpenAI-Project` by
    /// `OPENAI_PROJECT_ID`.
    ///
    /// An `Authorization` goes in place of the API key's. With an `api-key`, `x-api-key` or
    /// `x-goog-api-key` no key is needed, and none is sent that was not given by
    /// [`api_key`](ClientBuilder::api_key) or [`api_key_env`](ClientBuilder::api_key_env).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), Secret(value.into())));
        self
    }

    /// Sets the model of requests that name none. Default: [`DEFAULT_MODEL`].
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.settings.model = model.into();
        self
    }

    /// Sets the output cap of typed requests that set none, and what is reserved for the answer
    /// of any other request without a cap, in tokens. Default: [`DEFAULT_MAX_COMPLETION_TOKENS`].
    pub fn max_completion_tokens(mut self, tokens: u64) -> Self {
        self.settings.max_completion_tokens = tokens;
        self
    }

    /// Sets the registry that makes the limiters. Default: the process-wide [`Registry::global`], so
    /// that all clients of a process share their limits.
    pub fn registry(mut self, registry: Arc<Registry>) -> Self {
        self.registry = registry;
        self
    }

    /// Sends all requests through this limiter, whatever their model: one that the caller has made, or
    /// shares with other work. Without [`adaptive`](crate::RateLimiterBuilder::adaptive) it keeps the
    /// stated limits, and pauses when the server refuses.
    ///
    /// ```
    /// use paceline::{Limits, RateLimitedClient, RateLimiter};
    ///
    /// let limiter = RateLimiter::new(Limits::tokens_per_minute(30_000)?);
    /// let client = RateLimitedClient::builder().api_key("secret").limiter(limiter).build()?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn limiter(self, limiter: RateLimiter) -> Self {
        self.registry(Arc::new(Registry::single(limiter)))
    }

    /// Gives the client a registry of its own, with these limits by model.
    pub fn limit_table(self, table: LimitTable) -> Self {
        self.registry(Arc::new(Registry::new(table)))
    }

    /// Gives the client a registry of its own, with these limits for each model.
    pub fn limits(self, limits: Limits) -> Self {
        self.limit_table(LimitTable::empty(limits))
    }

    /// Shares its limits with all processes that do so over the same store: gives the client a
    /// registry of its own with the limits that it would have, each shared by the name of its model's
    /// family. Default: limits of this process alone.
    #[cfg(feature = "redis")]
    pub fn share(mut self, store: &SharedStore) -> Self {
        self.shared = Some(store.clone());
        self
    }

    /// Sets how the server is taken to charge a request. Default: as the [provider](ClientBuilder::provider)
    /// does, where that is known, else [`Accounting::PromptPlusCap`].
    pub fn accounting(mut self, accounting: Accounting) -> Self {
        self.accounting = Some(accounting);
        self
    }

    /// Sets which measure of a prompt is reserved. Default: [`PromptRule::Larger`].
    pub fn prompt_rule(mut self, rule: PromptRule) -> Self {
        self.settings.prompt_rule = rule;
        self
    }

    /// Sets how requests are counted, by model. Default: the process's [`ModelTable::global`].
    ///
    /// ```no_run
    /// use paceline::RateLimitedClient;
    /// use paceline::tokens::ModelTable;
    ///
    /// let table = ModelTable::from_toml("[models.\"my-deployment\"]\nlike = \"gpt-4o\"")?;
    /// let client = RateLimitedClient::builder().model("my-deployment").model_table(table).build()?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn model_table(mut self, table: impl Into<Arc<ModelTable>>) -> Self {
        self.settings.model_table = table.into();
        self
    }

    /// Reserves for an answer what this share of the last answers needed, 0.5 to 0.99, in place of
    /// the request's whole output cap; 0.95 is a good one. For servers that count an answer when it
    /// is there, and only with [`Accounting::Actual`] or [`Accounting::AsUsed`]. Default: the cap.
    ///
    /// What is reserved comes back with the answer, so of the limit a client uses no more than used
    /// ÷ reserved · (1 + burst ÷ latency). With 100 tokens of prompt, a cap of 4,000, and answers
    /// of 80 tokens that take 5 s, that is 57 % with a bucket of 60 s, and 5 % with one of 1 s.
    /// With 80 learned it is all of it in both.
    ///
    /// # What is learned
    ///
    /// Answers that say what they used teach, the last 256 of each kind: same model, same endpoint
    /// (or path), and a cap between the same two powers of two. The reserve is their exact
    /// quantile, but not less than their mean, and never above the request's own cap. It is the cap
    /// until enough have come: 9 for 0.9, 19 for 0.95, 99 for 0.99. An answer that was cut at its
    /// cap counts as the largest of its kind; failed requests teach nothing. When answers get
    /// longer, the fourth of the last 16 that is above the reserve raises it at once (for 0.9 the
    /// fifth). When they get shorter, the longer ones count until less than 1 − share of the 256
    /// are left. It is looked up when a request joins the line, and 1,024 kinds are kept, of 4 KiB
    /// each.
    ///
    /// # What it risks
    ///
    /// An answer longer than its reserve is a debt, which comes in before anything else is
    /// admitted; over any longer time no more is used than before. When all answers get longer at
    /// once, those in flight are the debt, and the four that came next. It is at most what stood in
    /// the bucket and came in during one latency, times how much longer they got: of answers 10
    /// times as long, with an empty bucket and a latency of 5 s, 45 s of the rate. A [smaller
    /// bucket](crate::LimitsBuilder::with_burst_duration) bounds it.
    ///
    /// Such a server counts an answer later than it is reserved here, so it can refuse some
    /// requests, which then wait and come again. A bucket that is stated smaller than the server's
    /// makes them fewer. The remainder that it reports excludes the answers in flight: where it reports
    /// one in headers, as many more requests are sent, and the server counts a debt.
    ///
    /// A server that holds the cap itself until the answer is there refuses whatever reserves less.
    /// When a refusal says that it asked for about as much, nothing is learned any more, and that
    /// is logged. Refusals that do not say what was asked for put a kind back to its caps for 32
    /// answers, and each further one for twice as many.
    ///
    /// A request whose cap is above its limits is [too large](Error::TooLarge) as long as its cap
    /// is reserved.
    ///
    /// ```
    /// use paceline::{Accounting, Limits, RateLimitedClient};
    ///
    /// let client = RateLimitedClient::builder()
    ///     .api_key("secret")
    ///     .limits(Limits::tokens_per_minute(60_000)?)
    ///     .accounting(Accounting::Actual)
    ///     .learned_output(0.95)
    ///     .build()?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn learned_output(mut self, quantile: f64) -> Self {
        self.learned_output = Some(quantile);
        self
    }

    /// Sets how often a request is sent again after an error that may pass. A refusal for a rate
    /// limit (429) weighs a quarter of another error, since nothing was done and nothing paid. While
    /// others succeed a refusal (429, 503) does not count at all, unless there are 20 of them while 100
    /// requests of that size or larger are let in. Default: 5.
    ///
    /// A request of unknown outcome (no answer, a 500) is retried only if it asks for a computation, such
    /// as a chat or embeddings, and not if it creates something.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.settings.retry.max_retries = retries;
        self
    }

    /// Sets how long the attempts of a request and the pauses between them may take together. What
    /// the server asks to wait is waited out and not counted, nor is the time in line: a deadline
    /// bounds those. Default: 1 h.
    pub fn retry_for(mut self, duration: Duration) -> Self {
        self.settings.retry.max_elapsed = duration;
        self
    }

    /// Caps the time of one attempt, from connecting to the last byte of the response. All time
    /// limits stand in a table at [`CallOptions`](super::CallOptions#time-limits). Default: 10 min.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Caps each wait for more of a body that has begun, such as the silence between two pieces of a
    /// stream. Default: none; [`timeout`](ClientBuilder::timeout) ends the attempt.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.settings.read_timeout = Some(timeout);
        self
    }

    /// Caps the time of connecting, TLS included. Default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Sets how many idle connections are kept: as many as threads send at once, or each round
    /// of them connects anew. Does not limit the threads. Default: 1,024.
    pub fn max_idle_connections(mut self, connections: usize) -> Self {
        self.settings.max_idle_connections = connections.max(1);
        self
    }

    /// Sends everything through this proxy, whatever the environment says: `http://`, `https://`, `socks4://`,
    /// `socks4a://`, `socks5://` or `socks5h://`, with `user:password@` where it wants them. The password
    /// is never printed. Default: that of the [environment](ClientBuilder#proxies).
    ///
    /// ```
    /// use paceline::RateLimitedClient;
    ///
    /// let client = RateLimitedClient::builder()
    ///     .api_key("secret")
    ///     .proxy("socks5h://user:password@proxy.example:1080")
    ///     .build()?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.settings.proxy = ProxyChoice::Named(Secret(url.into()));
        self
    }

    /// Connects directly, whatever proxy the environment names.
    pub fn no_proxy(mut self) -> Self {
        self.settings.proxy = ProxyChoice::Direct;
        self
    }

    /// Trusts the authorities of these certificates, in PEM, in place of those of the environment, the system
    /// and browsers: for a gateway with a certificate of its own. Default: see
    /// [certificates](ClientBuilder#certificates).
    ///
    /// ```no_run
    /// use paceline::RateLimitedClient;
    ///
    /// let pem = std::fs::read("gateway-ca.pem").expect("the file is there");
    /// let client = RateLimitedClient::builder().root_certificates(pem).build()?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.settings.root_certificates = Some(pem.into());
        self
    }

    /// Sends requests by `transport` in place of the crate's own HTTP client: see [`HttpTransport`]. Proxies,
    /// certificates, DNS and connections are then its own. Default: none.
    pub fn transport(mut self, transport: impl HttpTransport + 'static) -> Self {
        self.settings.transport = Some(Replaced::new(transport));
        self
    }

    /// The same for another key, which is in these headers, with a registry of its own. `name` tells its limits apart from
    /// those of other keys where they are shared over a store.
    #[cfg(feature = "gateway")]
    pub(crate) fn of_key(&self, headers: &[(String, String)], name: &str) -> Self {
        let mut other = self.clone();
        other.registry = Arc::new(self.registry.of_key(name));
        other.key = KeySource::default();
        for (name, value) in headers {
            other.headers.push((name.clone(), Secret(value.clone())));
        }
        other
    }

    /// The finished client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when there is no key, or the key, a header or the base URL cannot be
    /// sent in HTTP, or the base URL holds a user name or a password, or the proxy or the
    /// certificates that the environment names cannot be used;
    /// [`Error::Config`] when a timeout is 0, the share of a
    /// [learned output](ClientBuilder::learned_output) is out of its bounds, or the charge does not go
    /// with it.
    pub fn build(mut self) -> Result<RateLimitedClient> {
        if let Some(name) = &self.provider {
            self.settings.provider = Some(self.named(name)?);
        }
        let base_url = self.url()?;
        let table = &self.settings.provider_table;
        let recognized = || {
            table
                .for_base_url(base_url.host(), &base_url.path())
                .cloned()
        };
        self.settings.provider = self.settings.provider.clone().or_else(recognized);
        self.key.is_of_provider = self.provider.is_some();
        let provider = self.settings.provider.as_deref();
        let usual = provider.and_then(Provider::accounting).unwrap_or_default();
        self.settings.accounting = self.accounting.unwrap_or(usual);
        for (what, timeout) in [
            ("timeout", self.settings.timeout),
            ("connect timeout", self.settings.connect_timeout),
            (
                "read timeout",
                self.settings.read_timeout.unwrap_or(Duration::MAX),
            ),
        ] {
            if timeout.is_zero() {
                let message = format!("{what}: a time above 0 is needed");
                return Err(ConfigError::new(what, message).with_value("0").into());
            }
        }
        self.settings.learned_output = self.quantile()?;
        let headers = headers(
            self.headers,
            &self.key,
            &base_url,
            self.settings.provider.as_deref(),
        )?;
        let transport = Transport::new(base_url, &headers, &self.settings)?;
        let secrets = Secrets::new(&headers, &transport.secrets());
        #[cfg(feature = "redis")]
        if let Some(store) = &self.shared {
            self.registry = Arc::new(self.registry.sharing(store));
        }
        Ok(RateLimitedClient::new_with(
            transport,
            secrets,
            self.registry,
            self.settings,
        ))
    }

    /// Of answers that are to fit into what is reserved, where that is learned.
    fn quantile(&self) -> Result<Option<Quantile>> {
        let Some(share) = self.learned_output else {
            return Ok(None);
        };
        let invalid = |reason: &str| -> Error {
            let message = format!("learned output of {share}: {reason}");
            ConfigError::new("learned output", message)
                .with_value(share)
                .into()
        };
        // With any other rule the server keeps the cap, or charges no answer at all.
        let counts_answers = [Accounting::Actual, Accounting::AsUsed];
        if !counts_answers.contains(&self.settings.accounting) {
            return Err(invalid(
                "only a server that charges what an answer used can be asked for less than the \
                 cap; set the charge to usage, if it does, or learn nothing",
            ));
        }
        let quantile = Quantile::new(share);
        let quantile = quantile.ok_or_else(|| invalid("a share from 0.5 to 0.99 is needed"));
        quantile.map(Some)
    }

    /// The provider that was named.
    fn named(&self, name: &str) -> Result<Arc<Provider>> {
        let table = &self.settings.provider_table;
        let unknown = || {
            let names: Vec<_> = table.names().collect();
            let names = names.join(", ");
            let message = format!("provider {name:?}: the table of providers has {names}");
            ConfigError::new("provider", message)
                .with_value(name)
                .into()
        };
        table.get(name).cloned().ok_or_else(unknown)
    }

    fn url(&mut self) -> Result<BaseUrl> {
        // A variable that is empty is as good as none.
        let variable = |name: &str| std::env::var(name).ok().filter(|it| !it.trim().is_empty());
        let provider = self.settings.provider.as_deref();
        let usual = match provider {
            None => variable(BASE_URL_VARIABLE),
            Some(provider) if provider.name() == "openai" => variable(BASE_URL_VARIABLE),
            Some(provider) => provider.base_url_env().and_then(variable),
        };
        let usual = usual.or_else(|| {
            provider
                .map_or(Some(DEFAULT_BASE_URL), Provider::base_url)
                .map(str::to_owned)
        });
        let url = match (self.base_url.clone().or(usual), provider) {
            (Some(url), _) => url,
            (None, provider) => {
                let provider = provider.map_or("", Provider::name);
                let variable = self
                    .settings
                    .provider
                    .as_deref()
                    .and_then(Provider::base_url_env);
                let or = variable.map_or(String::new(), |name| {
                    format!(", or set the environment variable {name}")
                });
                let message = format!(
                    "provider {provider}: each customer has a base URL of their own; name it{or}"
                );
                return Err(ConfigError::new("base URL", message).into());
            }
        };
        let parse = |url: &str| BaseUrl::parse(url).map_err(|it| Error::config("base URL", it));
        let base = parse(&url)?;
        let table = &self.settings.provider_table;
        let provider = provider.or_else(|| table.for_host(base.host()).map(|it| &**it));
        if !provider.is_some_and(Provider::has_deployments) {
            return Ok(base);
        }
        let version = variable(azure::VERSION_VARIABLE);
        let Some((url, has_deployments)) = azure::base_url(&url, version.as_deref()) else {
            return Ok(base);
        };
        self.settings.has_deployments = has_deployments;
        parse(&url)
    }
}
