//! The answers alone, at the end of a run.

use std::path::Path;

use paceline::Result;
use paceline::batch::{Extract, RequestSet};

use crate::args;
use crate::input::prints_results;
use crate::mistake::mistake;
use crate::numbers::grouped;
use crate::say::{say, warning};

/// Says that answers cannot be read again before anything is sent, not after hours.
pub(crate) fn check(arguments: &args::Run, results: &Path) -> Result<()> {
    let Some(path) = &arguments.shape.extract else {
        return Ok(());
    };
    let wrong = |message: &str| Err(mistake(message.to_owned()));
    if path == Path::new("-") {
        return wrong("--extract -: name a file, which is there when it is whole");
    }
    let is_special = results.exists() && !results.is_file() && !results.is_dir();
    if prints_results(arguments) || is_special {
        return wrong("--extract reads the results again: name a file for them with --output");
    }
    Ok(())
}

/// Writes them, if it was asked for. All of them are there, those of earlier runs too.
pub(crate) fn write(shape: &args::Shape, results: &Path, requests: &RequestSet) -> Result<()> {
    let Some(path) = &shape.extract else {
        return Ok(());
    };
    let extract = Extract::new(results)
        .json_answers(shape.extract_json || shape.schema.is_some())
        .raw_csv(shape.csv_raw);
    let extracted = extract.only(requests).write_to(path)?;
    say!(
        "{} answers in {}",
        grouped(extracted.answers),
        path.display()
    );
    let results = results.display();
    if extracted.others > 0 {
        let others = grouped(extracted.others);
        warning!("{others} answers to other requests in {results} are left out");
    }
    if extracted.unreadable > 0 {
        let named = &extracted.first_unreadable;
        let count = grouped(extracted.unreadable);
        warning!("{count} lines of {results} cannot be read and are left out:");
        named.iter().for_each(|line| warning!("  {line}"));
    }
    Ok(())
}
