//! Whether an answer with a status of success is one, and how it ended: decided from its fields.

use std::fmt;

use super::completion::Completion;
use super::fields::{Fields, Held, Root, Status};
use crate::tokens::Endpoint;

/// Why an answer with a status of success is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Fault {
    /// It has an `error`.
    Error,
    /// One of its choices has.
    ErrorInChoice,
    /// `finish_reason` is `error`.
    EndedByError,
    /// `status` is `failed` or `cancelled`.
    Status(&'static str),
    /// The field that had to hold the answer is not there, null or empty.
    Missing(&'static str),
    /// It is no object.
    NoObject,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error => f.write_str("the response is an error"),
            Self::ErrorInChoice => f.write_str("a choice of the response is an error"),
            Self::EndedByError => f.write_str("the response ended with an error"),
            Self::Status(status) => write!(f, "the status of the response is {status}"),
            Self::Missing(field) => write!(f, "the response has no {field}"),
            Self::NoObject => f.write_str("the response is no object"),
        }
    }
}

/// Judges the answer of an endpoint, or of one that is not known: then only by what no endpoint has
/// in an answer.
pub(super) fn fault(found: &Fields, endpoint: Option<Endpoint>) -> Option<Fault> {
    match (found.root, endpoint) {
        (Root::List | Root::Object, _) if found.error && !has_answer(found) => {
            return Some(Fault::Error);
        }
        (Root::Scalar, _) => return Some(Fault::NoObject),
        (Root::List, None | Some(Endpoint::Other)) => return None,
        (Root::List, Some(_)) => return Some(Fault::NoObject),
        (Root::Object, _) => {}
    }
    if found.choice_error {
        return Some(Fault::ErrorInChoice);
    }
    if found.ended_by_error {
        return Some(Fault::EndedByError);
    }
    if found.is_error && !has_answer(found) {
        return Some(Fault::Error);
    }
    if found.is_response || endpoint == Some(Endpoint::Responses) {
        match found.status {
            Status::Failed => return Some(Fault::Status("failed")),
            Status::Cancelled => return Some(Fault::Status("cancelled")),
            _ => {}
        }
    }
    missing(found, endpoint).map(Fault::Missing)
}

/// Judges a piece of a stream, in which an error ends it whatever stands beside.
pub(super) fn chunk_fault(found: &Fields) -> Option<Fault> {
    if found.error || found.is_error {
        Some(Fault::Error)
    } else if found.choice_error {
        Some(Fault::ErrorInChoice)
    } else if found.ended_by_error {
        Some(Fault::EndedByError)
    } else {
        match found.status {
            Status::Failed => Some(Fault::Status("failed")),
            Status::Cancelled => Some(Fault::Status("cancelled")),
            _ => None,
        }
    }
}

/// The field that had to be there and is not.
fn missing(found: &Fields, endpoint: Option<Endpoint>) -> Option<&'static str> {
    let has = |held: Held| held == Held::Something;
    match endpoint {
        Some(Endpoint::Chat | Endpoint::Completions) => (!has(found.choices)).then_some("choices"),
        // An empty list is an empty answer. One that is made in the background has none yet.
        Some(Endpoint::Messages) => {
            matches!(found.content, Held::Nothing | Held::Null).then_some("content")
        }
        Some(Endpoint::Responses) => (matches!(found.output, Held::Nothing | Held::Null)
            && found.status != Status::Pending)
            .then_some("output"),
        // `embeddings`: Ollama's own.
        Some(Endpoint::Embeddings) => (!has(found.data) && !has(found.other)).then_some("data"),
        Some(Endpoint::Moderations) => (!has(found.results)).then_some("results"),
        Some(Endpoint::Other) => (found.choices == Held::Null).then_some("choices"),
        None if found.count == 0 => Some("fields"),
        None => matches!(found.choices, Held::Null | Held::Empty).then_some("choices"),
    }
}

/// Whether there is something beside an error. A job that failed is what was asked for, too.
fn has_answer(found: &Fields) -> bool {
    let held = [
        found.choices,
        found.output,
        found.data,
        found.content,
        found.results,
        found.other,
    ];
    found.root == Root::Object
        && (held.contains(&Held::Something) || found.is_named && !found.is_error)
}

/// How it ended.
pub(super) fn completion(found: &Fields) -> Completion {
    let lists = [found.choices, found.output, found.content];
    let can_be_empty = lists.iter().any(|held| *held != Held::Nothing);
    if found.refused {
        Completion::Refused
    } else if found.cut_off || found.status == Status::Incomplete {
        Completion::CutOff
    } else if can_be_empty && !found.has_content && found.status != Status::Pending {
        Completion::Empty
    } else {
        Completion::Complete
    }
}
