//! The first lines of an input.

use crossbeam_channel::{bounded, select};

use crate::Result;
use crate::batch::input::Input;
use crate::batch::wait::{StopSignal, panicked, start};
use crate::limiter::CancelToken;

/// Reads the first lines of an input, which fails when it is refused as a whole. From a pipe that
/// says nothing a stop returns at once, with nothing to read; the thread that reads stays behind.
pub(in crate::batch) fn begin(mut input: Input, stop: &CancelToken) -> Result<Input> {
    if input.is_file() {
        return Ok(input); // it was looked at when it was opened
    }
    let name = input.name().to_owned();
    let (told, begun) = bounded(1);
    let stop_signal = StopSignal::on(stop);
    start("paceline-begin", move || {
        let checked = input.check();
        // The receiver is gone when the run was stopped meanwhile.
        let _ = told.send(checked.map(|()| input));
    })?;
    select! {
        recv(begun) -> begun => begun.map_err(|_| panicked("reads"))?,
        recv(stop_signal.stopped) -> _ => Ok(Input::reader(name, std::io::empty())),
    }
}
