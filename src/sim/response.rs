//! Writing answers: each is put together whole, and written at once.

use serde_json::Value;

use crate::http::reason;

/// An answer, before it is known which connection it goes to.
#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) status: u16,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Whole(Vec<u8>),
    /// Server-sent events; each becomes a chunk of its own.
    Events(Vec<String>),
}

/// A server-sent event, as it goes over the wire.
#[derive(Debug, Clone)]
pub(super) struct Event(String);

impl Event {
    fn unnamed(data: &Value) -> Self {
        Self(format!("data: {data}\n\n"))
    }

    pub(super) fn named(name: &str, data: &Value) -> Self {
        Self(format!("event: {name}\ndata: {data}\n\n"))
    }
}

impl Response {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", "application/json".to_owned())],
            body: Body::Whole(body.to_string().into_bytes()),
        }
    }

    /// A stream of events, each given as its data, and `[DONE]` after the last.
    pub(super) fn events(data: impl IntoIterator<Item = Value>) -> Self {
        let events = data.into_iter().map(|data| Event::unnamed(&data));
        let done = Event("data: [DONE]\n\n".to_owned());
        Self::named_events(events.chain([done]))
    }

    /// A stream of events, and nothing after the last.
    pub(super) fn named_events(events: impl IntoIterator<Item = Event>) -> Self {
        let kind = "text/event-stream; charset=utf-8".to_owned();
        Self {
            status: 200,
            headers: vec![("Content-Type", kind)],
            body: Body::Events(events.into_iter().map(|event| event.0).collect()),
        }
    }

    pub(super) fn header(&mut self, name: &'static str, value: String) {
        self.headers.push((name, value));
    }

    /// Ends the body in the middle of its JSON, or in the middle of its middle event.
    pub(super) fn truncate(&mut self) {
        match &mut self.body {
            Body::Whole(whole) => whole.truncate(whole.len() / 2),
            Body::Events(events) => {
                events.truncate(events.len() / 2 + 1);
                if let Some(last) = events.last_mut() {
                    let half = last.len() / 2;
                    let half = (half..).find(|&at| last.is_char_boundary(at));
                    last.truncate(half.unwrap_or(0));
                    // The end of an event, so that a reader sees it and its wrong JSON.
                    last.push_str("\n\n");
                }
            }
        }
    }

    /// The answer up to the middle of its body, as it goes over the wire.
    pub(super) fn to_half(&self, http_10: bool) -> Vec<u8> {
        let mut bytes = self.to_bytes(false, false, http_10);
        let head = self.to_bytes(false, true, http_10).len();
        bytes.truncate(head + bytes.len().saturating_sub(head) / 2);
        bytes
    }

    /// The answer as it goes over the wire. HEAD gets no body, HTTP/1.0 no chunks.
    pub(super) fn to_bytes(&self, keep_alive: bool, head: bool, http_10: bool) -> Vec<u8> {
        let reason = reason(self.status);
        let mut text = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let connection = if keep_alive { "keep-alive" } else { "close" };
        text.push_str(&format!("Connection: {connection}\r\n"));

        let whole = match &self.body {
            Body::Events(events) if !http_10 => {
                text.push_str("Transfer-Encoding: chunked\r\n\r\n");
                if !head {
                    for event in events {
                        text.push_str(&format!("{:x}\r\n{event}\r\n", event.len()));
                    }
                    text.push_str("0\r\n\r\n");
                }
                return text.into_bytes();
            }
            Body::Events(events) => &events.concat().into_bytes(),
            Body::Whole(whole) => whole,
        };
        text.push_str(&format!("Content-Length: {}\r\n\r\n", whole.len()));
        let mut bytes = text.into_bytes();
        if !head {
            bytes.extend_from_slice(whole);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(response: &Response, keep_alive: bool, head: bool, http_10: bool) -> String {
        String::from_utf8(response.to_bytes(keep_alive, head, http_10)).unwrap()
    }

    #[test]
    fn a_whole_body_has_its_length() {
        let mut response = Response::json(429, &json!({"a": "é"}));
        response.header("retry-after", "2".to_owned());
        let expected = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n\
                        retry-after: 2\r\nConnection: close\r\nContent-Length: 10\r\n\r\n";
        assert_eq!(text(&response, false, true, false), expected);
        let expected = format!("{expected}{{\"a\":\"é\"}}");
        assert_eq!(text(&response, false, false, false), expected);
    }

    #[test]
    fn events_are_chunks_but_not_for_http_1_0() {
        let response = Response::events([json!({"a": 1})]);
        let chunked = text(&response, true, false, false);
        let body = "f\r\ndata: {\"a\":1}\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
        assert!(chunked.ends_with(body), "{chunked:?}");
        let whole = text(&response, true, false, true);
        let body = "Content-Length: 29\r\n\r\ndata: {\"a\":1}\n\ndata: [DONE]\n\n";
        assert!(whole.ends_with(body), "{whole:?}");
    }

    #[test]
    fn what_is_truncated_is_well_framed_and_wrong_json() {
        let mut whole = Response::json(200, &json!({"a": "b"}));
        whole.truncate();
        let whole = text(&whole, true, false, false);
        assert!(
            whole.ends_with("Content-Length: 4\r\n\r\n{\"a\""),
            "{whole:?}"
        );

        let mut stream = Response::events([json!({"a": 1}), json!({"é": 2})]);
        stream.truncate();
        let stream = text(&stream, true, false, true);
        let body = "\r\n\r\ndata: {\"a\":1}\n\ndata: {\"\n\n";
        assert!(stream.ends_with(body), "{stream:?}");
    }

    #[test]
    fn half_an_answer_has_its_head_and_its_true_length() {
        let half = Response::json(200, &json!({"a": "b"})).to_half(false);
        let half = String::from_utf8(half).unwrap();
        assert!(
            half.ends_with("Content-Length: 9\r\n\r\n{\"a\""),
            "{half:?}"
        );
    }
}
