//! What can be typed when a run ends before anything is sent.

use paceline::Error;

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
        _ => None,
    }
}
