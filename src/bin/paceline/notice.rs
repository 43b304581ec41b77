//! What a run has to say while it runs, with the flags that help.

use paceline::batch::Notice;

use crate::say::warning;
use crate::utc;

/// Says it on standard error.
pub(crate) fn tell(notice: &Notice) {
    warning!("paceline: {}", text(notice));
}

fn text(notice: &Notice) -> String {
    match notice {
        Notice::Unreachable {
            base_url,
            reason,
            was_reached: false,
        } => format!("cannot reach {base_url}: {reason}; retrying; is --base-url right?"),
        Notice::Unreachable {
            base_url, reason, ..
        } => format!("cannot reach {base_url}: {reason}; requests wait until it is back"),
        Notice::Connecting { base_url } => {
            format!("still connecting to {base_url}; is --base-url right?")
        }
        Notice::LongWait {
            model,
            wait,
            reason,
        } => format!(
            "requests of {model} wait until {}: {reason}",
            utc::until(utc::now(), *wait)
        ),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_doubted_only_where_it_never_worked() {
        let unreachable = |was_reached| Notice::Unreachable {
            base_url: "http://127.0.0.1:9/v1".to_owned(),
            reason: "connection refused".to_owned(),
            was_reached,
        };
        assert_eq!(
            text(&unreachable(false)),
            "cannot reach http://127.0.0.1:9/v1: connection refused; retrying; is --base-url right?"
        );
        assert!(!text(&unreachable(true)).contains("--base-url"));
    }
}
