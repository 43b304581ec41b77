//! What is run, from flags: requests, or rows and a prompt.

use std::io;
use std::path::{Path, PathBuf};

use paceline::Result;
use paceline::batch::{Input, RowFormat};

use crate::args;
use crate::mistake::mistake;
use crate::prompt;
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
    let edits = prompt::edits(shape)?;
    let prompt = match (
        prompt::prompt(arguments)?,
        server::provider(&arguments.server)?,
    ) {
        // The simulated API is not one of the table's providers.
        (Some(prompt), Some(provider)) if !arguments.simulate => Some(prompt.provider(provider)),
        (prompt, _) => prompt,
    };
    let input = match prompt {
        None if is_stdin => Input::reader_with(name, io::stdin(), edits),
        None => Input::file_with(path, edits)?,
        Some(prompt) => {
            let format = prompt::format(arguments).unwrap_or(RowFormat::Jsonl);
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
        &shape.body,
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
    let wrong = |message: String| Err(mistake(message));
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
