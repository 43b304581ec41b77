//! The requests of one limiter that wait for their turn: the first of them in memory, the rest on
//! the disk.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;

use crate::batch::count::{Counted, fallback};
use crate::batch::dispatch::spool::{Spool, Spooled};
use crate::batch::events::model_progress::ModelProgress;
use crate::tokens::Estimate;
use crate::{Prepared, RateLimitedClient};

/// Requests in memory, at most.
pub(in crate::batch) const QUEUE: usize = 4_096;
/// Their bytes, at most, with one more request.
const QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// At this many left in memory there is room for others, and some come back from the disk.
const LOW: usize = QUEUE / 2;
const LOW_BYTES: usize = QUEUE_BYTES / 2;
/// How many come back at once.
const BACK: usize = 64;

/// Whether a thread leads a lane. One thread at a time, so that its requests go in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Leader {
    Absent,
    /// It stands among those that need one.
    Called,
    Present,
}

/// What has become of the requests of a lane, in this run.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::batch) struct Tally {
    /// Read and counted.
    pub(in crate::batch) read: u64,
    /// Taken out, to wait for the limiter and be sent.
    pub(in crate::batch) started: u64,
    /// No more in flight, whatever became of them.
    pub(in crate::batch) ended: u64,
    /// Prompt and output cap of those that were read, and of those that were started.
    pub(in crate::batch) tokens_read: u64,
    pub(in crate::batch) tokens_started: u64,
}

impl Tally {
    pub(in crate::batch) fn read(&mut self, size: Estimate) {
        self.read += 1;
        self.tokens_read = self.tokens_read.saturating_add(tokens(size));
    }

    pub(in crate::batch) fn started(&mut self, size: Estimate) {
        self.started += 1;
        self.tokens_started = self.tokens_started.saturating_add(tokens(size));
    }
}

fn tokens(size: Estimate) -> u64 {
    size.prompt.saturating_add(size.output)
}

pub(in crate::batch) struct Lane {
    /// The model, or the family of models that share the limiter.
    pub(in crate::batch) name: String,
    pub(in crate::batch) tally: Tally,
    pub(in crate::batch) leader: Leader,
    /// Its requests in flight.
    pub(in crate::batch) sending: usize,
    memory: VecDeque<Counted>,
    /// Of the bodies of those.
    bytes: usize,
    spool: Spool,
}

impl Lane {
    pub(in crate::batch) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            tally: Tally::default(),
            leader: Leader::Absent,
            sending: 0,
            memory: VecDeque::new(),
            bytes: 0,
            spool: Spool::default(),
        }
    }

    /// Where its requests stand.
    pub(in crate::batch) fn progress(&self) -> ModelProgress {
        let tally = self.tally;
        ModelProgress {
            model: self.name.clone(),
            read: tally.read,
            started: tally.started,
            ended: tally.ended,
            tokens_read: tally.tokens_read,
            tokens_started: tally.tokens_started,
            in_flight: self.sending as u64,
        }
    }

    pub(in crate::batch) fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.spool.is_empty()
    }

    /// Whether it has anything to do.
    pub(in crate::batch) fn is_busy(&self) -> bool {
        self.sending > 0 || self.leader == Leader::Present || !self.is_empty()
    }

    /// Whether there is room in memory for one more.
    pub(in crate::batch) fn has_room(&self) -> bool {
        self.memory.len() < QUEUE && self.bytes < QUEUE_BYTES && self.spool.is_empty()
    }

    /// Whether threads that wait for room may continue: not for each place that gets free.
    pub(in crate::batch) fn has_plenty_of_room(&self) -> bool {
        self.is_low() && self.spool.is_empty()
    }

    fn is_low(&self) -> bool {
        self.memory.len() <= LOW && self.bytes <= LOW_BYTES
    }

    /// Whether none waits in memory.
    pub(in crate::batch) fn has_none_in_memory(&self) -> bool {
        self.memory.is_empty()
    }

    /// What the bodies of those in memory take.
    pub(in crate::batch) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it takes of the disk.
    pub(in crate::batch) fn spooled(&self) -> u64 {
        self.spool.bytes()
    }

    /// Puts a request into memory.
    pub(in crate::batch) fn push(&mut self, counted: Counted) {
        self.bytes = self.bytes.saturating_add(counted.request.body().len());
        self.memory.push_back(counted);
    }

    /// Puts a request onto the disk.
    pub(in crate::batch) fn spool(&mut self, counted: &Counted) -> io::Result<()> {
        let request = &counted.request;
        self.spool.push(&Spooled {
            line: counted.line,
            custom_id: Cow::Borrowed(&counted.custom_id),
            fingerprint: counted.fingerprint,
            path: Cow::Borrowed(request.path()),
            model: Cow::Borrowed(request.model()),
            estimate: request.estimate(),
            body: Cow::Borrowed(request.body()),
        })
    }

    /// Takes the first request.
    ///
    /// # Errors
    ///
    /// When the disk does not give back what it was given.
    pub(in crate::batch) fn pop(
        &mut self,
        client: &RateLimitedClient,
    ) -> io::Result<Option<Counted>> {
        for _ in 0..BACK {
            if !self.is_low() {
                break;
            }
            let Some(spooled) = self.spool.pop()? else {
                break;
            };
            self.push(counted(client, spooled));
        }
        let first = self.memory.pop_front();
        let bytes = first.as_ref().map_or(0, |first| first.request.body().len());
        self.bytes = self.bytes.saturating_sub(bytes);
        Ok(first)
    }
}

/// A request that has waited on the disk.
fn counted(client: &RateLimitedClient, spooled: Spooled<'_>) -> Counted {
    let Spooled {
        line,
        custom_id,
        fingerprint,
        path,
        model,
        estimate,
        body,
    } = spooled;
    let tier = fallback::tier_in(&body);
    Counted {
        line,
        custom_id: custom_id.into_owned(),
        fingerprint,
        request: Prepared::of(
            client,
            path.into_owned(),
            body.into_owned(),
            model.into_owned(),
            estimate,
        )
        .in_tier(tier),
    }
}
