//! Streaming chat: server-sent events as an iterator of chunks.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::iter::FusedIterator;

use serde_json::Value;

use super::call::{Sent, Settlement};
use super::feedback::usage;
use crate::cost::Usage;
use crate::{Error, Result, TransportKind};

/// The longest line of a stream that is read.
const MAX_LINE: u64 = 16 * 1024 * 1024;
/// The most that is read behind the end of a stream.
const MAX_REST: u64 = 4 * 1024;

/// One piece of a streamed answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatChunk(Value);

impl ChatChunk {
    /// The text that this piece adds to the first choice; empty when it adds none.
    #[must_use]
    pub fn text(&self) -> &str {
        let content = self.0.pointer("/choices/0/delta/content");
        content.and_then(Value::as_str).unwrap_or_default()
    }

    /// The whole piece.
    #[must_use]
    pub fn body(&self) -> &Value {
        &self.0
    }
}

/// A streamed answer: an iterator of its pieces.
///
/// The request is settled with its usage when the stream ends. One that is dropped before keeps
/// the charge that it reserved: what the server charges for half an answer is not known.
///
/// A stream that breaks off ends with an error. It is not sent again, because some of it has
/// been handed out.
pub struct ChatStream {
    /// None once the stream has ended, well or not.
    lines: Option<Lines>,
    settlement: Option<Settlement>,
    usage: Option<Usage>,
    url: String,
}

type Lines = BufReader<Box<dyn Read + Send>>;

impl ChatStream {
    pub(super) fn new(sent: Sent) -> Self {
        let url = sent.answer.url();
        let reader: Box<dyn Read + Send> = Box::new(sent.answer.into_reader());
        Self {
            lines: Some(BufReader::new(reader)),
            settlement: Some(sent.settlement),
            usage: None,
            url,
        }
    }

    /// What the request used, once the stream has ended.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn next_chunk(&mut self) -> Result<Option<ChatChunk>> {
        let Some(lines) = &mut self.lines else {
            return Ok(None);
        };
        let invalid = |message: String| Error::InvalidResponse {
            url: self.url.clone(),
            message,
        };
        loop {
            let Some(event) = next_event(lines).map_err(|error| Error::Transport {
                url: self.url.clone(),
                kind: TransportKind::Disconnected,
                message: error.to_string(),
                unsent: false,
            })?
            else {
                return Err(invalid("the stream ended without [DONE]".to_owned()));
            };
            if event == "[DONE]" {
                return Ok(None);
            }
            let chunk: Value =
                serde_json::from_str(&event).map_err(|error| invalid(error.to_string()))?;
            // Some servers put it in every piece, as null.
            if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
                let message = error.get("message").and_then(Value::as_str);
                return Err(invalid(
                    message.unwrap_or("an error in the stream").to_owned(),
                ));
            }
            self.usage = usage(&chunk).or(self.usage);
            let choices = chunk.get("choices").and_then(Value::as_array);
            // The last chunk has the usage and nothing else.
            if choices.is_none_or(|choices| !choices.is_empty()) {
                return Ok(Some(ChatChunk(chunk)));
            }
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

/// The data of the next server-sent event: its `data:` lines, joined. Comments and other fields
/// are passed over. `None` at the end.
fn next_event(lines: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut data: Option<String> = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() && (data.is_some() || read == 0) {
            return Ok(data);
        }
        if let Some(value) = text.strip_prefix("data:") {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => data = Some(value.to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<String> {
        let mut lines = text.as_bytes();
        std::iter::from_fn(|| next_event(&mut lines).unwrap()).collect()
    }

    #[test]
    fn events_are_read_in_every_form_that_the_standard_allows() {
        let table: [(&str, &[&str]); 7] = [
            ("data: a\n\ndata: b\n\n", &["a", "b"]),
            ("data:a\r\n\r\ndata:  b\r\n\r\n", &["a", " b"]),
            (": comment\n\nevent: x\nid: 1\ndata: a\n\n", &["a"]),
            ("data: a\ndata: b\n\n", &["a\nb"]),
            ("data: cut off", &["cut off"]),
            ("\n\n\n", &[]),
            ("", &[]),
        ];
        for (step, (text, expected)) in table.into_iter().enumerate() {
            assert_eq!(events(text), expected, "step {step}");
        }
    }
}
