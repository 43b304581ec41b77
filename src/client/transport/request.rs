//! The head of a request as bytes, pure.

use http::HeaderMap;

use super::bounds::Bounds;
use super::problem::Problem;

const USER_AGENT: &str = concat!("paceline/", env!("CARGO_PKG_VERSION"));

/// The headers of every request, in bytes.
pub(super) fn constant(host: &str, headers: &HeaderMap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    push(&mut bytes, "host", host.as_bytes());
    if !headers.contains_key(http::header::USER_AGENT) {
        push(&mut bytes, "user-agent", USER_AGENT.as_bytes());
    }
    if !headers.contains_key(http::header::ACCEPT) {
        push(&mut bytes, "accept", b"*/*");
    }
    for (name, value) in headers {
        if !is_ours(name.as_str()) {
            push(&mut bytes, name.as_str(), value.as_bytes());
        }
    }
    bytes
}

/// Headers that say how the request is framed and where it goes.
fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "host" | "content-length" | "transfer-encoding" | "connection" | "expect" | "upgrade"
    )
}

/// One request to send.
#[derive(Clone, Copy)]
pub(in crate::client) struct Outgoing<'a> {
    pub(in crate::client) method: &'static str,
    pub(in crate::client) path: &'a str,
    pub(in crate::client) body: &'a [u8],
    /// Headers beside those of every request, and in place of those of the same name.
    pub(in crate::client) headers: Option<&'a HeaderMap>,
    pub(in crate::client) bounds: Bounds<'a>,
}

impl Outgoing<'_> {
    /// The headers of this request in bytes, where they are not those of every request.
    pub(super) fn constant(&self, host: &str, always: &HeaderMap) -> Option<Vec<u8>> {
        self.headers.filter(|headers| !headers.is_empty())?;
        Some(constant(host, &self.headers(always)))
    }

    /// The headers of every request with its own.
    pub(super) fn headers(&self, always: &HeaderMap) -> HeaderMap {
        let mut all = always.clone();
        for (name, value) in self.headers.into_iter().flatten() {
            all.insert(name, value.clone());
        }
        all
    }
}

/// The head of a request with a body of `length` bytes.
pub(super) fn head(
    method: &str,
    target: &str,
    constant: &[u8],
    length: usize,
) -> Result<Vec<u8>, Problem> {
    let is_plain = |byte: u8| (0x21..0x7f).contains(&byte);
    if !target.starts_with('/') || !target.bytes().all(is_plain) {
        return Err(Problem::BadRequest("the path is no part of a URL"));
    }
    let length = length.to_string();
    let mut bytes = Vec::with_capacity(64 + target.len() + constant.len());
    bytes.extend_from_slice(method.as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(target.as_bytes());
    bytes.extend_from_slice(b" HTTP/1.1\r\n");
    bytes.extend_from_slice(constant);
    // What has no body need not say so, but for a POST.
    if length != "0" || method == "POST" {
        push(&mut bytes, "content-length", length.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    Ok(bytes)
}

pub(super) fn push(bytes: &mut Vec<u8>, name: &str, value: &[u8]) {
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_head_is_written_and_a_path_cannot_add_to_it() {
        let mut headers = HeaderMap::new();
        headers.insert("x-y", HeaderValue::from_static("z"));
        headers.insert("content-length", HeaderValue::from_static("7"));
        let constant = constant("h:80", &headers);
        let head = String::from_utf8(head("POST", "/v1/x?y=1", &constant, 3).unwrap()).unwrap();
        let agent = format!("user-agent: {USER_AGENT}");
        let lines: Vec<&str> = head.split("\r\n").collect();
        let expected = [
            "POST /v1/x?y=1 HTTP/1.1",
            "host: h:80",
            &agent,
            "accept: */*",
            "x-y: z",
            "content-length: 3",
            "",
            "",
        ];
        assert_eq!(lines, expected);
        let get = String::from_utf8(super::head("GET", "/v1/x", &constant, 0).unwrap()).unwrap();
        assert!(get.starts_with("GET /v1/x HTTP/1.1\r\n"), "{get}");
        assert!(!get.contains("content-length"), "{get}");
        for target in ["", "v1", "/a b", "/a\r\nx: y", "/\u{e9}", "/\0"] {
            super::head("POST", target, &constant, 0).unwrap_err();
        }
    }
}
