//! An answer as it arrives: its head, its body, and what can go wrong with that.

use std::io::Read;
use std::mem;
use std::sync::Arc;

use ureq::Body;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use ureq::http::{HeaderMap, Response, StatusCode};

use super::failure::{Way, failure};
use super::redirect;
use super::unpack::{Coding, Unpackable, Unpacking, foreign, is_packed, unpacked};
use super::url::{BaseUrl, without_query};
use crate::{Error, TransportKind};

/// The largest answer that is read: far above any the API gives, and below what would exhaust a
/// machine with many in flight.
const MAX_ANSWER: u64 = 256 * 1024 * 1024;
/// The most that is read of an answer whose status is an error. What is behind it is not missed: the
/// reason stands at the beginning.
const MAX_ERROR: u64 = 1024 * 1024;
/// The most memory that is taken for an answer because its head says that it is that long.
const MOST_AT_ONCE: u64 = 1024 * 1024;
/// How much is read between two looks at what is held. Nearly all answers are one piece.
const PIECE: u64 = 256 * 1024;

/// An answer whose head has arrived.
pub(in crate::client) struct Answer {
    pub(in crate::client) status: u16,
    pub(in crate::client) headers: Headers,
    /// With its query, in which there can be a key.
    sent_to: String,
    body: Body,
    coding: Coding,
    way: Arc<Way>,
}

/// Headers by lower-case name.
pub(in crate::client) struct Headers(HeaderMap);

impl Headers {
    /// Those that are text, in order.
    pub(in crate::client) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?.trim())))
    }
}

impl Answer {
    pub(super) fn new(response: Response<Body>, sent_to: String, way: &Arc<Way>) -> Self {
        let (head, body) = response.into_parts();
        let coding = match head.headers.get(CONTENT_ENCODING) {
            Some(value) => Coding::of(&String::from_utf8_lossy(value.as_bytes())),
            None => Coding::Plain,
        };
        Self {
            status: head.status.as_u16(),
            headers: Headers(head.headers),
            sent_to,
            body,
            coding,
            way: Arc::clone(way),
        }
    }

    pub(in crate::client) fn is_error(&self) -> bool {
        // A redirect is none of the API's answers either.
        !StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }

    /// Where a redirect leads and what to do about it, if the answer is one.
    pub(super) fn redirect(&self, base: &BaseUrl) -> Option<String> {
        let location = self.headers.0.get(LOCATION)?.to_str().ok()?;
        let is_redirect = (300..400).contains(&self.status);
        is_redirect.then(|| redirect::explain(base, &self.url(), location))
    }

    /// Reads the whole body, or as much of it as arrives and is not packed. `reads_on` is called with
    /// the bytes that were read, before the first and after each piece: it may wait, and ends
    /// reading by returning false.
    pub(in crate::client) fn read(
        &mut self,
        bytes: &mut Vec<u8>,
        reads_on: &dyn Fn(usize) -> bool,
    ) -> Result<(), Error> {
        let length = self.body.content_length().unwrap_or(0).min(MOST_AT_ONCE);
        bytes.reserve_exact(usize::try_from(length).unwrap_or(0));
        let mut body = self.body.with_config().limit(MAX_ANSWER).reader();
        while reads_on(bytes.len()) {
            match body.by_ref().take(PIECE).read_to_end(bytes) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    if is_packed(bytes) {
                        bytes.clear(); // half of it is no text to quote
                    }
                    return Err(failure(&self.sent_to, &error.into(), &self.way));
                }
            }
        }
        match unpacked(mem::take(bytes), &self.coding, MAX_ANSWER) {
            Ok(unpacked) => {
                *bytes = unpacked;
                Ok(())
            }
            Err(problem) => Err(self.unpackable(problem)),
        }
    }

    /// Reads the body of an error, of a long one its beginning: as it is, or unpacked.
    pub(in crate::client) fn read_error(&mut self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let coding = self.coding.clone();
        let read = self.take_reader().take(MAX_ERROR).read_to_end(bytes);
        if is_packed(bytes) {
            bytes.clear(); // packed twice: no text to quote
        }
        match (read, &coding) {
            // What arrived of it says more than that the rest did not.
            (Ok(_), _) => Ok(()),
            (Err(_), _) if !bytes.is_empty() => Ok(()),
            (Err(_), Coding::Unknown(name)) => Err(self.unpackable(foreign(name))),
            (Err(error), _) => Err(failure(&self.sent_to, &error.into(), &self.way)),
        }
    }

    fn unpackable(&self, problem: Unpackable) -> Error {
        match problem {
            Unpackable::Broken(message) => Error::Transport {
                url: self.url(),
                kind: TransportKind::Disconnected,
                message,
                unsent: false,
            },
            Unpackable::Foreign(message) => Error::InvalidResponse {
                url: self.url(),
                message,
            },
            Unpackable::TooLarge => {
                let error = ureq::Error::BodyExceedsLimit(MAX_ANSWER);
                failure(&self.sent_to, &error, &self.way)
            }
        }
    }

    /// Where it came from, for errors.
    pub(in crate::client) fn url(&self) -> String {
        without_query(&self.sent_to)
    }

    /// What kind of body it says that it has, in lower case.
    pub(in crate::client) fn content_type(&self) -> String {
        let stated = self.headers.0.get(CONTENT_TYPE);
        let stated = stated.and_then(|value| value.to_str().ok());
        stated.unwrap_or_default().to_ascii_lowercase()
    }

    /// The body as it arrives. None is left.
    pub(in crate::client) fn take_reader(&mut self) -> impl Read + Send + 'static {
        let body = mem::replace(&mut self.body, Body::builder().data(Vec::new()));
        let reader = body.into_with_config().limit(MAX_ANSWER).reader();
        let coding = mem::replace(&mut self.coding, Coding::Plain);
        Unpacking::new(reader, coding, MAX_ANSWER)
    }
}
