//! What can go wrong, when, and what to do about it.

mod acquire;
mod api;
mod config;
mod file;
mod input;
mod make;
mod message;
mod transport;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use acquire::AcquireError;
pub use api::{ApiError, ErrorKind};
pub use config::ConfigError;
pub use file::FileError;
pub use input::InputKind;
pub(crate) use message::{human, per};
pub use transport::TransportKind;

use crate::unit::Unit;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One error for the whole crate.
///
/// Two questions are asked of an error most often, and have a method each: may the same request
/// succeed later ([`is_retryable`](Error::is_retryable)), and is there any point in sending the
/// *other* requests ([`is_account_error`](Error::is_account_error))?
///
/// ```
/// use paceline::{Cost, Error, Limits, RateLimiter};
///
/// let limiter = RateLimiter::new(Limits::builder().tokens_per_minute(1_000).build()?);
/// let refused = limiter.acquire(Cost::tokens(1_001)).map_err(Error::from);
/// assert!(matches!(refused, Err(Error::TooLarge { cost: 1_001, amount: 1_000, .. })));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A setting is missing or cannot work: a limit of 0, no key, an invalid base URL. Nothing was sent.
    /// Correct the setting that it names.
    Config(Box<ConfigError>),

    /// A file of settings (limits, providers, models, prices) could not be read or understood.
    File(Box<FileError>),

    /// The cost is above what the quota grants in its whole period, so waiting would never help.
    /// Make the request smaller, lower its output cap, or raise the limit.
    TooLarge {
        /// The unit of the quota that it does not fit.
        unit: Unit,
        /// What the request costs in that unit.
        cost: u64,
        /// What the quota grants in one period.
        amount: u64,
        /// The quota's period.
        period: Duration,
    },

    /// [`try_acquire`](crate::RateLimiter::try_acquire) would have had to wait this long.
    WouldBlock {
        /// The predicted wait, counted from the call.
        wait: Duration,
    },

    /// The deadline has passed, or comes before the request's turn. Refused at once when that can be
    /// predicted, otherwise when the deadline passes.
    DeadlineExceeded {
        /// The wait as it was predicted when the caller joined the line, or the pause that would
        /// have ended behind the deadline. 0 when the deadline had passed already.
        wait: Duration,
        /// The failure that would have been retried, had there been time.
        last: Option<Box<Error>>,
    },

    /// The limiter has a cap on [waiters](crate::RateLimiterBuilder::max_waiters), and as many
    /// wait. Come again later, or raise the cap.
    QueueFull {
        /// How many wait.
        waiters: usize,
    },

    /// The limiter was [closed](crate::RateLimiter::close).
    Closed,

    /// The caller's [`CancelToken`](crate::CancelToken) was cancelled.
    Cancelled,

    /// A thread whose stack holds a permit of
    /// `map_limited` (`parallel::LimitedParallelIterator`) would have had to wait for another one,
    /// possibly for ever. Move the inner call out of the closure, or drop the permit before it.
    Nested,

    /// The store over which the limiter is shared cannot be reached, and nothing is to be granted
    /// without it: see `OnStoreOutage::Fail` of feature `redis`. Come again later; the log says why.
    StoreDown,

    /// The refill scheduler thread could not be started. The system is out of threads or memory.
    Scheduler(io::Error),

    /// The worker threads could not be started. Ask for fewer, or raise the system's limit.
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        reason: String,
    },

    /// The request cannot be sent as it is: its body is not an object, a field has the wrong
    /// type. Nothing was sent and nothing was charged.
    InvalidRequest(String),

    /// The server answered, with an error.
    Api(Box<ApiError>),

    /// No answer came: the connection, the TLS handshake or the transfer failed, or a timeout
    /// passed. Retried by the client unless the request may not be sent twice.
    Transport {
        /// Where the request went, without its query.
        url: String,
        /// The step that failed.
        kind: TransportKind,
        /// What failed.
        message: String,
        /// True when the request cannot have reached the server.
        unsent: bool,
        /// What the system or TLS said, where they did.
        source: Option<io::Error>,
    },

    /// A response came that is not what the API promises, such as a page in place of JSON. The client
    /// asks once more, and not more often.
    InvalidResponse {
        /// Where the request went, without its query.
        url: String,
        /// What was wrong with the answer.
        message: String,
    },

    /// The item was not tried, because an earlier one met an account error that every other
    /// would meet too.
    Stopped,

    /// A file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// A results file holds answers to other requests under the ids of this input: the prompt, the
    /// model or a setting has changed since, or rows have moved. Nothing was sent, and no file was
    /// changed. Start over, or name another results file.
    OtherAnswers {
        /// The results file.
        file: PathBuf,
        /// Its answers to other requests.
        others: u64,
        /// Its answers to requests of this input, of those that were compared.
        same: u64,
        /// True when ids are the numbers of rows, which change when rows are put before others.
        by_position: bool,
    },

    /// An output file holds what a simulated API answered, and the run is against a real one, or the
    /// other way round. Nothing was sent, and no file was changed. Name another file.
    SimulatedAnswers {
        /// The output file.
        file: PathBuf,
        /// True when what it holds is simulated.
        simulated: bool,
    },

    /// An input cannot be used as a whole: a file of another format, a table whose quotes are left
    /// open, lines of which none can be sent. Nothing of it was sent, unless it was found in the
    /// middle of an input that can be read only once.
    Input {
        /// Where, what is wrong, and what to do.
        message: String,
        /// What it looks like, where that suggests another way to read it.
        looks_like: Option<InputKind>,
    },

    /// A batch could not start or go on, for a reason that is not one request's alone.
    Batch(String),
}

impl Error {
    /// True when the same request may succeed if it is sent again later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Api(error) => error.kind.is_retryable(),
            Self::WouldBlock { .. }
            | Self::DeadlineExceeded { .. }
            | Self::QueueFull { .. }
            | Self::StoreDown
            | Self::InvalidResponse { .. } => true,
            Self::Transport { kind, .. } => *kind != TransportKind::Certificate,
            _ => false,
        }
    }

    /// True when the account, not the request, is refused: a wrong key, no money left. Every
    /// other request would meet the same answer, so a run stops here.
    #[must_use]
    pub fn is_account_error(&self) -> bool {
        matches!(self, Self::Api(error) if error.kind == ErrorKind::Account)
    }

    /// How long the server asked to wait before the next try, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after,
            _ => None,
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            path: path.into(),
            source,
        }
    }
}
