//! A store that processes share their limits over, and how to go about it.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::super::core::Core;
use super::account::Account;
use super::address::Address;
use super::connection::{StoreConnection, Timeouts, Unusable};
use super::inspect::{self, StoreLimiter};
use super::outage::OnStoreOutage;
use super::scale;
use super::store_worker::{Registration, StoreWorker};
use super::sync::{Identity, Joins};
use crate::quota::Limits;
use crate::{ConfigError, Error, Result};

/// A Redis or Valkey store over which processes on any number of machines share their limits.
///
/// What a limiter is shared by is its name: every process that builds one of the same name over the
/// same store holds the same limits together. Clones are the same store, with one connection and one
/// thread for all limiters of the process.
///
/// A store for one machine, and two runs that share one limit over it:
///
/// ```text
/// redis-server --port 6379 --save '' &
/// export PACELINE_SHARE_URL=redis://127.0.0.1:6379
/// paceline run one.jsonl & paceline run other.jsonl
/// ```
///
/// Redis 5 or later, or Valkey. A limiter takes about 700 bytes there and 120 for each process that
/// shares it, for 32 days after it was last used. Nothing has to be saved: a store that has forgotten
/// everything begins with empty buckets.
///
/// ```no_run
/// use paceline::{Cost, Limits, RateLimiter, SharedStore};
///
/// let store = SharedStore::new("redis://127.0.0.1:6379")?;
/// let limits = Limits::tokens_per_minute(30_000)?;
/// let limiter = RateLimiter::builder(limits).share(&store, "gpt-4o").build();
/// let permit = limiter.acquire(Cost::sized(420, 1_000))?; // with all processes that share it
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedStore(Arc<StoreWorker>);

/// Settings of a [`SharedStore`].
///
/// ```no_run
/// use std::time::Duration;
/// use paceline::SharedStore;
///
/// let store = SharedStore::builder("redis://127.0.0.1:6379")
///     .prefix("acme")
///     .connect_timeout(Duration::from_secs(2))
///     .build()?;
/// # let _ = store;
/// # Ok::<(), paceline::Error>(())
/// ```
#[must_use]
#[derive(Clone)]
pub struct SharedStoreBuilder {
    url: String,
    username: Option<String>,
    password: Option<String>,
    prefix: String,
    label: Option<String>,
    horizon: Duration,
    on_outage: OnStoreOutage,
    start_full: bool,
    processes: u64,
    timeouts: Timeouts,
}

/// What the store worker goes by.
pub(super) struct Settings {
    pub(super) address: Address,
    pub(super) prefix: String,
    pub(super) identity: Identity,
    pub(super) on_outage: OnStoreOutage,
    pub(super) start_full: bool,
    pub(super) processes: u64,
    pub(super) timeouts: Timeouts,
}

const SECOND: Duration = Duration::from_secs(1);
/// Default of [`SharedStoreBuilder::prefix`].
const PREFIX: &str = "paceline:";

impl SharedStore {
    /// A store by its URL, with all other settings as they are by default. Nothing is connected
    /// before the first request waits.
    ///
    /// The URL is `redis://host:6379/0`, `rediss://host:6379` for TLS (by the system's certificates),
    /// `unix:///path`, with `user:password@` before the host if need be. Several hosts with commas
    /// between them, or `?cluster=1`, are a cluster.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) when the URL is none.
    pub fn new(url: &str) -> Result<Self> {
        Self::builder(url).build()
    }

    /// A store with other settings.
    pub fn builder(url: &str) -> SharedStoreBuilder {
        SharedStoreBuilder {
            url: url.to_owned(),
            username: None,
            password: None,
            prefix: PREFIX.to_owned(),
            label: None,
            horizon: SECOND,
            on_outage: OnStoreOutage::default(),
            start_full: false,
            processes: 1,
            timeouts: Timeouts {
                connect: SECOND,
                command: SECOND,
            },
        }
    }

    /// Connects once more and writes a key that is gone within a second, to see whether the store can be
    /// used.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) when it cannot, with the reason: it cannot be reached, it
    /// wants another password, it is full, or it is a replica that takes no writes.
    pub fn check(&self) -> Result<()> {
        let unusable = |Unusable { error, .. }| self.error(&error.0);
        self.try_it().map_err(unusable)
    }

    /// Why the store cannot be used, if it answers and refuses what a limiter needs, so that waiting does
    /// not help. None where it cannot be reached: it may come back.
    #[must_use]
    pub fn refusal(&self) -> Option<Error> {
        let unusable = self.try_it().err().filter(|it| it.is_refusal)?;
        Some(self.error(&unusable.error.0))
    }

    fn try_it(&self) -> std::result::Result<(), Unusable> {
        self.connection().check(&self.0.settings().prefix)
    }

    /// How the limiters stand that are shared over the store, of all processes, by name. For people:
    /// it asks for all of them, on a connection of its own.
    ///
    /// # Errors
    ///
    /// As [`check`](SharedStore::check).
    pub fn limiters(&self) -> Result<Vec<StoreLimiter>> {
        let prefix = &self.0.settings().prefix;
        let all = inspect::all(&mut self.connection(), prefix);
        all.map_err(|error| self.error(&error.0))
    }

    fn connection(&self) -> StoreConnection {
        let settings = self.0.settings();
        StoreConnection::new(settings.address.clone(), settings.timeouts)
    }

    fn error(&self, reason: &str) -> Error {
        let address = &self.0.settings().address;
        let message = format!("the store {address} cannot be used: {reason}");
        ConfigError::new("store URL", message).into()
    }

    pub(in crate::limiter) fn registration(&self, core: Weak<Core>, limiter: &str) -> Registration {
        self.0.registration(core, limiter)
    }

    /// What a line of these limits begins with.
    pub(in crate::limiter) fn account(&self, limits: &Limits) -> Account {
        let settings = self.0.settings();
        let joins = Joins {
            limits: scale::encode(limits.quotas()),
            stated: scale::stated(limits),
            start_full: settings.start_full,
        };
        let account = Account::new(limits.quotas().to_vec(), joins, settings.identity.horizon);
        account.expecting(settings.processes)
    }
}

impl SharedStoreBuilder {
    /// Sets the user name at the store. Default: that of the URL.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Sets the password at the store. It is never shown. Default: that of the URL.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Sets the prefix of all keys: for a store that others use, too. Default: `paceline:`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the name of this process in a [list of the waiters](SharedStore::limiters). Default: the
    /// host's name and the process's number.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets how far ahead anything is booked. Within it a pause, other limits and a death are felt by
    /// all, and by so much requests of different processes may change places. A longer one takes
    /// fewer trips to the store. Between 100 ms and 60 s; to be the same in all processes. Default: 1 s.
    pub fn horizon(mut self, horizon: Duration) -> Self {
        self.horizon = horizon;
        self
    }

    /// Sets what limiters do while the store cannot be reached. Default: [`OnStoreOutage::Divide`].
    pub fn on_outage(mut self, on_outage: OnStoreOutage) -> Self {
        self.on_outage = on_outage;
        self
    }

    /// Lets a limiter that the store has never heard of begin with what its limits
    /// [start](crate::Quota::with_initial) with, by default a full bucket. To be used where the store is
    /// known to last: one that was emptied looks the same to a process that has just begun. Defaults
    /// to false: it begins with nothing.
    pub fn start_full(mut self, start_full: bool) -> Self {
        self.start_full = start_full;
        self
    }

    /// Sets how many processes share the limits at least, by which [`OnStoreOutage::Divide`] divides them: a
    /// process that has never reached the store knows of no others. Default: as many as the store has
    /// reported in the last minute or two, or 1.
    pub fn processes(mut self, processes: u64) -> Self {
        self.processes = processes;
        self
    }

    /// Sets the timeout of connecting to the store. Default: 1 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// Sets the timeout of an answer of the store. Default: 1 s.
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.command = timeout;
        self
    }

    /// Whether the URL holds a password: on a command line others can read it.
    ///
    /// # Errors
    ///
    /// As [`SharedStore::new`].
    pub fn url_has_password(&self) -> Result<bool> {
        Ok(Address::parse(&self.url)?.has_password())
    }

    /// The finished store.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) when the URL is none, a timeout is 0, the horizon is
    /// not between 100 ms and a minute, or the prefix has a brace in it.
    pub fn build(self) -> Result<SharedStore> {
        let wrong = |field: &str, what: &str| {
            Err(ConfigError::new(field, format!("of a shared store {what}")).into())
        };
        if self.horizon < SECOND / 10 || self.horizon > SECOND * 60 {
            return wrong("horizon", "the horizon is between 100 ms and a minute");
        }
        if self.timeouts.connect.is_zero() || self.timeouts.command.is_zero() {
            return wrong("timeout", "a timeout is above 0");
        }
        if self.prefix.contains(['{', '}']) {
            return wrong(
                "prefix",
                "the prefix has no braces: they mark what a cluster keeps together",
            );
        }
        let mut address = Address::parse(&self.url)?;
        address.sign(self.username.as_deref(), self.password.as_deref());
        let label = self.label.unwrap_or_else(label);
        let identity = Identity {
            // What stands behind a bar in the store's record.
            label: label.replace(['|', '\n'], " "),
            horizon: self.horizon,
        };
        Ok(SharedStore(Arc::new(StoreWorker::new(Settings {
            address,
            prefix: self.prefix,
            identity,
            on_outage: self.on_outage,
            start_full: self.start_full,
            processes: self.processes,
            timeouts: self.timeouts,
        }))))
    }
}

/// The host's name and the process's number.
fn label() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let host = host.ok().or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.map(|host| host.trim().to_owned());
    let host = host.filter(|host| !host.is_empty());
    format!("{} {}", host.as_deref().unwrap_or("?"), std::process::id())
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings {
            address,
            prefix,
            identity,
            on_outage,
            start_full,
            processes,
            timeouts,
        } = self.0.settings();
        f.debug_struct("SharedStore")
            .field("address", address)
            .field("prefix", prefix)
            .field("label", &identity.label)
            .field("horizon", &identity.horizon)
            .field("on_outage", on_outage)
            .field("start_full", start_full)
            .field("processes", processes)
            .field("timeouts", timeouts)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SharedStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url: _,
            username: _,
            password: _,
            prefix,
            label,
            horizon,
            on_outage,
            start_full,
            processes,
            timeouts,
        } = self;
        f.debug_struct("SharedStoreBuilder")
            .field("prefix", prefix)
            .field("label", label)
            .field("horizon", horizon)
            .field("on_outage", on_outage)
            .field("start_full", start_full)
            .field("processes", processes)
            .field("timeouts", timeouts)
            .finish_non_exhaustive()
    }
}
