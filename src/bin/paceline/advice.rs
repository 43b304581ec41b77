//! What can be typed when a run ends before anything is sent.

use std::io::ErrorKind;

use paceline::{Error, InputKind};

/// The error of a file that is not there, which has this number on Unix and on Windows.
const NOT_FOUND: i32 = 2;

/// The flags that help, where there are some.
pub(crate) fn advice(error: &Error) -> Option<String> {
    match error {
        Error::OtherAnswers { by_position, .. } => {
            let ids = match by_position {
                true => "; with --id COLUMN results stay with their rows",
                false => "",
            };
            Some(format!(
                "start over with --fresh, which moves the old files aside, or name another file with \
                 --output{ids}"
            ))
        }
        Error::SimulatedAnswers { simulated, .. } => Some(match simulated {
            true => {
                "name another file with --output, or move this one aside with --fresh".to_owned()
            }
            false => {
                "leave --output and --errors out, and results of --simulate have names of their own"
                    .to_owned()
            }
        }),
        Error::Input {
            looks_like: Some(kind),
            ..
        } => reading(*kind).map(str::to_owned),
        Error::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            Some("check who owns the file and who may read and write it".to_owned())
        }
        error => of_file(&error.to_string()),
    }
}

/// What to look at when a file cannot be used. The system's words are in the messages of all errors of files,
/// whatever they are errors of.
pub(crate) fn of_file(said: &str) -> Option<String> {
    if said.ends_with("is a directory") {
        return Some("name a file in it".to_owned());
    }
    let not_found = std::io::Error::from_raw_os_error(NOT_FOUND).to_string();
    let here = std::env::current_dir().ok()?;
    said.contains(&not_found).then(|| {
        let here = here.display();
        format!(
            "check the name and that its folder exists; names without a folder are looked up in {here}"
        )
    })
}

/// Which flags would read an input as what it looks like.
fn reading(kind: InputKind) -> Option<&'static str> {
    match kind {
        InputKind::Requests => Some(
            "the file holds requests in the Batch format: to send them as they are, leave out \
             --prompt",
        ),
        InputKind::Rows => {
            Some("to make a request of each row: --prompt 'TEXT {column}' --model NAME")
        }
        InputKind::Table => Some(
            "to make a request of each row of a table: --rows csv --prompt 'TEXT {column}' \
             --model NAME; of each line of a text: --rows lines --prompt 'TEXT {line}' --model NAME",
        ),
        InputKind::Text => Some(
            "to make a request of each line of a text: --rows lines --prompt 'TEXT {line}' \
             --model NAME",
        ),
        _ => None,
    }
}
