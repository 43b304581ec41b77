//! What is run, from flags: requests, or rows and a prompt.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use paceline::batch::{Input, Prompt, RowFormat};
use paceline::{Error, Result};

use crate::args;
use crate::run::BUILTIN;
use crate::server;

/// What standard input and standard output are called.
const DASH: &str = "-";

/// The input, after a look at whether its outputs have places to go to.
pub(crate) fn input(arguments: &args::Run) -> Result<Input> {
    check(arguments)?;
    let (path, shape) = (&arguments.input, &arguments.shape);
    let is_stdin = path == Path::new(DASH);
    let name = "standard input";
    let prompt = match (prompt(shape)?, server::provider(&arguments.server)?) {
        // The simulated API is not one of the table's providers.
        (Some(prompt), Some(provider)) if !arguments.simulate => Some(prompt.provider(provider)),
        (prompt, _) => prompt,
    };
    let input = match prompt {
        None if is_stdin => Input::reader(name, io::stdin()),
        None => Input::file(path)?,
        Some(prompt) => {
            let format = shape
                .rows
                .map_or_else(|| RowFormat::of(path), RowFormat::from);
            match is_stdin {
                true => Input::rows_reader(name, io::stdin(), format, prompt),
                false => Input::rows_in(path, format, prompt)?,
            }
        }
    };
    match shape.shard {
        Some(shard) => input.shard(shard.index, shard.count),
        None => Ok(input),
    }
}

/// True when results go to standard output.
pub(crate) fn prints_results(arguments: &args::Run) -> bool {
    is_standard_output(arguments.output.as_deref())
}

fn is_standard_output(path: Option<&Path>) -> bool {
    let names = [DASH, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    path.is_some_and(|path| names.iter().any(|name| path == Path::new(name)))
}

/// The files that a run reads, which nothing that it writes must overwrite.
pub(crate) fn read_files(arguments: &args::Run) -> Vec<&Path> {
    let shape = &arguments.shape;
    let texts = [&shape.prompt, &shape.system].into_iter().flatten();
    let texts = texts.filter_map(|text| text.strip_prefix('@').map(Path::new));
    let others = [
        &arguments.server.provider_table,
        &arguments.model_table,
        &arguments.limits.limits,
        &shape.schema,
    ];
    let prices = arguments.prices.iter();
    let prices = prices.filter(|path| *path != Path::new(BUILTIN));
    let others = others.into_iter().flatten().chain(prices);
    let others = others.map(PathBuf::as_path);
    let input = match arguments.input == Path::new(DASH) {
        true => Path::new("/dev/stdin"),
        false => &arguments.input,
    };
    [input].into_iter().chain(texts).chain(others).collect()
}

fn check(arguments: &args::Run) -> Result<()> {
    let wrong = |message: String| Err(Error::Config(message));
    if arguments.errors.as_deref() == Some(Path::new(DASH)) {
        return wrong("--errors -: name a file; standard output is for results".to_owned());
    }
    if prints_results(arguments) && is_standard_output(arguments.summary.as_deref()) {
        let message = "--output - and --summary - would both go to standard output";
        return wrong(message.to_owned());
    }
    for (flag, path) in [
        ("--output", &arguments.output),
        ("--errors", &arguments.errors),
    ] {
        // What is not a file, such as a pipe, has no place beside it for others.
        let is_file = arguments.input.is_file() || !arguments.input.exists();
        let is_stream =
            arguments.input == Path::new(DASH) || !(is_file || arguments.input.is_dir());
        // Failures go beside the results, if those are a file.
        let output = arguments
            .output
            .as_deref()
            .filter(|path| *path != Path::new(DASH));
        let follows =
            flag == "--errors" && output.is_some_and(|output| output.is_file() || !output.exists());
        if is_stream && path.is_none() && !follows && !arguments.dry_run {
            return wrong(format!("{flag} is needed when the input is not a file"));
        }
    }
    Ok(())
}

fn prompt(shape: &args::Shape) -> Result<Option<Prompt>> {
    let Some(template) = &shape.prompt else {
        return Ok(None);
    };
    let model = shape.model.as_deref().unwrap_or_default(); // clap asks for one
    let mut prompt = of_text(template, |text| Prompt::new(model, text))?;
    if let Some(system) = &shape.system {
        prompt = of_text(system, |text| prompt.system(text))?;
    }
    if !prompt.names_columns() {
        let message = "--prompt names no column, so every row would make the same request; put a \
                       value of the row in, as in --prompt 'Summarize: {text}'";
        return Err(Error::Config(message.to_owned()));
    }
    if let Some(tokens) = shape.max_tokens {
        prompt = prompt.max_completion_tokens(tokens as u64);
    }
    if let Some(path) = &shape.schema {
        let schema = read(path)?;
        prompt = prompt.schema_text(&schema).map_err(|error| {
            let error = error.to_string();
            let what = error.strip_prefix("schema: ").unwrap_or(&error);
            let path = path.display();
            // The place stands where that of any other file does.
            let place = what.rsplit_once(" at line ");
            let place = place.and_then(|(what, place)| Some((what, place.split_once(" column ")?)));
            Error::Config(match place {
                Some((what, (line, column))) => {
                    format!("--schema {path}:{line}: column {column}: {what}")
                }
                None => format!("--schema {path}: {what}"),
            })
        })?;
    }
    if let Some(column) = &shape.id {
        prompt = prompt.id_column(column);
    }
    Ok(Some(prompt))
}

/// What `make` makes of a flag's text, or of that of the file which it names with `@`.
fn of_text<T>(value: &str, make: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let Some(path) = value.strip_prefix('@') else {
        return make(value);
    };
    let text = read(Path::new(path))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    make(text).map_err(|error| Error::Config(format!("{path}: {error}")))
}

fn read(path: &Path) -> Result<String> {
    let fail = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let bytes = fs::read(path).map_err(fail)?;
    let text = text_of(bytes).ok_or_else(|| {
        let message =
            "invalid UTF-8; iconv -f WINDOWS-1252 -t UTF-8 converts it, if that is what it is";
        fail(io::Error::new(io::ErrorKind::InvalidData, message))
    })?;
    let without_mark = text.strip_prefix('\u{feff}').map(str::to_owned);
    Ok(without_mark.unwrap_or(text))
}

/// The text of a file, in UTF-8, or in UTF-16 with a byte order mark.
fn text_of(bytes: Vec<u8>) -> Option<String> {
    let unit: fn([u8; 2]) -> u16 = match bytes.as_slice() {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return String::from_utf8(bytes).ok(),
    };
    let (pairs, rest) = bytes.as_chunks();
    let units: Vec<u16> = pairs.iter().copied().map(unit).collect();
    String::from_utf16(&units).ok().filter(|_| rest.is_empty())
}
