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

#[cfg(all(test, feature = "tokens"))]
mod tests {
    use crate::{Error, LimitTable};

    #[test]
    fn a_mistake_in_a_file_has_its_path_its_line_and_its_key() {
        let table = [
            ("[default]\ntpm = 'x'", Some(2), Some("tpm")),
            ("[default]\ntpm = 0", None, Some("default.tpm")),
            (
                "[models.\"gpt-4.1\"]\nin_flight = 0",
                None,
                Some("models.\"gpt-4.1\".in_flight"),
            ),
            ("[models.x]", None, Some("models.\"x\"")),
            ("burst_seconds = 0", None, Some("burst_seconds")),
            ("[default", Some(1), None),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("limits.toml");
        for (text, line, key) in table {
            std::fs::write(&path, text).unwrap();
            let error = LimitTable::from_file(&path).unwrap_err();
            let Error::File(file) = error else {
                panic!("{text}: {error:?}");
            };
            assert_eq!(file.path, path);
            assert_eq!((file.line, file.key.as_deref()), (line, key), "{text}");
        }
        std::fs::remove_file(&path).unwrap();
        let error = LimitTable::from_file(&path).unwrap_err();
        assert!(matches!(error, Error::File(file) if file.path == path && file.line.is_none()));
    }
}
