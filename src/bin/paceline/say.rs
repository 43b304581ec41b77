//! Words for people on standard error, and results on standard output. Neither ever panics: one
//! without a reader, such as a closed pipe, ends no run.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use console::Term;
use indicatif::MultiProgress;
use paceline::{Error, Result};
use parking_lot::Mutex;
use serde_json::json;

use crate::args::LogFormat;
use crate::{mask, plain, utc};

/// What a message is, which decides whether `--quiet` leaves it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Where things stand, and what came of them.
    Info,
    /// What is wrong and does not end the command.
    Warning,
    /// What ends it.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// How messages are written, by the flags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) format: LogFormat,
    pub(crate) is_quiet: bool,
}

/// Set once, when the flags are known.
static STYLE: OnceLock<Style> = OnceLock::new();

/// Sets how messages are written. Before that they are text, and all are.
pub(crate) fn set_style(style: Style) {
    let _ = STYLE.set(style);
}

/// True where a program reads the messages, so that there is no live display.
pub(crate) fn is_json() -> bool {
    STYLE
        .get()
        .is_some_and(|style| style.format == LogFormat::Json)
}

/// True where only warnings and errors are written.
pub(crate) fn is_quiet() -> bool {
    STYLE.get().is_some_and(|style| style.is_quiet)
}

/// The live display, above which lines have to go.
static DISPLAY: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Sets what stands at the bottom of the terminal.
pub(crate) fn above(display: Option<MultiProgress>) {
    *DISPLAY.lock() = display;
}

/// The longest line on standard error, in characters: above any that is meant to be read.
const LONGEST: usize = 2_000;

/// A message on standard error.
pub(crate) fn line(level: Level, text: fmt::Arguments<'_>) {
    if is_quiet() && level == Level::Info {
        return;
    }
    let text = text.to_string();
    let text = mask::keys(&text);
    let text = plain::line(&text);
    let text = plain::cut(&text, LONGEST);
    if is_json() {
        let message = text.strip_prefix("paceline: ").unwrap_or(&text);
        let message = message.strip_prefix("warning: ").unwrap_or(message);
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let time = utc::timestamp(utc::now());
        let line = json!({ "time": time, "level": level.name(), "message": message });
        let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
        return;
    }
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

/// A message on standard error, as with `format!`: where things stand.
macro_rules! say {
    ($($text:tt)*) => { $crate::say::line($crate::say::Level::Info, format_args!($($text)*)) };
}
pub(crate) use say;

/// The same for what is wrong and does not end the command.
macro_rules! warning {
    ($($text:tt)*) => { $crate::say::line($crate::say::Level::Warning, format_args!($($text)*)) };
}
pub(crate) use warning;

/// The same for what ends it.
macro_rules! error {
    ($($text:tt)*) => { $crate::say::line($crate::say::Level::Error, format_args!($($text)*)) };
}
pub(crate) use error;
