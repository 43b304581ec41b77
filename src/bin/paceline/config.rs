//! Flags from a file, and where each flag comes from.
//!
//! The file is TOML with a table for each command, whose keys are names of flags. What it says is put before what
//! was typed, and left out where a flag was typed or its environment variable is set; so one parser checks
//! all of it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::ops::Range;
use std::path::Path;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};
use toml::de::{DeTable, DeValue};

use crate::args::{self, Arguments};
use crate::clients;
use crate::exit::Exit;
use crate::say::{self, error};

/// Flags that an environment variable stands for, too.
const VARIABLES: [(&str, &str); 2] = [
    ("base-url", "OPENAI_BASE_URL"),
    ("share", "PACELINE_SHARE_URL"),
];

/// Flags that say how the command line itself is read.
const OF_ITSELF: [&str; 4] = ["config", "print-config", "help", "version"];

/// What was typed, with what a file says.
///
/// # Errors
///
/// How the command ends, once it has been said: wrong usage, a file that cannot be used, help.
pub(crate) fn arguments(typed: &[OsString]) -> Result<Arguments, Exit> {
    let command = args::command();
    let mut from_file = Vec::new();
    let mut all = typed.to_vec();
    if let Some(path) = value_of(typed, "--config")
        && let Some(at) = command_at(typed, &command)
    {
        from_file = flags(Path::new(&path), typed, at, &command).map_err(|message| {
            error!("paceline: --config {}", message);
            if let Some(advice) = crate::advice::of_file(&message.to_string()) {
                error!("paceline: {advice}");
            }
            Exit::Usage
        })?;
        let flags = from_file.iter().flat_map(|flag| flag.words.clone());
        all.splice(at + 1..=at, flags);
    }
    let matches = command.clone().try_get_matches_from(all);
    let matches = matches.map_err(|error| {
        let exit = Exit::of_usage(&error);
        match named(&error, &from_file) {
            Some(flag) => error!("paceline: --{} comes from {}", flag.name, flag.place),
            None if from_file.is_empty() => {}
            None => error!("paceline: flags of --config stand there, too"),
        }
        exit
    })?;
    let arguments =
        Arguments::from_arg_matches(&matches).map_err(|error| Exit::of_usage(&error))?;
    if arguments.print_config {
        let printed = say::data(&shown(&command, &matches, typed, &from_file));
        return Err(printed.map_or_else(|error| Exit::of_error(&error), |()| Exit::Success));
    }
    Ok(arguments)
}

/// A flag as a file has it.
struct FromFile {
    name: String,
    /// Where it stands, as `FILE:LINE`.
    place: String,
    words: Vec<OsString>,
}

/// The value of a flag that was typed.
fn value_of(typed: &[OsString], flag: &str) -> Option<OsString> {
    let mut words = typed.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == flag {
            return words.next().cloned();
        }
        let value = word
            .to_str()
            .and_then(|word| word.strip_prefix(flag)?.strip_prefix('='));
        if let Some(value) = value {
            return Some(value.into());
        }
    }
    None
}

/// Whether a flag was typed.
fn is_typed(typed: &[OsString], name: &str) -> bool {
    let flags = typed.iter().take_while(|word| *word != "--");
    let mut names = flags.filter_map(|word| {
        let flag = word.to_str()?.strip_prefix("--")?;
        Some(flag.split('=').next().unwrap_or(flag))
    });
    names.any(|typed| typed == name)
}

/// Where the name of the command stands.
fn command_at(typed: &[OsString], command: &Command) -> Option<usize> {
    let is_command = |word: &OsStr| command.find_subcommand(word).is_some();
    let mut at = 1;
    while let Some(word) = typed.get(at) {
        match word.to_str() {
            // What follows is its value, which may be called as a command is.
            Some("--config" | "--log-format") => at += 2,
            Some(flag) if flag.starts_with('-') => at += 1,
            _ => return is_command(word).then_some(at),
        }
    }
    None
}

/// The flags of a file that apply.
fn flags(
    path: &Path,
    typed: &[OsString],
    at: usize,
    command: &Command,
) -> Result<Vec<FromFile>, String> {
    let file = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{file}: {error}"))?;
    let place = |span: Range<usize>| {
        let before = text.get(..span.start).unwrap_or_default();
        format!("{file}:{}", before.matches('\n').count() + 1)
    };
    let table = DeTable::parse(&text).map_err(|error| {
        let place = error.span().map_or_else(|| file.to_string(), place);
        format!("{place}: {}", error.message())
    })?;
    let mut found = Vec::new();
    for (name, value) in table.get_ref() {
        let place_of = place(name.span());
        let name = name.get_ref();
        if *name == clients::TABLE {
            continue; // `serve` reads them
        }
        let Some(of) = command.find_subcommand(&**name).filter(|it| has_flags(it)) else {
            return Err(format!(
                "{place_of}: {name:?} is no command; flags stand in a table such as [run]"
            ));
        };
        let DeValue::Table(flags) = value.get_ref() else {
            return Err(format!("{place_of}: {name} has to be a table: [{name}]"));
        };
        let applies = typed.get(at).is_some_and(|word| word == of.get_name());
        for (name, value) in flags {
            let place = place(name.span());
            let name = &**name.get_ref();
            if !is_flag(command, of, name) {
                let of = of.get_name();
                return Err(format!(
                    "{place}: paceline {of} has no flag --{name}; paceline {of} --help lists them"
                ));
            }
            let variable = VARIABLES.iter().find(|(flag, _)| *flag == name);
            let is_set = variable.is_some_and(|(_, name)| env::var_os(name).is_some());
            let words =
                words(name, value.get_ref()).map_err(|wrong| format!("{place}: {wrong}"))?;
            if applies && !is_typed(typed, name) && !is_set {
                let name = name.to_owned();
                found.push(FromFile { name, place, words });
            }
        }
    }
    Ok(found)
}

fn has_flags(command: &Command) -> bool {
    command.get_arguments().any(|arg| arg.get_long().is_some())
}

fn is_flag(command: &Command, of: &Command, name: &str) -> bool {
    let mut all = of.get_arguments().chain(command.get_arguments());
    let is_known = all.any(|arg| arg.get_long() == Some(name));
    is_known && !OF_ITSELF.contains(&name)
}

/// A value as it would be typed.
fn words(name: &str, value: &DeValue<'_>) -> Result<Vec<OsString>, String> {
    let word = |value: &str| vec![OsString::from(format!("--{name}={value}"))];
    Ok(match value {
        DeValue::Boolean(true) => vec![format!("--{name}").into()],
        DeValue::Boolean(false) => Vec::new(),
        DeValue::String(text) => word(text),
        DeValue::Integer(number) => word(&number.to_string()),
        DeValue::Float(number) => word(&number.to_string()),
        DeValue::Array(values) => {
            let words = values.iter().map(|value| words(name, value.get_ref()));
            words.collect::<Result<Vec<_>, _>>()?.concat()
        }
        DeValue::Datetime(_) | DeValue::Table(_) => {
            return Err(format!(
                "{name} has to be a string, a number, true or false, or a list of these"
            ));
        }
    })
}

/// The flag of the file that the parser complains about, if it is one.
fn named<'a>(error: &clap::Error, from_file: &'a [FromFile]) -> Option<&'a FromFile> {
    let texts =
        [ContextKind::InvalidArg, ContextKind::PriorArg].map(|kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            Some(ContextValue::Strings(texts)) => texts.join(" "),
            _ => String::new(),
        });
    let text = texts.join(" ");
    let mut names = text
        .split([' ', '=', '['])
        .filter_map(|word| word.strip_prefix("--"));
    names.find_map(|name| from_file.iter().find(|flag| flag.name == name))
}

/// The flags of the command as they take effect, in the form that `--config` reads.
fn shown(
    command: &Command,
    matches: &ArgMatches,
    typed: &[OsString],
    from_file: &[FromFile],
) -> String {
    let Some((name, of_command)) = matches.subcommand() else {
        return String::new();
    };
    let mut text = format!("[{name}]\n");
    let Some(of) = command.find_subcommand(name) else {
        return text;
    };
    for arg in of.get_arguments().chain(command.get_arguments()) {
        let Some(flag) = arg.get_long().filter(|flag| !OF_ITSELF.contains(flag)) else {
            continue;
        };
        let id = arg.get_id().as_str();
        let file = from_file.iter().find(|it| it.name == flag);
        let source = match of_command.value_source(id) {
            Some(ValueSource::CommandLine) if !is_typed(typed, flag) && file.is_some() => {
                file.map_or_else(String::new, |file| file.place.clone())
            }
            Some(ValueSource::CommandLine) => "command line".to_owned(),
            Some(ValueSource::DefaultValue) => "default".to_owned(),
            _ => match variable(flag) {
                Some((variable, value)) => {
                    text.push_str(&format!("{flag} = {value} # {variable}\n"));
                    continue;
                }
                None => continue,
            },
        };
        let raw = of_command.get_raw(id).into_iter().flatten();
        let values: Vec<_> = raw.map(|raw| literal(&raw.to_string_lossy())).collect();
        let value = match values.as_slice() {
            [] => continue,
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        text.push_str(&format!("{flag} = {value} # {source}\n"));
    }
    text
}

/// The variable that stands for a flag, and what it says.
fn variable(flag: &str) -> Option<(&'static str, String)> {
    let (_, name) = VARIABLES.into_iter().find(|(of, _)| *of == flag)?;
    let value = env::var(name).ok()?;
    Some((name, literal(&value)))
}

/// A value as TOML has it, without a key in it.
fn literal(text: &str) -> String {
    match text {
        "true" | "false" => text.to_owned(),
        _ => toml::Value::String(crate::mask::typed(text)).to_string(),
    }
}
