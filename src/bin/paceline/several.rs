//! One input over several models, one after the other, each with files of its own.

use std::ffi::OsString;
use std::hash::Hasher;
use std::path::{Path, PathBuf};

use paceline::Result;
use twox_hash::XxHash64;

use crate::args;
use crate::exit::Exit;
use crate::input::prints_results;
use crate::mistake::mistake;
use crate::run::{self, Interrupts};
use crate::say::say;

/// The longest part of a model's name in the names of files.
const LONGEST: usize = 80;

/// Runs what the flags say, once for each model.
pub(crate) fn run(arguments: &mut args::Run) -> Result<Exit> {
    let interrupts = Interrupts::default();
    let models = std::mem::take(&mut arguments.shape.model);
    if models.len() < 2 {
        arguments.shape.model = models;
        return run::run(arguments, &interrupts);
    }
    check(&models, arguments)?;
    let names = [
        arguments.output.clone(),
        arguments.errors.clone(),
        arguments.summary.clone(),
        arguments.report.clone(),
        arguments.shape.extract.clone(),
    ];
    let mut worst = Exit::Success;
    for (at, model) in models.iter().enumerate() {
        let label = label(model);
        let of_model = names
            .clone()
            .map(|path| path.map(|path| with_label(&path, &label)));
        let [output, errors, summary, report, extract] = of_model;
        (arguments.output, arguments.errors) = (output, errors);
        (arguments.summary, arguments.report) = (summary, report);
        arguments.shape.extract = extract;
        arguments.shape.label = Some(label);
        arguments.shape.model = vec![model.clone()];
        // A budget is one for all models.
        arguments.shape.others = interrupts.files();
        say!("paceline: {model} ({} of {} models)", at + 1, models.len());
        let exit = run::run(arguments, &interrupts).unwrap_or_else(|error| Exit::of_error(&error));
        match exit {
            Exit::Success => {}
            Exit::SomeFailed => worst = exit,
            // What stops one stops all.
            exit => return Ok(exit),
        }
    }
    Ok(worst)
}

fn check(models: &[String], arguments: &args::Run) -> Result<()> {
    let wrong = |message: String| Err(mistake(message));
    for (at, model) in models.iter().enumerate() {
        if models[..at].contains(model) {
            return wrong(format!("--model {model} is given twice"));
        }
    }
    if !arguments.input.is_file() && arguments.input.exists() || arguments.input == Path::new("-") {
        let input = arguments.input.display();
        return wrong(format!(
            "several models read the input once each, and {input} is no file"
        ));
    }
    if prints_results(arguments) {
        return wrong(
            "with several models each has a file of results: name no standard output".to_owned(),
        );
    }
    Ok(())
}

/// A model's name as a part of the names of files, on every file system. A hash follows a name in which
/// something was changed, or that a file system takes for another which differs in case alone.
fn label(model: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let safe = |c: char| if is_plain(c) { c } else { '_' };
    let name: String = model.chars().take(LONGEST).map(safe).collect();
    let name = name.trim_matches('.');
    if name == model && !name.contains(|c: char| c.is_ascii_uppercase()) {
        return name.to_owned();
    }
    let mut hash = XxHash64::with_seed(0);
    hash.write(model.as_bytes());
    format!("{name}-{:08x}", hash.finish() >> 32)
}

/// A file's name with a model's in it, before its ending.
pub(crate) fn with_label(path: &Path, label: &str) -> PathBuf {
    let Some(name) = path.file_name().filter(|_| path != Path::new("-")) else {
        return path.to_owned();
    };
    let mut made = OsString::from(path.file_stem().unwrap_or(name));
    made.push(format!(".{label}"));
    if let Some(ending) = path.extension() {
        made.push(".");
        made.push(ending);
    }
    path.with_file_name(made)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_of_files_are_safe_and_never_alike() {
        let models = [
            "gpt-4o",
            "GPT-4o",
            "gpt-4O",
            "gpt_4o",
            "gpt/4o",
            "gpt:4o",
            "..",
            "../../etc/passwd",
            "a\nb",
            "é",
            "meta-llama/Llama-3-8B",
            "",
        ];
        let labels: Vec<_> = models.iter().map(|model| label(model)).collect();
        assert_eq!(labels[0], "gpt-4o");
        let lower: HashSet<_> = labels.iter().map(|label| label.to_lowercase()).collect();
        assert_eq!(lower.len(), models.len(), "{labels:?}");
        for label in &labels {
            assert!(
                !label.starts_with('.') && !label.contains(['/', '\\', ':', '\n']),
                "{label}"
            );
        }
        let long = label(&"x".repeat(300));
        assert!(long.len() < 100, "{long}");
        let made = with_label(Path::new("a/out.jsonl"), "m.1");
        assert_eq!(made, Path::new("a/out.m.1.jsonl"));
    }
}
