//! Streaming chat: an iterator of chunks.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::iter::FusedIterator;

use serde_json::Value;

use super::RateLimitedClient;
use super::answer::{Completion, Fault, read_chunk, value};
use super::call::{Context, Receive, Sent, Settlement, Unreceived, Whole, quote_without};
use super::errors::error_inside;
use super::events::next_event;
use super::transport::Answer;
use crate::cost::Usage;
use crate::providers::{Reading, quote};
use crate::{ApiError, Error, Result, TransportKind};

/// The most that is read behind the end of a stream.
const MAX_REST: u64 = 4 * 1024;

/// One piece of a streamed answer.
///
/// ```no_run
/// let client = paceline::RateLimitedClient::new()?;
/// for piece in client.chat_stream("Tell me a long story.")? {
///     let piece = piece?;
///     print!("{}", piece.text());
///     if let Some(reason) = piece.body()["choices"][0]["finish_reason"].as_str() {
///         println!(" ({reason})");
///     }
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ChatChunk(Value);

impl ChatChunk {
    /// The text that this piece adds to the first choice, or to a response; empty when it adds none.
    #[must_use]
    pub fn text(&self) -> &str {
        // The latter from servers that answer in one piece.
        let places = [
            "/choices/0/delta/content",
            "/choices/0/message/content",
            // Of a stream of messages.
            "/delta/text",
            "/content/0/text",
        ];
        let mut found = places.iter().filter_map(|place| self.0.pointer(place));
        // Of a stream of responses.
        let of_response = || match self.0.get("type")?.as_str()? {
            "response.output_text.delta" => self.0.get("delta")?.as_str(),
            _ => None,
        };
        found
            .find_map(Value::as_str)
            .or_else(of_response)
            .unwrap_or_default()
    }

    /// The whole piece.
    #[must_use]
    pub fn body(&self) -> &Value {
        &self.0
    }
}

/// Begins to read a stream, up to its first event: until then nothing has been handed out, and what
/// fails can be sent again.
pub(super) struct Begin;

/// What there is of a stream when it is handed out.
pub(super) struct Begun {
    first: String,
    /// Whether that is the whole answer: some servers do not stream.
    is_whole: bool,
    /// What comes behind it.
    lines: Lines,
}

impl Receive for Begin {
    type Received = Begun;
    const IS_STREAM: bool = true;

    fn receive(&self, answer: &mut Answer, context: &Context<'_>) -> Result<Begun, Unreceived> {
        let kind = answer.content_type();
        if kind.contains("json") || kind.contains("html") {
            return Ok(Begun {
                first: Whole::default().receive(answer, context)?.text,
                is_whole: true,
                lines: BufReader::new(Box::new(io::empty())),
            });
        }
        let (url, status) = (answer.url(), answer.status);
        let reader: Box<dyn Read + Send> = Box::new(answer.take_reader());
        let mut lines = BufReader::new(reader);
        let lost = |message: &str| broken(&url, io::Error::other(message));
        let first = match next_event(&mut lines) {
            Ok(Some(event)) => event,
            Ok(None) => return Err(lost("the stream ended before it began").into()),
            Err(error) => return Err(broken(&url, error).into()),
        };
        if let Ok(chunk) = read_chunk(&first)
            && let Some(fault) = chunk.fault
        {
            let mut error = error_inside(status, context.heard, &chunk.text, fault);
            quote_without(context.secrets, &mut error, chunk.text.as_bytes());
            return Err(Unreceived::Refused(Box::new(error)));
        }
        Ok(Begun {
            first,
            is_whole: false,
            lines,
        })
    }
}

/// What a reader of a response fails with: an error of the transport, or of what unpacks it.
fn broken(url: &str, error: io::Error) -> Error {
    error.downcast().unwrap_or_else(|error| Error::Transport {
        url: url.to_owned(),
        kind: TransportKind::Disconnected,
        message: error.to_string(),
        unsent: false,
        source: None,
    })
}

/// A streamed answer: an iterator of its pieces.
///
/// The request is settled with its usage when the stream ends. One that is dropped before keeps
/// the charge that it reserved: what the server charges for half an answer is not known.
///
/// A stream that breaks off, or in which the server says that it failed, ends with an error. It is
/// not sent again, because some of it has been handed out.
///
/// ```no_run
/// let client = paceline::RateLimitedClient::new()?;
/// let mut stream = client.chat_stream("Tell me a long story.")?;
/// for piece in stream.by_ref() {
///     print!("{}", piece?.text());
/// }
/// println!("\n{:?}, {:?}", stream.completion(), stream.usage());
/// # Ok::<(), paceline::Error>(())
/// ```
pub struct ChatStream {
    client: RateLimitedClient,
    first: Option<String>,
    is_whole: bool,
    /// Whether the last event was handed out.
    is_over: bool,
    /// None once the stream has ended, well or not.
    lines: Option<Lines>,
    settlement: Option<Settlement>,
    usage: Option<Usage>,
    completion: Completion,
    status: u16,
    request_id: Option<String>,
    url: String,
}

type Lines = BufReader<Box<dyn Read + Send>>;

impl ChatStream {
    pub(super) fn new(client: RateLimitedClient, sent: Sent, begun: Begun) -> Self {
        let url = sent.answer.url();
        Self {
            client,
            first: Some(begun.first),
            is_whole: begun.is_whole,
            is_over: false,
            lines: Some(begun.lines),
            settlement: Some(sent.settlement),
            usage: None,
            completion: Completion::Empty,
            status: sent.status,
            request_id: sent.request_id,
            url,
        }
    }

    /// What the request used, once the stream has ended.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// How the answer ended, once the stream has ended.
    #[must_use]
    pub fn completion(&self) -> Completion {
        self.completion
    }

    fn next_event(&mut self) -> Result<Option<String>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let Some(lines) = self.lines.as_mut().filter(|_| !self.is_whole) else {
            return Ok(None);
        };
        let event = next_event(lines).map_err(|error| broken(&self.url, error))?;
        event
            .ok_or_else(|| self.invalid("the stream ended without [DONE]".to_owned()))
            .map(Some)
    }

    fn next_chunk(&mut self) -> Result<Option<ChatChunk>> {
        if self.is_over {
            return Ok(None);
        }
        loop {
            let Some(event) = self.next_event()?.filter(|event| event != "[DONE]") else {
                return Ok(None);
            };
            let secrets = self.client.secrets();
            let invalid = |text: &str| {
                let text = quote(&secrets.hide(text));
                self.invalid(format!("an event that is no JSON: {text}"))
            };
            let chunk = read_chunk(&event).map_err(|_| invalid(&event))?;
            if let Some(fault) = chunk.fault {
                return Err(self.failure(fault, &chunk.text).into());
            }
            let body = value(&chunk.text).map_err(|_| invalid(&event))?;
            self.usage = merged(self.usage, chunk.usage, chunk.output_tokens);
            if chunk.is_stop {
                // The last event of a response has all of it.
                self.is_over = body.get("response").is_some();
                if !self.is_over {
                    return Ok(None);
                }
                self.completion = chunk.completion;
                return Ok(Some(ChatChunk(body)));
            }
            let choices = body.get("choices").and_then(Value::as_array);
            // The last chunk has the usage and nothing else.
            if choices.is_none_or(|choices| !choices.is_empty()) {
                self.completion = match (self.completion, chunk.completion) {
                    (Completion::Refused, _) | (_, Completion::Refused) => Completion::Refused,
                    (Completion::CutOff, _) | (_, Completion::CutOff) => Completion::CutOff,
                    (Completion::Empty, now) => now,
                    (before, _) => before,
                };
                return Ok(Some(ChatChunk(body)));
            }
        }
    }

    /// The error that a piece is. The limiter observes one about a limit.
    fn failure(&mut self, fault: Fault, text: &str) -> Box<ApiError> {
        let mut heard = Reading {
            request_id: self.request_id.clone(),
            ..Reading::default()
        };
        let secrets = self.client.secrets();
        let mut error = error_inside(self.status, &heard, text, fault);
        quote_without(secrets, &mut error, text.as_bytes());
        heard.judge(self.status, Some(&error));
        secrets.hide_in_api_error(&mut error);
        if let Some(settlement) = &mut self.settlement {
            settlement.observe(&heard.feedback);
        }
        Box::new(error)
    }

    fn invalid(&self, message: String) -> Error {
        Error::InvalidResponse {
            url: self.url.clone(),
            message,
        }
    }

    fn end(&mut self, is_whole: bool) {
        if let Some(settlement) = self.settlement.take() {
            settlement.settle(self.usage);
        }
        if let Some(mut lines) = self.lines.take()
            && is_whole
        {
            // Only a connection whose answer was read to its last byte is used again.
            let _ = io::copy(&mut lines.by_ref().take(MAX_REST), &mut io::sink());
        }
    }
}

/// What is known of the usage after one more piece. A stream of messages tells of the prompt first, and of the
/// answer so far with each piece.
pub(super) fn merged(
    known: Option<Usage>,
    said: Option<Usage>,
    output: Option<u64>,
) -> Option<Usage> {
    let usage = match (known, said) {
        (Some(known), Some(said)) => Some(Usage {
            input_tokens: known.input_tokens.max(said.input_tokens),
            output_tokens: known.output_tokens.max(said.output_tokens),
            cached_tokens: known.cached_tokens.max(said.cached_tokens),
            cache_write_tokens: known.cache_write_tokens.max(said.cache_write_tokens),
            reasoning_tokens: known.reasoning_tokens.max(said.reasoning_tokens),
        }),
        (known, said) => said.or(known),
    };
    match (usage, output) {
        (Some(usage), Some(output)) => Some(Usage {
            output_tokens: usage.output_tokens.max(output),
            ..usage
        }),
        (usage, _) => usage,
    }
}

impl Iterator for ChatStream {
    type Item = Result<ChatChunk>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_chunk().transpose();
        match next {
            Some(Ok(_)) => {}
            Some(Err(_)) => self.end(false),
            None => self.end(true),
        }
        next
    }
}

impl FusedIterator for ChatStream {}

impl Drop for ChatStream {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl fmt::Debug for ChatStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatStream")
            .field("ended", &self.lines.is_none())
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}
