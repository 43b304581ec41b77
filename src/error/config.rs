//! A setting that cannot be used.

use std::error::Error as StdError;
use std::fmt;

use super::Error;

/// A setting that cannot be used: a limit of 0, an invalid base URL, a missing key. Nothing was sent.
///
/// Its `Display` is the whole message for a person: what is wrong, where, and what to do. The other fields
/// are for programs that show the mistake beside the setting.
///
/// ```
/// use paceline::{Error, Limits};
///
/// let error = Limits::builder().tokens_per_minute(0).build().unwrap_err();
/// let Error::Config(mistake) = error else { panic!("{error}") };
/// assert_eq!(mistake.field, "tokens per minute");
/// assert_eq!(mistake.value.as_deref(), Some("0"));
/// assert!(mistake.message.ends_with("leave it out for no limit"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The setting: what it sets (`base URL`), a key of a file (`default.tpm`), or an environment variable.
    pub field: String,
    /// The value that was given. `None` where there is none, and where it may be a secret.
    pub value: Option<String>,
    /// The line of a text of settings, from 1, where it is one line's.
    pub line: Option<usize>,
    /// What is wrong, where, and what to do.
    pub message: String,
}

impl ConfigError {
    /// A mistake in the setting `field`, with the whole message for a person.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            value: None,
            line: None,
            message: message.into(),
        }
    }

    /// The same with the value that was given. Leave it out where it may be a secret.
    #[must_use]
    pub fn with_value(mut self, value: impl fmt::Display) -> Self {
        self.value = Some(value.to_string());
        self
    }

    /// The same with the line of the text that it was read from, from 1.
    #[must_use]
    pub fn with_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for ConfigError {}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(Box::new(error))
    }
}
