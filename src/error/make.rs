//! Errors made by hand: by transports of others, and in tests.

#[cfg(any(feature = "providers", feature = "tokens"))]
use super::FileError;
use super::{ApiError, ConfigError, Error, ErrorKind, TransportKind};

impl Error {
    /// The error that a setting cannot be used, with the whole message for a person: see [`ConfigError`].
    ///
    /// ```
    /// use paceline::Error;
    ///
    /// let error = Error::config("model", "model: no name; set one, such as gpt-4.1-mini");
    /// assert!(matches!(&error, Error::Config(mistake) if mistake.field == "model"));
    /// ```
    #[must_use]
    pub fn config(field: impl Into<String>, message: impl Into<String>) -> Self {
        ConfigError::new(field, message).into()
    }

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
        parse(&text).map_err(|error| match error {
            Self::Config(error) => {
                let ConfigError {
                    field,
                    line,
                    message,
                    ..
                } = *error;
                wrong(line, Some(field).filter(|it| !it.is_empty()), message)
            }
            other => wrong(None, None, other.to_string()),
        })
    }
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
