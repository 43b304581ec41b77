//! The files of a run.

use std::path::Path;
use std::time::Instant;

use crate::Result;
use crate::batch::count::cut_off::CutOff;
use crate::batch::fs::system;
use crate::batch::ids::Ids;
use crate::batch::input::Input;
use crate::batch::read::changed;
use crate::batch::write::journal::{Earlier, Journal, Names, Resume};
use crate::batch::write::names::OutputNames;
use crate::limiter::CancelToken;

/// Opens the outputs of a run over `input`, and compares what they hold with it.
pub(super) fn open(
    input: Input,
    outputs: &OutputNames,
    resume: Resume,
    stop: &CancelToken,
    deadline: Option<Instant>,
) -> Result<(Input, Ids, CutOff, Journal)> {
    let (name, path) = (input.name().to_owned(), input.path());
    let path = path.map(Path::to_owned);
    let disk = system();
    let names = Names {
        disk: &disk,
        input: (&name, path.as_deref()),
        results: &outputs.results,
        errors: &outputs.errors,
        simulated: outputs.simulated,
    };
    let (mut earlier, ids) = Earlier::open(names, resume)?;
    let cut_off = std::mem::take(&mut earlier.cut_off);
    let answers = earlier.answers;
    let (input, mut ids) = compare(input, ids, answers, &outputs.results, stop, deadline)?;
    let journal = earlier.begin(names, resume, &mut ids)?;
    Ok((input, ids, cut_off, journal))
}

/// Ends a run before it begins when most of its results are of other requests.
pub(super) fn compare(
    input: Input,
    ids: Ids,
    answers: u64,
    results: &Path,
    stop: &CancelToken,
    deadline: Option<Instant>,
) -> Result<(Input, Ids)> {
    let (input, ids, compared) = changed::compare(input, ids, answers, stop, deadline)?;
    match compared.is_of_others() {
        true => Err(changed::error(&input, results, compared)),
        false => Ok((input, ids)),
    }
}
