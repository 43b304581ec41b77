//! Errors made by hand: by transports of others, and in tests.

#[cfg(any(feature = "providers", feature = "tokens"))]
use super::FileError;
use super::{ApiError, Error, ErrorKind, TransportKind};

impl Error {
    /// The error that no response came. Taken as not sent where the server was
    /// [not reached](TransportKind::is_unreachable).
    ///
    /// ```
    /// use paceline::{Error, TransportKind};
    ///
    /// let error = Error::transport("http://api.test/v1", TransportKind::Timeout, "nothing within 5 s");
    /// assert!(error.is_retryable());
    /// assert_eq!(error.to_string(), "http://api.test/v1: nothing within 5 s");
    /// ```
    #[must_use]
    pub fn transport(
        url: impl Into<String>,
        kind: TransportKind,
        message: impl Into<String>,
    ) -> Self {
        Self::Transport {
            url: url.into(),
            kind,
            message: message.into(),
            unsent: kind.is_unreachable(),
            source: None,
        }
    }
}

#[cfg(any(feature = "providers", feature = "tokens"))]
impl Error {
    /// Reads a file of settings, and names the file in the error where that fails.
    pub(crate) fn in_file<T>(
        what: &'static str,
        path: &std::path::Path,
        parse: impl FnOnce(&str) -> super::Result<T>,
    ) -> super::Result<T> {
        let wrong = |line, key, reason| {
            Self::File(Box::new(FileError {
                what,
                path: path.to_owned(),
                line,
                key,
                reason,
            }))
        };
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| wrong(None, None, error.to_string()))?;
        parse(&text).map_err(|error| {
            let (line, key) = match &error {
                Self::InvalidLimit { what, reason } => place(what, reason),
                _ => (None, None),
            };
            wrong(line, key, error.to_string())
        })
    }
}

/// The line and the key that a mistake in a text is said to be in.
#[cfg(any(feature = "providers", feature = "tokens"))]
fn place(what: &str, reason: &str) -> (Option<usize>, Option<String>) {
    let is_key = |text: &str| {
        let is_part = |char: char| char.is_alphanumeric() || "_-.\"".contains(char);
        !text.is_empty() && text.chars().all(is_part)
    };
    let keyed = |text: &str| is_key(text).then(|| text.to_owned());
    let Some(rest) = what.strip_prefix("line ") else {
        return (None, keyed(what));
    };
    let number = rest.split(|char: char| !char.is_ascii_digit()).next();
    let key = reason.split_once(": ").and_then(|(key, _)| keyed(key));
    (number.and_then(|number| number.parse().ok()), key)
}

impl ApiError {
    /// The error that a server answered with, for tests of code that handles errors. The kind is that of
    /// the status alone; all other fields are empty and can be set.
    ///
    /// ```
    /// use paceline::{ApiError, Error, ErrorKind};
    ///
    /// let error = Error::from(Box::new(ApiError::new(503, "overloaded")));
    /// assert!(error.is_retryable());
    /// assert!(matches!(&error, Error::Api(api) if api.kind == ErrorKind::Overloaded));
    /// ```
    #[must_use]
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        let kind = match status {
            429 => ErrorKind::RateLimited,
            401 | 402 => ErrorKind::Account,
            403 => ErrorKind::Forbidden,
            408 | 409 | 425 | 499 => ErrorKind::Conflict,
            498 => ErrorKind::Capacity,
            503 | 529 => ErrorKind::Overloaded,
            501 | 505 | 506 | 508 | 510 => ErrorKind::Request,
            200..=299 | 500..=599 => ErrorKind::Server,
            _ => ErrorKind::Request,
        };
        Self {
            kind,
            status,
            effective_status: None,
            message: message.into(),
            error_type: None,
            code: None,
            request_id: None,
            retry_after: None,
            #[cfg(feature = "providers")]
            body: None,
        }
    }
}

#[cfg(all(test, feature = "providers"))]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_a_file_has_its_line_and_its_key() {
        let table = [
            (
                "line 3, column 7",
                "tpm: invalid type: string",
                Some(3),
                Some("tpm"),
            ),
            ("line 12, column 1", "invalid type: string", Some(12), None),
            (
                "models.\"gpt-4.1\".rpm",
                "too large",
                None,
                Some("models.\"gpt-4.1\".rpm"),
            ),
            ("the whole file", "nothing in it", None, None),
        ];
        for (what, reason, line, key) in table {
            let expected = (line, key.map(str::to_owned));
            assert_eq!(place(what, reason), expected, "{what}: {reason}");
        }
    }
}
