//! Ctrl-C, SIGTERM and SIGHUP.

use std::io;
use std::thread::Builder;

use crate::exit::Exit;

/// What asks the command to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT or SIGHUP.
    Interrupt,
    #[cfg_attr(not(unix), allow(dead_code, reason = "only Unix has it"))]
    Terminate,
}

impl Signal {
    /// The status of a run that it has ended.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }

    /// Ends the command at once.
    pub(crate) fn end(self) -> ! {
        std::process::exit(i32::from(self.exit() as u8))
    }
}

/// Keeps a limit of the size of files from ending the command: what is written beyond it fails as on a
/// full disk, and waits for room. A pipe whose reader has gone is an error for all Rust programs.
#[cfg(unix)]
pub(crate) fn outlive_limits() {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    const SIGXFSZ: i32 = rustix::process::Signal::XFSZ.as_raw();
    let nothing = Arc::new(AtomicBool::new(false));
    if let Err(error) = signal_hook::flag::register(SIGXFSZ, nothing) {
        log::info!("SIGXFSZ keeps its effect: {error}");
    }
}

#[cfg(not(unix))]
pub(crate) fn outlive_limits() {}

/// Calls `heard` at each signal that asks the command to end: SIGINT, SIGTERM, and SIGHUP unless
/// it is ignored, as under `nohup`, which promises that a run outlives its terminal.
#[cfg(unix)]
pub(crate) fn listen(mut heard: impl FnMut(Signal) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    if !is_hangup_ignored() {
        signals.add_signal(SIGHUP)?;
    }
    let thread = Builder::new().name("paceline-signals".to_owned());
    thread.spawn(move || {
        signals.forever().for_each(|signal| {
            heard(match signal {
                SIGTERM => Signal::Terminate,
                _ => Signal::Interrupt,
            });
        });
    })?;
    Ok(())
}

/// Reads it from `/proc`; on systems without `/proc` the signal keeps its usual effect.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask & 1 != 0) // signal 1 is the lowest bit
}

/// Calls `heard` at each Ctrl-C.
#[cfg(not(unix))]
pub(crate) fn listen(mut heard: impl FnMut(Signal) + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(move || heard(Signal::Interrupt)).map_err(io::Error::other)
}
