//! Whether the results of earlier runs are of this input's requests at all.
//!
//! When a prompt, a model or a setting changes, so do all requests, under ids that have results. Then
//! nothing may be sent and nothing written: which of both is meant, only the user knows. That is known
//! before the run begins, by reading the input once more: as far as half of the results, at
//! most, when they are its own.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{at, bounded, never, select};

use crate::batch::ids::Ids;
use crate::batch::input::{Input, Plain, Records};
use crate::batch::wait::{StopSignal, panicked, start};
use crate::limiter::CancelToken;
use crate::{Error, Result};

/// Results of the ids of an input, as far as they were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::batch) struct Compared {
    /// Of the requests of the input.
    pub(in crate::batch) same: u64,
    /// Of others.
    pub(in crate::batch) others: u64,
}

impl Compared {
    /// True when most are of other requests.
    pub(in crate::batch) fn is_of_others(self) -> bool {
        self.others > self.same
    }
}

/// Compares the requests of an input with the `answers` that `ids` know of. Whatever was read of it
/// can be read again.
///
/// # Errors
///
/// When a thread cannot be started, or what comes once cannot be kept on the disk.
pub(in crate::batch) fn compare(
    mut input: Input,
    mut ids: Ids,
    answers: u64,
    stop: &CancelToken,
    deadline: Option<Instant>,
) -> Result<(Input, Ids, Compared)> {
    if answers == 0 {
        return Ok((input, ids, Compared::default()));
    }
    let token = stop.clone();
    if input.is_file() {
        let compared = input.look_through(|records| tally(records, &mut ids, answers, &token))?;
        return Ok((input, ids, compared));
    }
    // On a thread of its own: a pipe may say nothing, and the run be stopped meanwhile.
    let (done, result) = bounded(1);
    let stop_signal = StopSignal::on(stop);
    let name = input.name().to_owned();
    start("paceline-compare", move || {
        let compared = input.look_through(|records| tally(records, &mut ids, answers, &token));
        let _ = done.send(compared.map(|compared| (input, ids, compared)));
    })?;
    let time_is_up = deadline.map_or_else(never, at);
    select! {
        recv(result) -> result => return result.map_err(|_| panicked("compares"))?,
        recv(time_is_up) -> _ => {}
        recv(stop_signal.stopped) -> _ => {}
    }
    // The run ends, and reads nothing more.
    let nothing = Input::reader(name, UntilStopped(stop_signal));
    Ok((nothing, Ids::default(), Compared::default()))
}

/// Says nothing until the run is stopped.
struct UntilStopped(Arc<StopSignal>);

impl Read for UntilStopped {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        let _ = self.0.stopped.recv(); // disconnected then
        Ok(0)
    }
}

/// Counts until it is known whether most are of other requests. Those of which most are not are
/// counted to the end, to say how many they are.
fn tally(records: &mut Records, ids: &mut Ids, answers: u64, stop: &CancelToken) -> Compared {
    let mut compared = Compared::default();
    let mut buffer = Vec::new();
    // What cannot be read is said by the run.
    while !stop.is_cancelled() && records.advance().unwrap_or(false) {
        let Some(is_same) = is_same(records, ids, &mut buffer) else {
            continue;
        };
        match is_same {
            true => compared.same += 1,
            false => compared.others += 1,
        }
        if compared.same >= answers.div_ceil(2) {
            break;
        }
    }
    compared
}

/// Whether a line's result is of its own request. `None` without one, and of a line that is no request.
fn is_same(records: &Records, ids: &mut Ids, buffer: &mut Vec<u8>) -> Option<bool> {
    let mut of = None;
    if let Some(Plain { id, print }) = records.plain(buffer) {
        of = Some(ids.see(id)?);
        if of == Some(print) {
            return Some(true);
        }
    }
    let draft = records.draft().ok()?;
    let of = of.or_else(|| ids.see(&draft.id))?;
    Some(draft.request.ok()?.fingerprint() == of)
}

/// What is wrong when most results are of other requests.
pub(in crate::batch) fn error(input: &Input, file: &std::path::Path, compared: Compared) -> Error {
    Error::OtherAnswers {
        file: file.to_owned(),
        others: compared.others,
        same: compared.same,
        by_position: input.has_ids_by_position(),
    }
}
