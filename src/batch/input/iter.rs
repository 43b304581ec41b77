//! Requests that a program makes, as lines that are read.

use std::io::{self, Read};

use serde::Serialize;
use serde_json::Value;

use super::Input;
use crate::ChatRequest;

/// One request of a run that a program makes, for [`Input::from_requests`].
///
/// ```
/// use paceline::ChatRequest;
/// use paceline::batch::RequestLine;
/// use serde_json::json;
///
/// let request = ChatRequest::from("Give a title to: Call me Ishmael.").model("gpt-4o-mini");
/// let chat = RequestLine::chat("row-1", request);
/// let other = RequestLine::new("row-2", "/v1/embeddings", json!({"model": "m", "input": "a river"}));
/// # let _ = (chat, other);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[must_use]
pub struct RequestLine {
    custom_id: String,
    method: &'static str,
    url: String,
    body: Value,
}

impl RequestLine {
    /// A request of any endpoint, by its path, with its body. `custom_id` names its line in the
    /// results and must be unique in the run.
    pub fn new(custom_id: impl Into<String>, path: impl Into<String>, body: Value) -> Self {
        Self {
            custom_id: custom_id.into(),
            method: "POST",
            url: path.into(),
            body,
        }
    }

    /// A chat request. It should name its model: a run sends bodies as they are.
    pub fn chat(custom_id: impl Into<String>, request: impl Into<ChatRequest>) -> Self {
        let body = serde_json::to_value(request.into()).unwrap_or_default(); // maps and texts: always JSON
        Self::new(custom_id, "/v1/chat/completions", body)
    }
}

impl Input {
    /// Takes requests from any iterator, one by one as the run proceeds. Messages call it `name`. An
    /// iterator can be read once, so the run does not know its length.
    ///
    /// ```
    /// use paceline::ChatRequest;
    /// use paceline::batch::{Input, RequestLine};
    ///
    /// let texts = ["Call me Ishmael.", "It was the best of times."];
    /// let requests = texts.into_iter().enumerate().map(|(row, text)| {
    ///     let request = ChatRequest::from(format!("Give a title to: {text}"));
    ///     RequestLine::chat(format!("row-{row}"), request.model("gpt-4o-mini"))
    /// });
    /// let input = Input::from_requests("openings", requests);
    /// # let _ = input;
    /// ```
    pub fn from_requests<I>(name: impl Into<String>, requests: I) -> Self
    where
        I: IntoIterator<Item = RequestLine, IntoIter: Send + 'static>,
    {
        let lines = Lines {
            requests: requests.into_iter(),
            line: Vec::new(),
            at: 0,
        };
        Self::reader(name, lines)
    }
}

/// Requests written as lines of the Batch format, as they are read.
struct Lines<I> {
    requests: I,
    line: Vec<u8>,
    at: usize,
}

impl<I: Iterator<Item = RequestLine>> Read for Lines<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.line.len() {
            let Some(request) = self.requests.next() else {
                return Ok(0);
            };
            self.line.clear();
            self.at = 0;
            serde_json::to_writer(&mut self.line, &request)?;
            self.line.push(b'\n');
        }
        let count = buffer.len().min(self.line.len() - self.at);
        buffer[..count].copy_from_slice(&self.line[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;

    use super::*;

    #[test]
    fn each_request_is_one_line_however_little_is_read_at_once() {
        let requests = (0..3).map(|row| RequestLine::chat(format!("{row}"), "a\nb"));
        let lines = Lines {
            requests,
            line: Vec::new(),
            at: 0,
        };
        let lines = io::BufReader::with_capacity(3, lines).lines();
        let lines: Vec<String> = lines.collect::<io::Result<_>>().unwrap();
        assert_eq!(lines.len(), 3);
        let second: Value = serde_json::from_str(&lines[1]).unwrap();
        assert_eq!(second["custom_id"], "1");
        assert_eq!(second["method"], "POST");
        assert_eq!(second["url"], "/v1/chat/completions");
        assert_eq!(second["body"]["messages"][0]["content"], "a\nb");
    }
}
