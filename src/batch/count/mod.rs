//! The second stage: what each line is, and how many tokens it takes.

pub(super) mod cut_off; //  answers that ended at their cap
pub(super) mod fallback; // from the flex tier to the usual one

use std::sync::Arc;

use super::fingerprint::Fingerprint;
use super::ids::Known;
use super::input::{BadLine, Request, Requests};
use super::json::value_of;
use super::read::lines::{Line, side_by_side};
use super::read::requests::RequestSet;
use crate::limiter::CancelToken;
use crate::{Error, Prepared, RateLimitedClient, Result};
use cut_off::{CutOff, Shorter, with_larger_cap};

/// What comes of a line.
pub(super) enum Event {
    /// A request, counted.
    Counted(Counted),
    /// It stands in the results already.
    Finished,
    /// It failed in an earlier run and is skipped.
    Failed,
    /// It is no request, or not the one that has a result already.
    Bad(BadLine),
    /// The input cannot be read on.
    Broken(Error),
}

/// A request that can be admitted.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) line: u64,
    pub(super) custom_id: String,
    pub(super) fingerprint: Fingerprint,
    pub(super) request: Prepared,
}

impl Counted {
    /// The line, which is not sent for this reason; `input` is what messages call its file.
    pub(super) fn refused(self, input: &str, message: &str) -> BadLine {
        BadLine {
            line: self.line,
            message: format!("{input}:{}: {message}", self.line),
            custom_id: Some(self.custom_id),
        }
    }
}

/// Starts the threads that read and count, which tell `sink` what comes of each line, as of
/// [`side_by_side`].
pub(super) fn count(
    client: &RateLimitedClient,
    requests: Requests,
    seen: Option<RequestSet>,
    longer: Option<Longer>,
    stop: &CancelToken,
    sink: &Arc<impl Fn(Event) + Send + Sync + 'static>,
) -> Result<()> {
    let counter = Counter {
        longer,
        client: client.clone(),
        name: requests.name().to_owned(),
        seen: seen.clone(),
    };
    let sink = Arc::clone(sink);
    let line_sink = move |line| {
        sink(match line {
            Line::Request(request) => counter.count(request),
            Line::Bad(bad) => Event::Bad(bad),
            Line::Finished(count) => return (0..count).for_each(|_| sink(Event::Finished)),
            Line::Broken(error) => Event::Broken(error),
        });
    };
    side_by_side(requests, seen, stop, &Arc::new(line_sink))
}

/// How requests are sent again whose answers ended at their cap.
#[derive(Debug, Clone)]
pub(super) struct Longer {
    /// By which the cap is larger.
    pub(super) factor: f64,
    pub(super) cut_off: Arc<CutOff>,
}

/// What it takes to make an event of a request.
struct Counter {
    longer: Option<Longer>,
    client: RateLimitedClient,
    name: String,
    /// Where the requests are collected, if they are.
    seen: Option<RequestSet>,
}

impl Counter {
    fn prepare_longer(&self, url: &str, text: String) -> Result<Prepared> {
        let body = value_of(&text).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        self.client.prepare_counted(url, &body, text)
    }

    fn count(&self, request: Request) -> Event {
        let Request {
            line,
            custom_id,
            url,
            body,
            text: exact,
            known,
        } = request;
        let place = || format!("{}:{line}", self.name);
        let text = body.to_string();
        let fingerprint = Fingerprint::of_exact(&url, &body, &text, exact.as_deref());
        let text = exact.unwrap_or(text);
        if let Some(seen) = &self.seen {
            seen.add(&custom_id, fingerprint);
        }
        match known {
            Some(Known::Failed(print)) if print.is_none_or(|print| print == fingerprint) => {
                return Event::Failed;
            }
            Some(Known::Finished(Some(other))) if other != fingerprint => {
                let message = format!(
                    "{}: custom_id {custom_id:?} has a result already, of a request with \
                     another url or body (fingerprint {other}, here {fingerprint}); give this one \
                     another custom_id, or start over with --fresh",
                    place()
                );
                return Event::Bad(BadLine {
                    line,
                    custom_id: Some(custom_id),
                    message,
                });
            }
            Some(Known::Finished(_)) => return Event::Finished,
            // What failed was another request.
            Some(Known::Line(_) | Known::Failed(_)) | None => {}
        }
        let shorter = self.longer.as_ref();
        let shorter = shorter.and_then(|it| Some((it.factor, it.cut_off.get(&custom_id)?)));
        let prepared = match shorter {
            Some((_, Shorter { of, .. })) if of.is_some_and(|of| of != fingerprint) => {
                let message = format!(
                    "{}: custom_id {custom_id:?} has a result already, of a request with another url or \
                     body; give this one another custom_id, or start over with --fresh",
                    place()
                );
                return Event::Bad(BadLine {
                    line,
                    custom_id: Some(custom_id),
                    message,
                });
            }
            Some((factor, Shorter { usage, .. })) => {
                match with_larger_cap(&text, factor, usage.output_tokens) {
                    Some(text) => self.prepare_longer(&url, text),
                    // Without a cap the model's own ended it: a longer one there is not.
                    None => return Event::Finished,
                }
            }
            None => self.client.prepare_counted(&url, &body, text),
        };
        match prepared {
            Ok(request) => Event::Counted(Counted {
                line,
                custom_id,
                fingerprint,
                request,
            }),
            Err(error) => Event::Bad(BadLine {
                line,
                custom_id: Some(custom_id),
                message: format!("{}: {error}", place()),
            }),
        }
    }
}
