//! A flag that cannot be used, as an error of the library.

use paceline::Error;

/// The error that a flag cannot be used, with the message for the screen, which begins with the flag where
/// there is one.
pub(crate) fn mistake(message: impl Into<String>) -> Error {
    let message = message.into();
    let first = message.split([' ', ':', '=']).next().unwrap_or_default();
    let flag = first.strip_prefix("--").map_or("", |_| first).to_owned();
    Error::config(flag, message)
}
