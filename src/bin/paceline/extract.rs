//! Rows with their answers: at the end of a run, and `paceline extract`.

use std::fs::File;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use paceline::batch::{
    Extract, ExtractRows, Extracted, Prices, RequestSet, RowFormat, check_answers_name,
    check_vectors_name, errors_beside, plain_text,
};
use paceline::{Error, Result};
use serde_json::Value;

use crate::args;
use crate::exit::Exit;
use crate::input::prints_results;
use crate::mistake::mistake;
use crate::numbers::grouped;
use crate::prompt;
use crate::run::prices;
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

/// Says that a name has an ending of no format.
pub(crate) fn check_name(shape: &args::Shape) -> Result<()> {
    let check: fn(&PathBuf) -> Result<()> = match shape.embed {
        Some(_) => |path| check_vectors_name(path),
        None => |path| check_answers_name(path),
    };
    let checked = shape.extract.as_ref().map_or(Ok(()), check);
    checked.map_err(|error| mistake(format!("--extract {error}")))
}

/// Writes the rows with their answers, if it was asked for. All answers are there, those of earlier runs too.
pub(crate) fn write(
    arguments: &args::Run,
    results: &Path,
    errors: &Path,
    requests: &RequestSet,
    prices: Option<Prices>,
) -> Result<()> {
    let shape = &arguments.shape;
    let Some(path) = &shape.extract else {
        return Ok(());
    };
    let json = shape.extract_json || shape.schema.is_some();
    if !arguments.input.is_file() {
        // What came once cannot be read again: its answers are there, in the order of the results.
        let extract = Extract::new(results)
            .json_answers(json)
            .raw_csv(shape.csv_raw);
        let extracted = extract.only(requests).write_to(path)?;
        tell(&extracted, path, &results.display().to_string());
        return Ok(());
    }
    let files = [results, errors].into_iter().filter(|path| path.is_file());
    let input = &arguments.input;
    let mut extract = match prompt::format(arguments) {
        Some(format) => ExtractRows::of_table(input, format, files),
        None => ExtractRows::of_requests(input, files),
    };
    // Packs of rows are parted as wholes, so each row is looked for in all of them.
    if let (Some(shard), None) = (shape.shard, &shape.embed) {
        extract = extract.shard(shard.index, shard.count);
    }
    if let Some(column) = &shape.id {
        extract = extract.id_column(column);
    }
    if let Some(column) = &shape.embed {
        extract = extract.embed_column(column);
    }
    if let Some(schema) = prompt::schema_of_answers(shape)? {
        extract = extract.schema(&schema);
    }
    if let Some(prices) = prices {
        extract = extract.prices(prices);
    }
    let extract = extract
        .json_answers(json)
        .raw_csv(shape.csv_raw)
        .only(requests);
    let extracted = extract.write(path)?;
    tell(&extracted, path, &results.display().to_string());
    Ok(())
}

/// `paceline extract`.
pub(crate) fn extract(arguments: &args::Extract) -> Result<Exit> {
    let prices = prices(&arguments.prices)?;
    let mut files = Vec::new();
    let mut add = |path: PathBuf| {
        if !files.contains(&path) {
            files.push(path);
        }
    };
    for results in &arguments.results {
        add(results.clone());
        if let Some(errors) = errors_beside(results).filter(|path| path.is_file()) {
            add(errors);
        }
    }
    let input = &arguments.input;
    let mut extract = match format(arguments)? {
        Some(format) => ExtractRows::of_table(input, format, files),
        None => ExtractRows::of_requests(input, files),
    };
    if let Some(column) = &arguments.id {
        extract = extract.id_column(column);
    }
    if let Some(column) = &arguments.embed {
        extract = extract.embed_column(column);
    }
    if let Some(path) = &arguments.schema {
        extract = extract.schema(&prompt::schema_in(path)?);
    }
    if let Some(prices) = prices {
        extract = extract.prices(prices);
    }
    let json = arguments.extract_json || arguments.schema.is_some();
    let extract = extract.json_answers(json).raw_csv(arguments.csv_raw);
    let extracted = extract.write(&arguments.output)?;
    let shown = match arguments.results.as_slice() {
        [one] => one.display().to_string(),
        several => format!("{} files of results", several.len()),
    };
    tell(&extracted, &arguments.output, &shown);
    Ok(match extracted.answers == extracted.rows {
        true => Exit::Success,
        false => Exit::SomeFailed,
    })
}

fn format(arguments: &args::Extract) -> Result<Option<RowFormat>> {
    if let Some(format) = arguments.rows {
        return Ok(Some(format.into()));
    }
    if arguments.id.is_some() || arguments.embed.is_some() {
        return Ok(Some(RowFormat::of(&arguments.input)));
    }
    format_of(&arguments.input)
}

/// The format of the rows of a file by its name and its first line; `None` for a Batch file.
pub(crate) fn format_of(input: &PathBuf) -> Result<Option<RowFormat>> {
    let format = RowFormat::of(input);
    if format != RowFormat::Jsonl {
        return Ok(Some(format));
    }
    let fail = |error| Error::Io {
        path: input.clone(),
        source: error,
    };
    let file = File::open(input).map_err(fail)?;
    let mut text = plain_text(&input.display().to_string(), file)?;
    let mut line = Vec::new();
    while line.trim_ascii().is_empty() {
        line.clear();
        if text.read_until(b'\n', &mut line).map_err(fail)? == 0 {
            break;
        }
    }
    let first = serde_json::from_slice::<Value>(&line).unwrap_or_default();
    let is_request = first.get("custom_id").is_some() && first.get("body").is_some();
    Ok((!is_request).then_some(format))
}

fn tell(extracted: &Extracted, path: &Path, results: &str) {
    let answers = grouped(extracted.answers);
    let without = extracted.rows.saturating_sub(extracted.answers);
    match without {
        0 => say!("{answers} answers in {}", path.display()),
        without => say!(
            "{answers} answers in {}, and {} rows without one, which say why",
            path.display(),
            grouped(without)
        ),
    }
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
}
