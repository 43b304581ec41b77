//! What holds up a run besides its limits.

use std::fmt;
use std::time::Instant;

use parking_lot::Mutex;

/// What holds up a run besides its limits: no request begins as long as it stands.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Hold, Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let watch = run.watch(); // for another thread
/// run.run()?;
/// if let Some(Hold::Unreachable { reason, .. }) = watch.held() {
///     println!("cannot reach the server: {reason}");
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hold {
    /// The server cannot be reached. One request after another tries.
    Unreachable {
        /// What failed last.
        reason: String,
        /// When the first attempt failed.
        since: Instant,
    },
    /// This side is out of descriptors, ports, threads or memory: fewer requests are in flight than
    /// may be.
    Exhausted {
        /// What failed last.
        reason: String,
        /// How many may be in flight now.
        in_flight: usize,
    },
    /// Many failures are alike. The requests in flight show whether all are.
    Suspicion(
        /// What the last of them says.
        String,
    ),
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { reason, .. } => write!(f, "cannot reach {reason}"),
            Self::Exhausted { reason, in_flight } => {
                write!(f, "at most {in_flight} in flight: {reason}")
            }
            Self::Suspicion(reason) => write!(f, "failures are alike: {reason}"),
        }
    }
}

/// What holds up one run now.
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<Standing>);

#[derive(Debug, Default)]
struct Standing {
    link: Option<Hold>,
    exhaustion: Option<Hold>,
    suspicion: Option<Hold>,
}

impl Holds {
    /// The one that explains most.
    pub(super) fn first(&self) -> Option<Hold> {
        let standing = self.0.lock();
        let link = standing.link.as_ref();
        let all = link.or(standing.suspicion.as_ref());
        all.or(standing.exhaustion.as_ref()).cloned()
    }

    pub(super) fn link(&self, hold: Option<Hold>) {
        self.0.lock().link = hold;
    }

    /// Sets how many may be in flight, and why where that is new.
    pub(super) fn exhaustion(&self, is_limited: bool, in_flight: usize, reason: Option<&str>) {
        let mut standing = self.0.lock();
        let known = match standing.exhaustion.take() {
            Some(Hold::Exhausted { reason, .. }) => reason,
            _ => String::new(),
        };
        standing.exhaustion = is_limited.then(|| Hold::Exhausted {
            reason: reason.map_or(known, str::to_owned),
            in_flight,
        });
    }

    pub(super) fn suspicion(&self, hold: Option<Hold>) {
        self.0.lock().suspicion = hold;
    }
}
