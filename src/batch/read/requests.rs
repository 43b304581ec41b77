//! The requests of a run, to tell its answers from those of others.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Result;
use crate::batch::fingerprint::Fingerprint;
use crate::batch::ids::{Ids, Known};
use crate::batch::input::Input;

/// The requests that a run has read from its input, by `custom_id` and by what tells a request from
/// another: so that an [`Extract`](crate::batch::Extract) takes the answers to these alone. Takes 29 bytes a
/// request. Clones are the same set.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Extract, Input, RequestSet, Run};
///
/// let requests = RequestSet::new();
/// let run = Run::new(RateLimitedClient::new()?, Input::file("in.jsonl")?);
/// run.collect(&requests).run()?;
/// Extract::new("in.results.jsonl").only(&requests).write("answers.csv")?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct RequestSet(Arc<Mutex<Set>>);

#[derive(Default)]
struct Set {
    ids: Ids,
    count: u64,
}

impl RequestSet {
    /// An empty set, for a [`Run::collect`](crate::batch::Run::collect).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many requests it holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.lock().count
    }

    /// True when it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(in crate::batch) fn add(&self, id: &str, of: Fingerprint) {
        let mut set = self.0.lock();
        let before = set.ids.set(id, Known::Finished(Some(of)));
        set.count += u64::from(before.is_none());
    }

    /// True for a result of one of the requests. That of a request that is not known is taken by its id.
    pub(in crate::batch) fn has(&self, id: &str, of: Option<Fingerprint>) -> bool {
        match self.0.lock().ids.get(id) {
            Some(Known::Finished(print)) => of.is_none() || of == print,
            _ => false,
        }
    }

    /// Adds the requests of a whole input, of which a run has read a part. Of those of one id the
    /// first counts.
    pub(in crate::batch) fn add_all(&self, mut input: Input) -> Result<()> {
        let set = self.clone();
        input.look_through(|records| {
            let mut met = Ids::default();
            // What cannot be read on was said by the run.
            while records.advance().unwrap_or(false) {
                let Ok(draft) = records.draft() else {
                    continue;
                };
                if met.meet(&draft.id, records.line()).is_none()
                    && let Ok(asked) = draft.request
                {
                    set.add(&draft.id, asked.fingerprint());
                }
            }
        })
    }
}

impl fmt::Debug for RequestSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSet")
            .field("len", &self.len())
            .finish()
    }
}
