//! A file of settings that cannot be used.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// A file of settings (limits, providers, models, prices) that could not be read or understood.
///
/// ```
/// use paceline::Error;
///
/// fn explain(error: &Error) -> String {
///     match error {
///         Error::File(file) => format!("look at line {:?} of {}", file.line, file.path.display()),
///         other => other.to_string(),
///     }
/// }
/// # assert_eq!(explain(&Error::Closed), "the limiter is closed");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileError {
    /// What it is to be, such as `limits file`.
    pub what: &'static str,
    /// The file as it was named.
    pub path: PathBuf,
    /// The line of what is wrong, from 1, where it is one line's.
    pub line: Option<usize>,
    /// The key of what is wrong, where there is one.
    pub key: Option<String>,
    /// Where in the file, what is wrong, and what would be right.
    pub reason: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what, path, reason, ..
        } = self;
        write!(f, "{what} {}: {reason}", path.display())
    }
}

impl Error for FileError {}
