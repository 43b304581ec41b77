//! The output files: what is done already, and each finished line written whole.
//!
//! The results file is the journal. A failure stays in the errors file until its line is dealt with
//! anew: so a run that is killed on the way loses no reason, and one that is to leave failures
//! alone finds all of them. Meanwhile both the old and the new word on a line may stand there;
//! the old word is taken out when a run ends, or else when the next one begins.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::ids::{Ids, Known};
use super::output::{Damage, Finished, Holds, Output, STANDARD_OUTPUT};
use super::record::Record;
use super::write::Sink;
use crate::{Error, Result};

/// What to do with what the files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Resume {
    /// Files that hold something are moved aside.
    pub(super) fresh: bool,
    /// What failed is left at that.
    pub(super) keep_failed: bool,
}

/// What a run opens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    /// What messages call the input, and its path if it is a file.
    pub(super) input: (&'a str, Option<&'a Path>),
    pub(super) results: &'a Path,
    pub(super) errors: &'a Path,
    /// The run is against a simulated API.
    pub(super) simulated: bool,
}

/// The results of earlier runs, read and locked. Nothing is changed yet.
#[derive(Debug)]
pub(super) struct Earlier {
    results: Output,
    /// The file was there before.
    existed: bool,
    damage: Damage,
    /// Answers to requests that are known.
    pub(super) answers: u64,
}

/// The files of a run, open and locked.
#[derive(Debug)]
pub(super) struct Journal {
    results: Output,
    errors: Output,
    /// Where the lines of this run begin.
    began: Began,
}

#[derive(Debug, Default)]
struct Began {
    results: u64,
    errors: u64,
}

impl Earlier {
    /// Opens the results for a run, and returns what they say of each id.
    pub(super) fn open(names: Names<'_>, resume: Resume) -> Result<(Self, Ids)> {
        let Names {
            input,
            results,
            errors,
            ..
        } = names;
        let named = [("--output", results), ("--errors", errors)];
        for (flag, path) in named {
            if input.1.is_some_and(|input| same_file(input, path)) {
                let message = format!("{flag} {} is the input itself", path.display());
                return Err(Error::Batch(message));
            }
        }
        if same_file(results, errors) && !is_special(results) {
            let message = format!(
                "--output and --errors are the same file {}",
                results.display()
            );
            return Err(Error::Batch(message));
        }
        // Locked before anything is moved: a run that writes to it must not lose its file.
        let existed = results.exists();
        let results = Output::open(results)?;
        match resume.fresh {
            true => {
                let earlier = Self {
                    results,
                    existed,
                    damage: Damage::default(),
                    answers: 0,
                };
                Ok((earlier, Ids::default()))
            }
            false => Self::read(results, existed, names.simulated),
        }
    }

    /// The same for a run that will not be: the file need not be there.
    pub(super) fn look(results: &Path, simulated: bool) -> Result<(u64, Ids)> {
        if !results.is_file() {
            return Ok((0, Ids::default()));
        }
        let (earlier, ids) = Self::read(Output::open_to_look(results)?, true, simulated)?;
        Ok((earlier.answers, ids))
    }

    fn read(results: Output, existed: bool, simulated: bool) -> Result<(Self, Ids)> {
        let (mut ids, mut answers) = (Ids::default(), 0);
        let mut is_mixed = false;
        let damage = results.scan(Holds::Results, |_, line| {
            is_mixed |= line.simulated != simulated;
            if line.is_failure_inside() {
                return; // it is sent again
            }
            if let Some(id) = &line.custom_id {
                let before = ids.set(id, Known::Finished(line.fingerprint()));
                let had_one = matches!(before, Some(Known::Finished(Some(_))));
                answers += u64::from(line.fingerprint().is_some() && !had_one);
            }
        })?;
        if is_mixed {
            return Err(results.mixed_with_simulated(!simulated));
        }
        let earlier = Self {
            results,
            existed,
            damage,
            answers,
        };
        Ok((earlier, ids))
    }

    /// Repairs what is damaged, opens the errors, and takes out of them what is dealt with.
    pub(super) fn begin(self, names: Names<'_>, resume: Resume, ids: &mut Ids) -> Result<Journal> {
        let existed = self.existed;
        let begun = self.open_errors(names, resume, ids);
        if begun.is_err() && !existed {
            let _ = fs::remove_file(names.results); // it is empty, and was made for nothing
        }
        begun
    }

    fn open_errors(self, names: Names<'_>, resume: Resume, ids: &mut Ids) -> Result<Journal> {
        let Self {
            results, damage, ..
        } = self;
        let mut journal = Journal {
            results,
            errors: Output::open(names.errors)?,
            began: Began::default(),
        };
        if resume.fresh {
            for (output, path) in [
                (&mut journal.results, names.results),
                (&mut journal.errors, names.errors),
            ] {
                if move_aside(path)? {
                    *output = Output::open(path)?;
                }
            }
        }
        journal.read(&damage, names, resume, ids)?;
        Ok(journal)
    }
}

impl Journal {
    fn read(
        &mut self,
        damage: &Damage,
        names: Names<'_>,
        resume: Resume,
        ids: &mut Ids,
    ) -> Result<()> {
        // Of the failures of a request the last one stays, and none of what succeeded since. Bad lines
        // are told of afresh. What other runs wrote here is left alone.
        let has_result = |ids: &Ids, id: &str, line: &Finished<'_>| match ids.get(id) {
            Some(Known::Finished(Some(print))) => line.fingerprint().is_none_or(|of| of == print),
            Some(Known::Finished(None)) => true,
            _ => false,
        };
        let (input, simulated) = (names.input.0, names.simulated);
        let mut last = Ids::default();
        let (mut has_old_words, mut is_mixed) = (false, false);
        let errors = self.errors.scan(Holds::Failures, |at, line| {
            is_mixed |= line.simulated != simulated;
            has_old_words |= line.is_of_bad_line_of(input);
            if let (Some(id), false) = (&line.custom_id, line.is_of_bad_line()) {
                has_old_words |= has_result(ids, id, line);
                has_old_words |= last.set(&request(id, line), Known::Line(at)).is_some();
            }
        })?;
        if is_mixed {
            return Err(self.errors.mixed_with_simulated(!simulated));
        }
        // All is well with both: now they may be changed.
        self.results.repair(Holds::Results, damage)?;
        self.errors.repair(Holds::Failures, &errors)?;
        if has_old_words {
            self.errors.thin_out(|at, line| {
                let is_old = |id: &String| {
                    has_result(ids, id, line)
                        || last.get(&request(id, line)) != Some(Known::Line(at))
                };
                match line.is_of_bad_line() {
                    true => line.is_of_bad_line_of(input),
                    false => line.custom_id.as_ref().is_some_and(is_old),
                }
            })?;
        }
        if resume.keep_failed {
            self.errors.look(0, |_, line| {
                if let Some(id) = &line.custom_id
                    && !line.is_of_bad_line()
                    && !matches!(ids.get(id), Some(Known::Finished(_)))
                {
                    ids.set(id, Known::Failed(line.fingerprint()));
                }
            })?;
        }
        self.began = Began {
            results: self.results.end(),
            errors: self.errors.end(),
        };
        Ok(())
    }

    /// Waits until everything is on the disk, and takes the failures of earlier runs out of the errors
    /// file whose lines this run has dealt with. If that is not to be, the next run does it.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.sync()?;
        if let Err(error) = self.take_out_old_words() {
            log::warn!("{error}; failures of earlier runs stay until the next one");
        }
        Ok(())
    }

    fn take_out_old_words(&mut self) -> Result<()> {
        let old = 0..self.began.errors;
        if old.is_empty() {
            return Ok(());
        }
        // By id and request, or by id alone where a line is no request any more.
        let mut anew = Ids::default();
        for (output, start) in [
            (&mut self.results, self.began.results),
            (&mut self.errors, self.began.errors),
        ] {
            output.look(start, |_, line| {
                if let Some(id) = &line.custom_id {
                    anew.set(&request(id, line), Known::Line(0));
                }
            })?;
        }
        let is_old = |at: u64, line: &Finished<'_>| {
            let is_anew = |id: &String| {
                anew.get(&request(id, line)).is_some() || anew.get(&no_request(id)).is_some()
            };
            old.contains(&at) && line.custom_id.as_ref().is_some_and(is_anew)
        };
        let mut has_old_words = false;
        self.errors
            .look(0, |at, line| has_old_words |= is_old(at, line))?;
        match has_old_words {
            true => self.errors.thin_out(is_old),
            false => Ok(()),
        }
    }

    /// The file that a finished line belongs in.
    fn output_of(&mut self, record: &Record) -> &mut Output {
        match record.succeeded {
            true => &mut self.results,
            false => &mut self.errors,
        }
    }
}

impl Sink for Journal {
    fn write(&mut self, record: &Record) -> Result<()> {
        self.output_of(record).append(record)
    }

    fn may_try_again(&mut self, record: &Record) -> bool {
        self.output_of(record).is_file()
    }

    fn sync(&mut self) -> Result<()> {
        self.results.sync()?;
        self.errors.sync()
    }
}

/// What tells the requests of finished lines apart, also where several runs write to one file.
fn request(id: &str, line: &Finished<'_>) -> String {
    match line.fingerprint() {
        Some(print) => format!("{id}\n{print}"),
        None => no_request(id),
    }
}

/// The same of a line that tells of no request.
fn no_request(id: &str) -> String {
    format!("{id}\n")
}

/// Renames a file that holds something to the first free name with a number behind it. Nothing
/// is ever deleted.
fn move_aside(path: &Path) -> Result<bool> {
    if path == Path::new(STANDARD_OUTPUT) {
        return Ok(false);
    }
    let fail = |error| Error::io(path, error);
    let data = fs::metadata(path).map_err(fail)?;
    if !data.is_file() || data.len() == 0 {
        return Ok(false);
    }
    let mut number = 1;
    let aside = loop {
        let mut name = OsString::from(path);
        name.push(format!(".{number}"));
        let name = PathBuf::from(name);
        if !name.exists() {
            break name;
        }
        number += 1;
    };
    fs::rename(path, &aside).map_err(fail)?;
    log::info!("{} is now {}", path.display(), aside.display());
    Ok(true)
}

/// True for what is there and is no file: a pipe, a terminal, the null device.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| !data.is_file() && !data.is_dir())
}

/// True when two paths lead to one file, which need not exist yet.
fn same_file(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| {
        path.canonicalize().ok().or_else(|| {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new(".")).canonicalize().ok()?;
            Some(parent.join(path.file_name()?))
        })
    };
    match (real(a), real(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests;
