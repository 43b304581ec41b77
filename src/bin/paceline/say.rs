//! Words for people on standard error, and results on standard output. Neither ever panics: one
//! that nobody reads, such as a closed pipe, ends no run.

use std::fmt;
use std::io::{self, Write};

use console::Term;
use indicatif::MultiProgress;
use paceline::{Error, Result};
use parking_lot::Mutex;

use crate::plain;

/// The live display, above which lines have to go.
static DISPLAY: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Sets what stands at the bottom of the terminal.
pub(crate) fn above(display: Option<MultiProgress>) {
    *DISPLAY.lock() = display;
}

/// A line on standard error.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let shown = DISPLAY.lock();
    let _ = match &*shown {
        Some(display) => display.println(plain::line(&text.to_string())),
        // One write a line, so that those of other programs do not come between.
        None => {
            let text = text.to_string();
            io::stderr().write_all(format!("{}\n", plain::line(&text)).as_bytes())
        }
    };
}

/// How many characters a line of the terminal has, where standard error is one.
pub(crate) fn width() -> Option<usize> {
    let (_, columns) = Term::stderr().size_checked()?;
    Some(usize::from(columns))
}

/// What was asked for, on standard output, for people: lines without control characters.
///
/// # Errors
///
/// [`Error::Io`], but not when the reader has seen enough and gone.
pub(crate) fn result(text: &str) -> Result<()> {
    data(&plain::lines(text))
}

/// What was asked for, on standard output, for programs: exactly this.
///
/// # Errors
///
/// Those of [`result`].
pub(crate) fn data(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    match written.and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => Err(Error::Io {
            path: "standard output".into(),
            source,
        }),
        _ => Ok(()),
    }
}

/// A line on standard error, as with `format!`.
macro_rules! say {
    ($($text:tt)*) => { $crate::say::line(format_args!($($text)*)) };
}
pub(crate) use say;
