//! What an input turned out to hold.

/// What an [input](crate::Error::Input) looks like that was read as something else.
///
/// ```
/// use paceline::{Error, InputKind};
///
/// fn advice(error: &Error) -> Option<&'static str> {
///     match error {
///         Error::Input { looks_like: Some(InputKind::Table), .. } => Some("read it as a table"),
///         _ => None,
///     }
/// }
/// # assert_eq!(advice(&Error::Closed), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputKind {
    /// Requests in the Batch format, read as rows for a prompt.
    Requests,
    /// Rows, one JSON object a line, read as requests.
    Rows,
    /// A table of delimited columns with a header, read as JSON.
    Table,
    /// Plain text, read as JSON.
    Text,
}
