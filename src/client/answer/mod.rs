//! What an answer with a status of success is: a success or a failure in its clothes, whole or cut
//! off, JSON or nearly so. Pure, and one pass over its body.

mod completion; // how it ended
mod cursor; //     a reader of JSON that takes nothing apart
mod fields; //     the few fields that say what an answer is
mod repair; //     JSON of what is not quite JSON
#[cfg(test)]
mod tests;
mod verdict; //    whether it is a success

pub use completion::Completion;
pub use repair::Repair;
pub(crate) use repair::value;
pub(super) use verdict::Fault;

use crate::cost::{ServiceTier, Usage};
use crate::tokens::Endpoint;
use cursor::{Cursor, Flaw};
use fields::Fields;

/// A body that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    /// JSON of the server, unchanged or repaired.
    pub(super) text: String,
    pub(super) repaired: Vec<Repair>,
    pub(super) usage: Option<Usage>,
    /// The tokens of the answer, where nothing is said of the prompt.
    pub(super) output_tokens: Option<u64>,
    /// The class of service that answered, where it is named.
    pub(super) tier: Option<ServiceTier>,
    /// Whether it is the event that ends a stream of messages.
    pub(super) is_stop: bool,
    pub(super) completion: Completion,
    /// Why it is no success, if it is none.
    pub(super) fault: Option<Fault>,
}

impl Body {
    /// The body of a response that is to have none.
    pub(super) fn empty() -> Self {
        Self {
            text: "null".to_owned(),
            repaired: Vec::new(),
            usage: None,
            output_tokens: None,
            tier: None,
            is_stop: false,
            completion: Completion::Complete,
            fault: None,
        }
    }
}

/// A body that is no JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It breaks off: the rest was lost on the way.
    EndsEarly(String),
    /// It is something else, such as a page.
    NotJson(String),
}

/// Reads a whole body of an endpoint.
pub(super) fn read(endpoint: Endpoint, bytes: Vec<u8>) -> Result<Body, Unreadable> {
    let mut repaired = Vec::new();
    let text = repair::text(bytes, &mut repaired);
    judge(text, repaired, |found| {
        verdict::fault(found, Some(endpoint))
    })
}

/// What a whole body of an endpoint says that it used, and why it is no success; `None` for what is no
/// JSON. The body stays as it is.
#[cfg(feature = "gateway")]
pub(super) fn glance(endpoint: Endpoint, text: &str) -> Option<(Option<Usage>, Option<Fault>)> {
    let found = Fields::read(&mut Cursor::new(text)).ok()?;
    Some((found.usage, verdict::fault(&found, Some(endpoint))))
}

/// Reads an event of a stream.
pub(super) fn read_chunk(event: &str) -> Result<Body, Unreadable> {
    judge(event.to_owned(), Vec::new(), verdict::chunk_fault)
}

fn judge(
    text: String,
    mut repaired: Vec<Repair>,
    fault: impl FnOnce(&Fields) -> Option<Fault>,
) -> Result<Body, Unreadable> {
    let mut cursor = Cursor::new(&text);
    let found = match Fields::read(&mut cursor) {
        Ok(found) => found,
        Err(Flaw::EndsEarly) => return Err(Unreadable::EndsEarly(text)),
        Err(Flaw::NotJson(_)) => return Err(Unreadable::NotJson(text)),
    };
    let text = match cursor.edits.is_empty() {
        true => text,
        false => repair::edited(&text, &cursor.edits, &mut repaired),
    };
    Ok(Body {
        text,
        repaired,
        usage: found.usage,
        output_tokens: found.output_tokens,
        tier: found.tier,
        is_stop: found.is_stop,
        completion: verdict::completion(&found),
        fault: fault(&found),
    })
}

/// Whether an answer is a failure: by its status, or by its body under a status of success. `url` is
/// the path of its endpoint, where it is known; without it only what no endpoint answers counts.
///
/// For lines of results that were written when such answers were taken for successes.
pub(crate) fn is_failure(url: Option<&str>, status: u16, body: &str) -> bool {
    let endpoint = url.map(Endpoint::from_path);
    match Fields::read(&mut Cursor::new(body)) {
        Ok(found) => !(200..300).contains(&status) || verdict::fault(&found, endpoint).is_some(),
        Err(_) => true,
    }
}

/// What an answer used and in which class of service, by its body.
#[allow(dead_code, reason = "for results of earlier runs")]
pub(crate) fn used_by(body: &str) -> (Option<Usage>, Option<ServiceTier>) {
    match Fields::read(&mut Cursor::new(body)) {
        Ok(found) => (found.usage, found.tier),
        Err(_) => (None, None),
    }
}

/// How an answer ended, by its body; [`Completion::Complete`] for what is no JSON.
#[allow(dead_code, reason = "for programs that read results of earlier runs")]
pub(crate) fn completion_of(body: &str) -> Completion {
    match Fields::read(&mut Cursor::new(body)) {
        Ok(found) => verdict::completion(&found),
        Err(_) => Completion::Complete,
    }
}
