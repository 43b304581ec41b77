//! What can be typed when a run ends before anything is sent.

use paceline::{Error, InputKind};

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
        _ => None,
    }
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
