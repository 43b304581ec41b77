//! An answer as it arrives: its head, its body, and what can go wrong with that.

use std::io::{self, Read};
use std::mem;
use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, StatusCode};

use super::failure::{Way, failure};
use super::head::Framing;
use super::incoming::Incoming;
use super::problem::Problem;
use super::redirect;
use super::unpack::{Coding, Unpackable, Unpacking, foreign, is_packed, unpacked};
use super::url::{BaseUrl, without_query};
use crate::{Error, TransportKind};

/// The largest answer that is read, packed and unpacked: far above any the API gives.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;
/// The most that is read of an answer whose status is an error. What is behind it is not missed: the
/// reason stands at the beginning.
const MAX_ERROR: u64 = 1024 * 1024;
/// The most memory that is taken for an answer because its head says that it is that long.
const MOST_AT_ONCE: u64 = 1024 * 1024;
/// How much is read between two looks at what is held. Nearly all answers are one piece.
const PIECE: usize = 256 * 1024;
/// Bytes that are read at once of a body whose length is not known.
const STEP: usize = 8 * 1024;

/// An answer whose head has arrived.
pub(in crate::client) struct Answer {
    pub(in crate::client) status: u16,
    pub(in crate::client) headers: Headers,
    /// With its query, in which there can be a key.
    sent_to: String,
    body: Incoming,
    /// Its length, where the head says it.
    length: Option<u64>,
    coding: Coding,
    way: Arc<Way>,
    /// Whether the attempt ends at its caller's deadline.
    is_deadline: bool,
}

/// Headers by lower-case name.
pub(in crate::client) struct Headers(HeaderMap);

impl Headers {
    /// Those of a text, one a line, as far as HTTP has them.
    #[cfg(any(test, fuzzing))]
    #[allow(
        dead_code,
        reason = "a fuzzer's, of which some sets of features have none"
    )]
    pub(in crate::client) fn of_lines(text: &str) -> Self {
        use http::{HeaderName, HeaderValue};
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        let headers = pairs.filter_map(|(name, value)| {
            let name = HeaderName::try_from(name.trim()).ok()?;
            Some((name, HeaderValue::try_from(value.trim()).ok()?))
        });
        Self(headers.collect())
    }

    /// Those that are text, in order.
    pub(in crate::client) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?.trim())))
    }
}

/// A head and the body behind it.
pub(super) struct Arrived {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    pub(super) body: Incoming,
}

impl Answer {
    pub(super) fn new(
        arrived: Arrived,
        sent_to: String,
        way: &Arc<Way>,
        is_deadline: bool,
    ) -> Self {
        let coding = match arrived.headers.get(CONTENT_ENCODING) {
            Some(value) => Coding::of(&String::from_utf8_lossy(value.as_bytes())),
            None => Coding::Plain,
        };
        let length = match arrived.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::Close => None,
        };
        Self {
            status: arrived.status,
            headers: Headers(arrived.headers),
            sent_to,
            body: arrived.body,
            length,
            coding,
            way: Arc::clone(way),
            is_deadline,
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
    /// the bytes that are held, before the first and after each piece: it may wait, and ends reading by
    /// returning false.
    pub(in crate::client) fn read(
        &mut self,
        bytes: &mut Vec<u8>,
        reads_on: &dyn Fn(usize) -> bool,
    ) -> Result<(), Error> {
        if let Err(problem) = self.collect(bytes, reads_on) {
            if is_packed(bytes) {
                bytes.clear(); // half of it is no text to quote
            }
            self.body = Incoming::none();
            return Err(self.failed(&problem));
        }
        match unpacked(mem::take(bytes), &self.coding, MAX_ANSWER, reads_on) {
            Ok(unpacked) => {
                *bytes = unpacked;
                Ok(())
            }
            Err(problem) => Err(self.unpackable(problem)),
        }
    }

    /// Puts what arrives right where it stays.
    fn collect(
        &mut self,
        bytes: &mut Vec<u8>,
        reads_on: &dyn Fn(usize) -> bool,
    ) -> Result<(), Problem> {
        if self.length.is_some_and(|length| length > MAX_ANSWER) {
            return Err(Problem::TooLarge(MAX_ANSWER));
        }
        let expected = self.length.unwrap_or(0).min(MOST_AT_ONCE);
        bytes.reserve_exact(usize::try_from(expected).unwrap_or(0));
        let mut looked_at = 0;
        if !reads_on(0) {
            return Ok(());
        }
        loop {
            let before = bytes.len();
            if before as u64 > MAX_ANSWER {
                return Err(Problem::TooLarge(MAX_ANSWER));
            }
            if before - looked_at >= PIECE {
                looked_at = before;
                if !reads_on(before) {
                    return Ok(());
                }
            }
            let step = match self.length {
                Some(length) => usize::try_from(length).unwrap_or(usize::MAX) - before,
                None => STEP.max(bytes.capacity() - before),
            };
            if step == 0 {
                return Ok(());
            }
            bytes.resize(before + step.min(PIECE), 0);
            let read = self.body.some(&mut bytes[before..]);
            bytes.truncate(before + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Ok(());
            }
        }
    }

    /// Reads the body of an error, of a long one its beginning: as it is, or unpacked.
    pub(in crate::client) fn read_error(&mut self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let coding = self.coding.clone();
        let mut reader = self.take_reader();
        let read = reader.by_ref().take(MAX_ERROR).read_to_end(bytes);
        if is_packed(bytes) {
            bytes.clear(); // packed twice: no text to quote
        }
        match (read, &coding) {
            // What arrived of it says more than that the rest did not.
            (Ok(_), _) => Ok(()),
            (Err(_), _) if !bytes.is_empty() => Ok(()),
            (Err(_), Coding::Unknown(name)) => Err(self.unpackable(foreign(name))),
            (Err(error), _) => Err(match error.downcast() {
                Ok(error) => error,
                Err(error) => self.failed(&Problem::Io(error)),
            }),
        }
    }

    fn failed(&self, problem: &Problem) -> Error {
        failure(&self.sent_to, problem, &self.way, self.is_deadline)
    }

    fn unpackable(&self, problem: Unpackable) -> Error {
        match problem {
            Unpackable::Broken(message) => Error::Transport {
                url: self.url(),
                kind: TransportKind::Disconnected,
                message,
                unsent: false,
                source: None,
            },
            Unpackable::Foreign(message) => Error::InvalidResponse {
                url: self.url(),
                message,
            },
            Unpackable::TooLarge => self.failed(&Problem::TooLarge(MAX_ANSWER)),
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

    /// The body as it arrives. None is left. Inside the errors of this reader are those of the crate.
    pub(in crate::client) fn take_reader(&mut self) -> impl Read + Send + 'static {
        let body = mem::replace(&mut self.body, Incoming::none());
        let reader = Reader {
            body,
            sent_to: self.sent_to.clone(),
            way: Arc::clone(&self.way),
            is_deadline: self.is_deadline,
        };
        let coding = mem::replace(&mut self.coding, Coding::Plain);
        Unpacking::new(reader, coding, MAX_ANSWER)
    }
}

struct Reader {
    body: Incoming,
    sent_to: String,
    way: Arc<Way>,
    is_deadline: bool,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.some(buffer).map_err(|problem| {
            let failed = failure(&self.sent_to, &problem, &self.way, self.is_deadline);
            io::Error::other(failed)
        })
    }
}
