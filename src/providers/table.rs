//! The dated table of providers: the built-in one, and files that overrule it.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::dialect::Dialect;
use super::file::Written;
use super::headers::fits;
use super::provider::Provider;
use super::reading::Reading;
use crate::{Error, Result};

/// The table that is part of the program.
const BUILT_IN: &str = include_str!("providers.toml");

static GLOBAL: OnceLock<Arc<ProviderTable>> = OnceLock::new();

/// What providers report of their limits and errors, and what they expect in requests: a dated table.
///
/// It says how a provider is recognized, which header means which unit and period, which errors are final and
/// for which requests, how requests count against limits, and how a key is sent. Responses of a server that
/// is not in the table are read by what all entries have in common. Headers that are not in it are ignored.
///
/// The built-in table is dated ([`ProviderTable::dated`]). A file overrules it in parts:
/// [`ProviderTable::from_toml`] shows the form.
///
/// ```
/// use paceline::providers::ProviderTable;
///
/// let table = ProviderTable::global();
/// println!("{} providers, as of {}", table.names().count(), table.dated());
/// ```
#[derive(Clone)]
pub struct ProviderTable {
    dated: String,
    /// What the files say: another file can be laid over it.
    written: Written,
    providers: Vec<Arc<Provider>>,
    /// Of each provider, made when it is asked for.
    dialects: Vec<OnceLock<Arc<Dialect>>>,
    /// For a server of which nothing is known.
    any: Arc<Dialect>,
    /// Headers that only one provider sends.
    signs: HashMap<String, usize>,
}

impl ProviderTable {
    /// Returns the table of this process: the built-in one, unless [`ProviderTable::set_global`] was called.
    #[must_use]
    pub fn global() -> &'static Arc<Self> {
        GLOBAL.get_or_init(|| Arc::new(Self::default()))
    }

    /// Makes `table` that of this process. Call it before the first use.
    ///
    /// # Errors
    ///
    /// Returns `table` when the process has one already.
    pub fn set_global(table: Arc<Self>) -> std::result::Result<(), Arc<Self>> {
        GLOBAL.set(table)
    }

    /// Reads a table from TOML and lays it over the built-in one: keys that it leaves out stay.
    ///
    /// ```
    /// use paceline::providers::ProviderTable;
    ///
    /// let table = ProviderTable::from_toml(r#"
    ///     [[provider]]
    ///     name = "acme"
    ///     hosts = ["llm.acme.example", "*.acme.example"]  # recognized by the base URL
    ///     paths = ["/acme/v1"]               # or by the path of the base URL
    ///     signs = ["x-acme-node"]            # or by a header of a response
    ///     base_url = "https://llm.acme.example/v1"
    ///     key_env = "ACME_KEY"               # the variable that holds the key
    ///     key_header = "x-api-key"           # default: Authorization: Bearer KEY
    ///     headers = { x-tenant = "7" }       # sent with each request
    ///     output_cap = "max_tokens"          # in place of max_completion_tokens
    ///     messages = false                   # whether prompts are written for /v1/messages
    ///     deployments = false                # whether bare base URLs are Azure's
    ///     is_local = false                   # whether no key is needed
    ///     accounting = "actual"              # or prompt-plus-cap, larger, prompt-only, as-used
    ///     cached_tokens = "free"             # or count: against limits
    ///     day_ends = "midnight-utc"          # or midnight-pacific
    ///     limits = [                         # {} stands for limit, remaining and reset
    ///       { unit = "requests", names = "x-acme-{}-rpm", period = "minute", clock = "seconds" },
    ///       { unit = "input_tokens", names = "x-acme-{}-in", reset = "x-acme-reset", scope = "project" },
    ///     ]
    ///     errors = [                         # the first that fits, in all that it states
    ///       { status = [429, 429], words = ["out_of_credit"], means = "account" },
    ///       { status = [400, 499], text = ["too many jobs"], means = "capacity" },
    ///     ]
    ///
    ///     [common]
    ///     silent = ["x-acme-ratelimit-*"]    # headers that say nothing
    /// "#)?;
    /// assert_eq!(table.for_host("llm.acme.example").unwrap().name(), "acme");
    /// assert_eq!(table.get("groq").unwrap().key_env(), Some("GROQ_API_KEY"));
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the line, the column and the key of what is wrong.
    pub fn from_toml(text: &str) -> Result<Self> {
        Self::default().with_toml(text)
    }

    /// Reads a table from a TOML file and lays it over the built-in one.
    ///
    /// # Errors
    ///
    /// [`Error::File`] with the line and the key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Error::in_file("provider table", path.as_ref(), Self::from_toml)
    }

    fn with_toml(&self, text: &str) -> Result<Self> {
        let mut written = self.written.clone();
        let dated = written.lay_over(text)?;
        Ok(Self::compile(
            written,
            dated.unwrap_or_else(|| self.dated.clone()),
        ))
    }

    fn compile(written: Written, dated: String) -> Self {
        let all = &written.providers;
        let any = Arc::new(written.dialect(None));
        let dialects = all.iter().map(|_| OnceLock::new()).collect();
        let mut signs = HashMap::new();
        for (index, entry) in all.iter().enumerate() {
            for sign in entry.signs.iter().flatten() {
                signs.entry(sign.to_ascii_lowercase()).or_insert(index);
            }
        }
        let providers = all
            .iter()
            .map(|entry| Arc::new(Provider::of(entry)))
            .collect();
        Self {
            dated,
            providers,
            dialects,
            any,
            signs,
            written,
        }
    }

    /// The date of the table: year and month.
    #[must_use]
    pub fn dated(&self) -> &str {
        &self.dated
    }

    /// The names of all providers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().map(|provider| provider.name())
    }

    /// Finds a provider by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Provider>> {
        let is_it = |provider: &&Arc<Provider>| provider.name().eq_ignore_ascii_case(name);
        self.providers.iter().find(is_it)
    }

    /// Finds the provider of a base URL, by its host or by its path.
    #[must_use]
    pub fn for_base_url(&self, host: &str, path: &str) -> Option<&Arc<Provider>> {
        let has_path = |provider: &&Arc<Provider>| {
            let mut paths = provider.paths().iter();
            paths.any(|part| path.contains(part.as_str()))
        };
        self.for_host(host)
            .or_else(|| self.providers.iter().find(has_path))
    }

    /// Finds the provider that serves a host.
    #[must_use]
    pub fn for_host(&self, host: &str) -> Option<&Arc<Provider>> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let serves = |provider: &&Arc<Provider>| {
            let mut hosts = provider.hosts().iter();
            hosts.any(|pattern| fits(pattern, &host))
        };
        self.providers.iter().find(serves)
    }

    /// Reads the headers of a response, with lower-case names, of a provider where that is known. `now` is
    /// what instants count from.
    pub(crate) fn read(
        &self,
        provider: Option<&Provider>,
        headers: &[(&str, &str)],
        now: SystemTime,
    ) -> Reading {
        Reading::read(self.dialect(provider, headers), headers, now)
    }

    fn dialect(&self, provider: Option<&Provider>, headers: &[(&str, &str)]) -> &Arc<Dialect> {
        let index = match provider {
            Some(provider) => {
                let mut names = self.names();
                names.position(|name| name == provider.name())
            }
            None => headers
                .iter()
                .find_map(|(name, _)| self.signs.get(*name).copied()),
        };
        let dialect = index.and_then(|index| {
            let entry = self.written.providers.get(index)?;
            let make = || Arc::new(self.written.dialect(Some(entry)));
            Some(self.dialects.get(index)?.get_or_init(make))
        });
        dialect.unwrap_or(&self.any)
    }

    /// How responses are read of which there are no headers.
    pub(super) fn any(&self) -> &Arc<Dialect> {
        &self.any
    }
}

impl Default for ProviderTable {
    #[allow(
        clippy::expect_used,
        reason = "a part of the program, which tests read"
    )]
    fn default() -> Self {
        static BUILT: OnceLock<ProviderTable> = OnceLock::new();
        let built = || {
            let mut written = Written::default();
            let dated = written
                .lay_over(BUILT_IN)
                .expect("the built-in table is valid");
            Self::compile(written, dated.unwrap_or_default())
        };
        BUILT.get_or_init(built).clone()
    }
}

impl fmt::Debug for ProviderTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderTable")
            .field("dated", &self.dated)
            .field("providers", &self.names().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
