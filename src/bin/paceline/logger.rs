//! The library's log, on standard error.

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::say::say;

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The wire's own log can hold what was sent.
        metadata.target().starts_with("paceline") && metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let kind = match record.level() {
                Level::Error => "error: ",
                Level::Warn => "warning: ",
                _ => "",
            };
            say!("paceline: {kind}{}", record.args());
        }
    }

    fn flush(&self) {}
}

/// Prints warnings, and with `verbose` also each retry and each file that is moved.
pub(crate) fn install(verbose: bool) {
    let level = if verbose {
        LevelFilter::Info
    } else {
        LevelFilter::Warn
    };
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level);
    }
}
