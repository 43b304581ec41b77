//! The prompt that makes requests of rows, from flags.

use std::fs;
use std::io;
use std::path::Path;

use paceline::batch::{Edits, Prompt, RowFormat};
use paceline::{Error, Result};
use serde_json::Value;

use crate::args;
use crate::mistake::mistake;

/// The fields that flags set, for a Batch file or a table.
pub(crate) fn edits(shape: &args::Shape) -> Result<Edits> {
    let mut edits = Edits::new();
    // Of a prompt's own requests the model is known, and stands where people look for it.
    let is_asked = shape.prompt.is_some() || shape.messages.is_some() || shape.embed.is_some();
    if let (Some(model), false) = (shape.model.first(), is_asked) {
        edits = edits.model(model)?;
    }
    for (path, value) in &shape.set {
        edits = edits.set(path, value)?;
    }
    Ok(edits)
}

/// The prompt for the rows of a table; `None` when the input is a Batch file.
pub(crate) fn prompt(arguments: &args::Run) -> Result<Option<Prompt>> {
    let (input, shape) = (&*arguments.input, &arguments.shape);
    if let Some(column) = &shape.embed {
        return embedding(arguments, column).map(Some);
    }
    let model = shape.model.first().map_or("", String::as_str); // clap asks for one
    let made = match (&shape.prompt, &shape.messages, &shape.body) {
        (Some(template), _, _) => of_text(template, |text| Prompt::new(model, text))?,
        (_, Some(column), _) => Prompt::messages_column(model, column)?,
        (_, _, Some(path)) => whole_body(path, shape)?,
        (None, None, None) => return Ok(None),
    };
    let mut prompt = made;
    if let Some(system) = &shape.system {
        prompt = of_text(system, |text| prompt.system(text))?;
    }
    for column in &shape.image {
        prompt = prompt.image_column(column);
    }
    if !shape.image.is_empty() {
        prompt = allow_files(prompt, input, shape)?;
    }
    if let Some(endpoint) = shape.endpoint {
        prompt = prompt.form(endpoint.into());
    }
    prompt = prompt.edit(edits(shape)?);
    if !prompt.names_columns() {
        let flag = if shape.body.is_some() {
            "--body"
        } else {
            "--prompt"
        };
        return Err(mistake(format!(
            "{flag} names no column, so every row would make the same request; put a \
             value of the row in, as in --prompt 'Summarize: {{text}}'"
        )));
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
            mistake(match place {
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

/// Rows whose texts are embedded.
fn embedding(arguments: &args::Run, column: &str) -> Result<Prompt> {
    let shape = &arguments.shape;
    let model = shape.model.first().map_or("", String::as_str); // clap asks for one
    let mut prompt = Prompt::embed_column(model, column)?;
    // A request that is larger than what a minute allows is never admitted. A token has one byte at least.
    let limits = &arguments.limits.tpm;
    let of_model = limits
        .iter()
        .filter(|limit| limit.model.as_deref().is_none_or(|it| it == model));
    if let Some(tokens) = of_model.map(|limit| limit.amount).min() {
        let bytes = usize::try_from(tokens).unwrap_or(usize::MAX);
        prompt = prompt.pack(2_048, bytes.min(300_000));
    }
    if let Some(column) = &shape.id {
        prompt = prompt.id_column(column);
    }
    Ok(prompt.edit(edits(shape)?))
}

/// The format of the rows; `None` when the input is a Batch file.
pub(crate) fn format(arguments: &args::Run) -> Option<RowFormat> {
    let shape = &arguments.shape;
    let asks = [&shape.prompt, &shape.messages, &shape.embed];
    let has_rows = shape.body.is_some() || asks.into_iter().any(Option::is_some);
    let format = || {
        let by_name = || RowFormat::of(&arguments.input);
        shape.rows.map_or_else(by_name, RowFormat::from)
    };
    has_rows.then(format)
}

/// The schema of the answers, be it a flag's or in the body.
pub(crate) fn schema_of_answers(shape: &args::Shape) -> Result<Option<Value>> {
    if let Some(path) = &shape.schema {
        return schema_in(path).map(Some);
    }
    let Some(path) = &shape.body else {
        return Ok(None);
    };
    let text = read(path)?;
    let body = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}'));
    let body = body.unwrap_or_default();
    let places = [
        "/response_format/json_schema/schema",
        "/text/format/schema",
        "/output_config/format/schema",
    ];
    Ok(places.iter().find_map(|place| body.pointer(place)).cloned())
}

/// The schema in a file.
pub(crate) fn schema_in(path: &Path) -> Result<Value> {
    let text = read(path)?;
    let schema = serde_json::from_str(text.trim_start_matches('\u{feff}'));
    schema.map_err(|error| mistake(format!("--schema {}: {error}", path.display())))
}

fn whole_body(path: &Path, shape: &args::Shape) -> Result<Prompt> {
    let shown = path.display();
    let text = read(path)?;
    let prompt = Prompt::body(&text).map_err(|error| {
        let error = error.to_string();
        let what = error.strip_prefix("body: ").unwrap_or(&error);
        mistake(format!("--body {shown}: {what}"))
    })?;
    let has = |field: &str| {
        let body = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}'));
        body.is_ok_and(|body| body.get(field).is_some())
    };
    if shape.endpoint.is_none() && !has("messages") {
        return Err(mistake(format!(
            "--body {shown}: without messages in it, --endpoint has to say where it goes"
        )));
    }
    Ok(prompt)
}

/// Files lie beside the table, or where a flag allows.
fn allow_files(mut prompt: Prompt, input: &Path, shape: &args::Shape) -> Result<Prompt> {
    if input != Path::new("-") {
        let folder = input.parent().filter(|folder| *folder != Path::new(""));
        prompt = prompt.files_in(folder.unwrap_or(Path::new(".")))?;
    }
    for folder in &shape.allow_files {
        prompt = prompt.files_in(folder)?;
    }
    Ok(prompt)
}

/// What `make` makes of a flag's text, or of that of the file which it names with `@`.
fn of_text<T>(value: &str, make: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let Some(path) = value.strip_prefix('@') else {
        return make(value);
    };
    let text = read(Path::new(path))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    make(text).map_err(|error| mistake(format!("{path}: {error}")))
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
