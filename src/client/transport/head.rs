//! The head of a response, and what it says of the body: pure.

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::{EMPTY_HEADER, ParserConfig, Response, Status};

use super::problem::Problem;

/// The longest head that is read, in bytes: servers and proxies in use send at most 16 kB.
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// The most headers that are read.
const MAX_HEADERS: usize = 256;
/// As many as nearly all responses have.
const USUAL_HEADERS: usize = 48;

/// A head that has arrived.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    /// Whether the connection can carry another request.
    pub(super) keeps_alive: bool,
}

/// What marks the end of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    /// By the end of the connection.
    Close,
}

/// Reads a head, and returns its length; none if it is not whole yet.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(usize, Head)>, Problem> {
    match parse(bytes, USUAL_HEADERS) {
        Err(httparse::Error::TooManyHeaders) => parse(bytes, MAX_HEADERS),
        parsed => parsed,
    }
    .map_err(|error| Problem::NotHttp(error.to_string()))?
    .map(|(length, raw)| Ok((length, raw.understood()?)))
    .transpose()
    .and_then(|found| match found {
        None if bytes.len() >= MAX_HEAD => {
            Err(Problem::NotHttp("its head is longer than 64 kB".to_owned()))
        }
        found => Ok(found),
    })
}

struct Raw {
    status: u16,
    minor: u8,
    headers: HeaderMap,
}

#[inline(never)]
fn parse(bytes: &[u8], most: usize) -> Result<Option<(usize, Raw)>, httparse::Error> {
    let mut config = ParserConfig::default();
    // As servers in use are known to write them.
    config
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .ignore_invalid_headers_in_responses(true);
    let mut headers = vec![EMPTY_HEADER; most];
    let mut response = Response::new(&mut headers);
    let Status::Complete(length) = config.parse_response(&mut response, bytes)? else {
        return Ok(None);
    };
    let mut map = HeaderMap::with_capacity(response.headers.len());
    for header in response.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value);
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    let raw = Raw {
        status: response.code.unwrap_or_default(),
        minor: response.version.unwrap_or_default(),
        headers: map,
    };
    Ok(Some((length, raw)))
}

impl Raw {
    fn understood(self) -> Result<Head, Problem> {
        let Self {
            status,
            minor,
            headers,
        } = self;
        let says = |token: &str| {
            let values = headers.get_all(CONNECTION).iter();
            let mut tokens = values.filter_map(|value| value.to_str().ok());
            tokens.any(|value| {
                let mut tokens = value.split(',').map(str::trim);
                tokens.any(|it| it.eq_ignore_ascii_case(token))
            })
        };
        let keeps_alive = match minor {
            0 => says("keep-alive"),
            _ => true,
        } && !says("close");
        let framing = framing(status, &headers)?;
        // What has both may mean either: its body is read as the standard says, and that is the last.
        let is_ambiguous =
            headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH);
        Ok(Head {
            status,
            keeps_alive: keeps_alive && framing != Framing::Close && !is_ambiguous,
            framing,
            headers,
        })
    }
}

/// RFC 9112, section 6.3.
fn framing(status: u16, headers: &HeaderMap) -> Result<Framing, Problem> {
    if matches!(status, 100..200 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if let Some(last) = headers.get_all(TRANSFER_ENCODING).iter().next_back() {
        let last = last.to_str().unwrap_or_default();
        let last = last.rsplit(',').next().unwrap_or_default().trim();
        return Ok(match last.eq_ignore_ascii_case("chunked") {
            true => Framing::Chunked,
            false => Framing::Close,
        });
    }
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for stated in value.to_str().unwrap_or_default().split(',') {
            let stated = stated.trim();
            let is_number = stated.bytes().all(|byte| byte.is_ascii_digit());
            let number = stated.parse::<u64>().ok().filter(|_| is_number);
            match (number, length) {
                (Some(number), None) => length = Some(number),
                (Some(number), Some(before)) if number == before => {}
                _ => return Err(Problem::NotHttp(format!("content-length {stated:?}"))),
            }
        }
    }
    Ok(length.map_or(Framing::Close, Framing::Length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, framing and whether the connection can be used again.
    fn said(head: &str) -> Result<(u16, Framing, bool), String> {
        match read(head.as_bytes()) {
            Ok(Some((length, head_read))) => {
                assert_eq!(length, head.len(), "{head:?}");
                let Head {
                    status,
                    framing,
                    keeps_alive,
                    ..
                } = head_read;
                Ok((status, framing, keeps_alive))
            }
            Ok(None) => Err("partial".to_owned()),
            Err(problem) => Err(format!("{problem:?}")),
        }
    }

    #[test]
    fn the_end_of_a_body_is_found_as_the_standard_says() {
        use Framing::{Chunked, Close, Length};
        let table = [
            ("200 OK", "content-length: 5", Length(5), true),
            ("200 OK", "content-length: 5, 5", Length(5), true),
            (
                "200 OK",
                "content-length: 5\r\ncontent-length: 5",
                Length(5),
                true,
            ),
            ("200 OK", "Content-Length : 5", Length(5), true),
            ("200 OK", "transfer-encoding: chunked", Chunked, true),
            ("200 OK", "transfer-encoding: gzip, Chunked", Chunked, true),
            ("200 OK", "transfer-encoding: chunked, gzip", Close, false),
            (
                "200 OK",
                "transfer-encoding: chunked\r\ncontent-length: 5",
                Chunked,
                false,
            ),
            ("200 OK", "x: y", Close, false),
            (
                "200 OK",
                "content-length: 5\r\nconnection: x, Close",
                Length(5),
                false,
            ),
            ("204 No Content", "content-length: 5", Length(0), true),
            (
                "304 Not Modified",
                "transfer-encoding: chunked",
                Length(0),
                true,
            ),
            ("100 Continue", "x: y", Length(0), true),
            ("200", "content-length: 0", Length(0), true),
        ];
        for (status, header, framing, keeps_alive) in table {
            let head = format!("HTTP/1.1 {status}\r\n{header}\r\n\r\n");
            let number = status[..3].parse().unwrap();
            assert_eq!(said(&head), Ok((number, framing, keeps_alive)), "{head:?}");
        }
        let old = "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n";
        assert_eq!(said(&format!("{old}\r\n")), Ok((200, Length(1), false)));
        let kept = format!("{old}connection: keep-alive\r\n\r\n");
        assert_eq!(said(&kept), Ok((200, Length(1), true)));
    }

    #[test]
    fn what_is_no_head_is_refused_and_one_that_is_not_whole_awaited() {
        for length in ["-1", "+5", "5 6", "5, 6", "x", "", "18446744073709551616"] {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            assert!(said(&head).unwrap_err().contains("NotHttp"), "{head:?}");
        }
        for other in ["\x15\x03\x01\0\x02", "SSH-2.0-x\r\n", "HTTP/2 200\r\n\r\n"] {
            assert!(said(other).unwrap_err().contains("NotHttp"), "{other:?}");
        }
        for part in ["", "HTT", "HTTP/1.1 200 OK\r\nx: y\r\n"] {
            assert_eq!(said(part).unwrap_err(), "partial");
        }
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD));
        assert!(said(&long).unwrap_err().contains("64 kB"));
        let many = |count| {
            let headers = "x: y\r\n".repeat(count);
            said(&format!("HTTP/1.1 204 OK\r\n{headers}\r\n"))
        };
        assert!(many(MAX_HEADERS).is_ok());
        assert!(many(MAX_HEADERS + 1).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, start in 0_usize..3) {
            let start = ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: "][start];
            let _ = read(&[start.as_bytes(), &bytes].concat());
        }
    }
}
