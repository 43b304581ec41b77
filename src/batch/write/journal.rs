//! The output files: what is done already, and each finished line written whole.
//!
//! The results file is the journal. A failure stays in the errors file until its line is dealt with
//! anew: so a run that is killed on the way loses no reason, and one that is to leave failures
//! alone finds all of them. Meanwhile both the old and the new word on a line may stand there;
//! the old word is taken out when a run ends, or else when the next one begins.

mod names; // the files that a run opens

use std::io;
use std::path::Path;

use crate::Result;
use crate::batch::count::cut_off::CutOff;
use crate::batch::fingerprint::Fingerprint;
use crate::batch::fs::{Disk, Kind, check_room};
use crate::batch::ids::{Ids, Key, Known};
use crate::batch::record::Record;
use crate::batch::write::Sink;
use crate::batch::write::output::{Damage, Finished, Holds, Output, Stream};
use names::{move_aside, where_allowed};

pub(in crate::batch) use names::Names;

/// What to do with what the files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::batch) struct Resume {
    /// Files that hold something are moved aside.
    pub(in crate::batch) fresh: bool,
    /// Requests that failed in an earlier run are skipped.
    pub(in crate::batch) keep_failed: bool,
    /// Requests whose answers ended at their cap are sent again.
    pub(in crate::batch) retry_cut_off: bool,
}

/// The results of earlier runs, read and locked. Nothing is changed yet.
#[derive(Debug)]
pub(in crate::batch) struct Earlier {
    results: Output,
    /// The file was there before.
    existed: bool,
    damage: Damage,
    /// Answers to requests that are known.
    pub(in crate::batch) answers: u64,
    /// Some lines are of failures: earlier versions took them for answers.
    has_failures: bool,
    /// Answers that ended at their cap, where they are sent again.
    pub(in crate::batch) cut_off: CutOff,
}

/// The files of a run, open and locked.
#[derive(Debug)]
pub(in crate::batch) struct Journal {
    results: Output,
    errors: Output,
    /// Where the lines of this run begin.
    began: Began,
    /// Lines of earlier runs among the results are of failures.
    has_failures: bool,
    /// Answers of earlier runs that ended at their cap go when there is a longer one.
    retries_cut_off: bool,
}

#[derive(Debug, Default)]
struct Began {
    results: u64,
    errors: u64,
}

impl Earlier {
    /// Opens the results for a run, and returns what they say of each id.
    pub(in crate::batch) fn open(names: Names<'_>, resume: Resume) -> Result<(Self, Ids)> {
        let Names { disk, results, .. } = names;
        names.tell_apart()?;
        // Locked before anything is moved: a run that writes to it must not lose its file.
        // Only a name that is certainly free was made here: what fails to be looked at may be there.
        let existed =
            !matches!(disk.stat(results), Err(error) if error.kind() == io::ErrorKind::NotFound);
        let results = Output::open(disk, results)?;
        if results.is_file()
            && let Err(error) = where_allowed(check_room(disk, names.results))
        {
            if !existed {
                let _ = disk.remove(names.results); // it is empty, and was made for nothing
            }
            return Err(error);
        }
        match resume.fresh {
            true => {
                let earlier = Self {
                    results,
                    existed,
                    damage: Damage::default(),
                    answers: 0,
                    has_failures: false,
                    cut_off: CutOff::default(),
                };
                Ok((earlier, Ids::default()))
            }
            false => Self::read(results, existed, names.simulated, resume.retry_cut_off),
        }
    }

    /// The same for a run that will not be: the file need not be there.
    pub(in crate::batch) fn look(
        disk: &Disk,
        results: &Path,
        simulated: bool,
    ) -> Result<(u64, Ids)> {
        if !disk.stat(results).is_ok_and(|it| it.kind == Kind::File) {
            return Ok((0, Ids::default()));
        }
        let results = Output::open_to_look(disk, results)?;
        let (earlier, ids) = Self::read(results, true, simulated, false)?;
        Ok((earlier.answers, ids))
    }

    fn read(
        results: Output,
        existed: bool,
        simulated: bool,
        retry_cut_off: bool,
    ) -> Result<(Self, Ids)> {
        let mut known = Answers::default();
        let clean = |known: &mut Answers| {
            results.look_if_clean(simulated, |found, part| {
                if known.ids.is_empty() {
                    known.ids.reserve(estimated(found.len(), part));
                }
                for answer in found {
                    known.add(answer.key, answer.of);
                }
            })
        };
        // That looks at no answer closely enough to see how it ended.
        let clean = (!retry_cut_off).then(|| clean(&mut known)).flatten();
        if let Some(damage) = clean {
            let earlier = Self {
                results,
                existed,
                damage,
                answers: known.count,
                has_failures: false,
                cut_off: CutOff::default(),
            };
            return Ok((earlier, known.ids));
        }
        let mut known = Answers::default();
        let mut cut_off = CutOff::default();
        let (mut is_mixed, mut has_failures) = (false, false);
        let damage = results.scan(Holds::Results, |_, line| {
            is_mixed |= line.simulated != simulated;
            if line.is_failure_inside() {
                has_failures = true;
                return; // it is sent again
            }
            if let (true, Some(id)) = (retry_cut_off, &line.custom_id)
                && let Some(shorter) = line.cut_off()
            {
                cut_off.add(id, shorter);
                return; // and so is this
            }
            if let Some(id) = &line.custom_id {
                known.add(Key::of(id), line.fingerprint());
            }
        })?;
        if is_mixed {
            return Err(results.mixed_with_simulated(!simulated));
        }
        cut_off.retain(|id| known.ids.get(id).is_none());
        let earlier = Self {
            results,
            existed,
            damage,
            answers: known.count,
            has_failures,
            cut_off,
        };
        Ok((earlier, known.ids))
    }

    /// Repairs what is damaged, opens the errors, and takes out of them what is dealt with.
    pub(in crate::batch) fn begin(
        self,
        names: Names<'_>,
        resume: Resume,
        ids: &mut Ids,
    ) -> Result<Journal> {
        let existed = self.existed;
        let begun = self.open_errors(names, resume, ids);
        if begun.is_err() && !existed {
            let _ = names.disk.remove(names.results); // it is empty, and was made for nothing
        }
        begun
    }

    fn open_errors(self, names: Names<'_>, resume: Resume, ids: &mut Ids) -> Result<Journal> {
        let Self {
            results,
            damage,
            has_failures,
            ..
        } = self;
        let mut journal = Journal {
            results,
            errors: Output::open(names.disk, names.errors)?,
            began: Began::default(),
            has_failures,
            retries_cut_off: resume.retry_cut_off,
        };
        if resume.fresh {
            for (output, path) in [
                (&mut journal.results, names.results),
                (&mut journal.errors, names.errors),
            ] {
                if move_aside(names.disk, path)? {
                    *output = Output::open(names.disk, path)?;
                }
            }
        }
        journal.read(&damage, names, resume, ids)?;
        Ok(journal)
    }
}

/// What a file says of each id, and how many answers to requests that are known.
#[derive(Debug, Default)]
struct Answers {
    ids: Ids,
    count: u64,
}

impl Answers {
    fn add(&mut self, key: Key, of: Option<Fingerprint>) {
        let before = self.ids.set_of(key, Known::Finished(of));
        let had_one = matches!(before, Some(Known::Finished(Some(_))));
        self.count += u64::from(of.is_some() && !had_one);
    }
}

/// Estimates the ids of a file by those of a part: rather too few, as no memory is given back, and no
/// more than make 100 MB, as the part may be unlike the rest.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and no file has that many lines"
)]
fn estimated(found: usize, part: f64) -> usize {
    const CAUTION: f64 = 0.95;
    const MOST: usize = 1 << 22;
    MOST.min((found as f64 / part * CAUTION) as usize)
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
        // are reported again by this run. What other runs wrote here is left alone.
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
            // A result of a run that was killed may not be on the disk yet. Were its failure taken out first, a
            // power cut would leave neither.
            self.results.sync()?;
            let thinned = self.errors.thin_out(|at, line| {
                let is_old = |id: &String| {
                    has_result(ids, id, line)
                        || last.get(&request(id, line)) != Some(Known::Line(at))
                };
                match line.is_of_bad_line() {
                    true => line.is_of_bad_line_of(input),
                    false => line.custom_id.as_ref().is_some_and(is_old),
                }
            });
            where_allowed(thinned)?;
        }
        if self.has_failures || self.retries_cut_off {
            let retries = self.retries_cut_off;
            let thinned = self.results.thin_out(|_, line| {
                let id = line.custom_id.as_ref();
                let is_replaced = line.is_failure_inside() || retries && line.cut_off().is_some();
                is_replaced && id.is_some_and(|id| has_result(ids, id, line))
            });
            where_allowed(thinned)?;
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
    pub(in crate::batch) fn finish(&mut self) -> Result<()> {
        self.sync()?;
        if let Err(error) = self.take_out_old_words() {
            log::warn!("{error}; failures of earlier runs stay until the next one");
        }
        Ok(())
    }

    fn take_out_old_words(&mut self) -> Result<()> {
        let (old, failures) = (0..self.began.errors, 0..self.began.results);
        if old.is_empty() && !self.has_failures && !self.retries_cut_off {
            return Ok(());
        }
        if self.retries_cut_off {
            self.take_out_shorter()?;
        }
        // By id and request, or by id alone where a line is no request any more.
        let mut anew = Ids::default();
        for (output, start) in [
            (&self.results, self.began.results),
            (&self.errors, self.began.errors),
        ] {
            output.look(start, |_, line| {
                if let Some(id) = &line.custom_id {
                    anew.set(&request(id, line), Known::Line(0));
                }
            })?;
        }
        let is_anew = |line: &Finished<'_>| {
            let is_anew = |id: &String| {
                anew.get(&request(id, line)).is_some() || anew.get(&no_request(id)).is_some()
            };
            line.custom_id.as_ref().is_some_and(is_anew)
        };
        let is_old = |at: u64, line: &Finished<'_>| old.contains(&at) && is_anew(line);
        let mut has_old_words = false;
        self.errors
            .look(0, |at, line| has_old_words |= is_old(at, line))?;
        if has_old_words {
            self.errors.thin_out(is_old)?;
        }
        if self.has_failures {
            self.results.thin_out(|at, line| {
                failures.contains(&at) && line.is_failure_inside() && is_anew(line)
            })?;
        }
        Ok(())
    }

    /// Takes answers of earlier runs that ended at their cap out of the results, where this run has another one.
    fn take_out_shorter(&mut self) -> Result<()> {
        let mut longer = Ids::default();
        self.results.look(self.began.results, |_, line| {
            if let Some(id) = &line.custom_id {
                longer.set(&request(id, line), Known::Line(0));
            }
        })?;
        if longer.is_empty() {
            return Ok(());
        }
        let old = 0..self.began.results;
        self.results.thin_out(|at, line| {
            let id = line.custom_id.as_ref();
            old.contains(&at)
                && id.is_some_and(|id| longer.get(&request(id, line)).is_some())
                && line.cut_off().is_some()
        })
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

    fn stream(&self, succeeded: bool) -> Option<Stream> {
        match succeeded {
            true => self.results.stream(),
            false => self.errors.stream(),
        }
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

#[cfg(test)]
mod tests;
