//! Where the outputs of a run go.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::batch::fs::{is_descriptor, system};
use crate::batch::input::Input;
use crate::batch::write::output::STANDARD_OUTPUT;

/// Endings of files of lines, in whose place another one is put.
const ENDINGS: [&str; 4] = [".jsonl", ".ndjson", ".json", ".txt"];

/// The files of a run: those that were named, and others beside the input or the results.
#[derive(Debug, Clone)]
pub(in crate::batch) struct OutputNames {
    pub(in crate::batch) results: PathBuf,
    pub(in crate::batch) errors: PathBuf,
    named_results: bool,
    named_errors: bool,
    /// What is answered is simulated: that has names of its own.
    pub(in crate::batch) simulated: bool,
}

impl OutputNames {
    pub(in crate::batch) fn beside(input: &Input) -> Self {
        let mut names = Self {
            results: PathBuf::new(),
            errors: PathBuf::new(),
            named_results: false,
            named_errors: false,
            simulated: false,
        };
        names.fill(input);
        names
    }

    pub(in crate::batch) fn set_results(&mut self, input: &Input, path: PathBuf) {
        (self.results, self.named_results) = (path, true);
        self.fill(input);
    }

    pub(in crate::batch) fn set_errors(&mut self, path: PathBuf) {
        (self.errors, self.named_errors) = (path, true);
    }

    pub(in crate::batch) fn set_simulated(&mut self, input: &Input, simulated: bool) {
        self.simulated = simulated;
        self.fill(input);
    }

    /// Names what was not named. Failures are beside the results, so that two runs over one input
    /// with results of their own have errors of their own.
    fn fill(&mut self, input: &Input) {
        let beside = |what: &str| {
            let mark = if self.simulated { "simulated." } else { "" };
            input.beside(&format!("{mark}{what}"))
        };
        if !self.named_results {
            self.results = beside("results");
        }
        if !self.named_errors {
            let results = self.named_results.then_some(&*self.results);
            self.errors = results
                .and_then(errors_of)
                .unwrap_or_else(|| beside("errors"));
        }
    }
}

/// Where the failures of a run go whose results go to `results`, unless it is stated: `x.errors.jsonl` for
/// `x.jsonl`. `None` for what is no file.
///
/// ```
/// use paceline::batch::errors_beside;
///
/// let errors = errors_beside("reviews.results.jsonl");
/// assert_eq!(errors.as_deref(), Some("reviews.errors.jsonl".as_ref()));
/// ```
#[must_use]
pub fn errors_beside(results: impl AsRef<Path>) -> Option<PathBuf> {
    let results = results.as_ref();
    let name = results.file_name()?.to_str();
    // With a model's name in it, as in `x.results.gpt-4o.jsonl`, it has that of the errors.
    let swapped = name.filter(|name| name.contains(".results."));
    let swapped = swapped.map(|name| name.replacen(".results.", ".errors.", 1));
    match swapped {
        Some(name) => Some(results.with_file_name(name)),
        None => errors_of(results),
    }
}

/// Where the failures of a run go whose results go there: `x.errors.jsonl` for `x.jsonl`, and
/// `x.errors.3-of-8.jsonl` for `x.3-of-8.jsonl`. `None` for what is no file.
fn errors_of(results: &Path) -> Option<PathBuf> {
    let is_special = fs::metadata(results).is_ok_and(|data| !data.is_file())
        || is_descriptor(&*system(), results);
    if is_special || results == Path::new(STANDARD_OUTPUT) {
        return None;
    }
    let Some(name) = results.file_name()?.to_str() else {
        let mut name = OsString::from(results);
        name.push(".errors.jsonl");
        return Some(name.into());
    };
    let mut endings = ENDINGS.into_iter();
    let base = endings.find_map(|ending| name.strip_suffix(ending));
    let base = base.unwrap_or(name);
    let (base, part) = match base.rsplit_once('.') {
        Some((base, part)) if is_part(part) => (base, format!(".{part}")),
        _ => (base, String::new()),
    };
    let base = base.strip_suffix(".results").unwrap_or(base);
    Some(results.with_file_name(format!("{base}.errors{part}.jsonl")))
}

/// True for the label of a part, such as `3-of-8`.
fn is_part(text: &str) -> bool {
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    text.split_once("-of-")
        .is_some_and(|(index, count)| is_number(index) && is_number(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_beside_the_results() {
        let table = [
            ("x.jsonl", Some("x.errors.jsonl")),
            ("a/x.results.jsonl", Some("a/x.errors.jsonl")),
            ("x.3-of-8.jsonl", Some("x.errors.3-of-8.jsonl")),
            ("x.results.3-of-8.jsonl", Some("x.errors.3-of-8.jsonl")),
            // Names that differ have names of errors that differ.
            ("x.1", Some("x.1.errors.jsonl")),
            ("x", Some("x.errors.jsonl")),
            ("x.csv", Some("x.csv.errors.jsonl")),
            (".jsonl", Some(".errors.jsonl")),
            ("-", None),
            (".", None),
            #[cfg(unix)]
            ("/dev/null", None),
        ];
        for (results, errors) in table {
            let found = errors_of(Path::new(results));
            assert_eq!(found.as_deref(), errors.map(Path::new), "{results}");
        }
    }

    #[test]
    fn what_was_named_stays_in_whatever_order() {
        let input = Input::reader("x", std::io::empty());
        let mut names = OutputNames::beside(&input);
        names.set_simulated(&input, true);
        let expected = (
            Path::new("paceline.simulated.results.jsonl"),
            Path::new("paceline.simulated.errors.jsonl"),
        );
        assert_eq!((&*names.results, &*names.errors), expected);
        names.set_errors("e".into());
        names.set_results(&input, "r.jsonl".into());
        names.set_simulated(&input, false);
        assert_eq!(
            (&*names.results, &*names.errors),
            (Path::new("r.jsonl"), Path::new("e"))
        );
    }
}
