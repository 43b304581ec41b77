//! Heads of responses.

/// How a response's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyEnd {
    Length(usize),
    Chunks,
    /// With the connection: for HTTP/1.0, which has no chunks.
    Close,
    /// It has none.
    Nothing,
}

/// The head of a response, as it goes over the wire. What would end a line within a header is left out with
/// the header: it would begin another one.
pub(super) fn head<'a>(
    status: u16,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    end: BodyEnd,
    keep_alive: bool,
) -> Vec<u8> {
    let mut text = String::with_capacity(512);
    text.push_str("HTTP/1.1 ");
    text.push_str(&status.to_string());
    text.push(' ');
    text.push_str(reason(status));
    text.push_str("\r\n");
    for (name, value) in headers {
        if value.contains(['\r', '\n', '\0']) || name.contains(['\r', '\n', '\0', ':']) {
            continue;
        }
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    text.push_str(match keep_alive {
        true => "Connection: keep-alive\r\n",
        false => "Connection: close\r\n",
    });
    match end {
        BodyEnd::Length(length) => {
            text.push_str("Content-Length: ");
            text.push_str(&length.to_string());
            text.push_str("\r\n");
        }
        BodyEnd::Chunks => text.push_str("Transfer-Encoding: chunked\r\n"),
        BodyEnd::Close | BodyEnd::Nothing => {}
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// The words for a status. A client goes by the number.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        499 => "Client Closed Request",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        529 => "Overloaded",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_cannot_end_its_line() {
        let headers = [("a", "1\r\nb: 2"), ("c\n", "3"), ("d", "4")];
        let bytes = head(204, headers.into_iter(), BodyEnd::Nothing, true);
        let expected = "HTTP/1.1 204 No Content\r\nd: 4\r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
