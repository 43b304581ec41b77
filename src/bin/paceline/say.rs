//! Words for people on standard error, and results on standard output. Neither ever panics: one
//! that nobody reads, such as a closed pipe, ends no run.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use console::Term;
use indicatif::MultiProgress;
use paceline::{Error, Result};
use parking_lot::Mutex;

use crate::{mask, plain};

/// The live display, above which lines have to go.
static DISPLAY: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Sets what stands at the bottom of the terminal.
pub(crate) fn above(display: Option<MultiProgress>) {
    *DISPLAY.lock() = display;
}

/// The longest line on standard error, in characters: above any that is meant to be read.
const LONGEST: usize = 2_000;

/// A line on standard error.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let text = text.to_string();
    let text = mask::keys(&text);
    let text = plain::line(&text);
    let text = plain::cut(&text, LONGEST);
    let shown = DISPLAY.lock();
    let _ = match &*shown {
        Some(display) => display.println(text),
        // One write a line, so that those of other programs do not come between.
        None => io::stderr().write_all(format!("{text}\n").as_bytes()),
    };
}

/// Several lines on standard error.
pub(crate) fn text(text: &str) {
    let _ = io::stderr().write_all(plain::lines(text).as_bytes());
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
    print(&plain::lines(text))
}

/// What was asked for, on standard output, for programs: JSON or TOML, exactly this. On a terminal
/// control characters are escaped, as both allow.
///
/// # Errors
///
/// Those of [`result`].
pub(crate) fn data(text: &str) -> Result<()> {
    match io::stdout().is_terminal() {
        true => print(&plain::escaped(text)),
        false => print(text),
    }
}

fn print(text: &str) -> Result<()> {
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
