//! Server-sent events.

use std::io::{self, BufRead, Read};

/// The longest line of a stream that is read.
const MAX_LINE: u64 = 16 * 1024 * 1024;

/// The data of the next server-sent event: its `data:` lines, joined. Comments and other fields
/// are passed over. `None` at the end. An object that stands for itself is an event, too: some servers
/// write their errors so.
pub(super) fn next_event(lines: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut data: Option<String> = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() && (data.is_some() || read == 0) {
            return Ok(data);
        }
        let stated = text.strip_prefix("data:");
        let stated = stated.map(|value| value.strip_prefix(' ').unwrap_or(value));
        if let Some(value) = stated.or_else(|| text.starts_with('{').then_some(text)) {
            match &mut data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => data = Some(value.to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<String> {
        let mut lines = text.as_bytes();
        std::iter::from_fn(|| next_event(&mut lines).unwrap()).collect()
    }

    #[test]
    fn events_are_read_in_every_form_that_the_standard_allows() {
        let table: [(&str, &[&str]); 8] = [
            ("data: a\n\ndata: b\n\n", &["a", "b"]),
            ("data:a\r\n\r\ndata:  b\r\n\r\n", &["a", " b"]),
            (": comment\n\nevent: x\nid: 1\ndata: a\n\n", &["a"]),
            ("data: a\ndata: b\n\n", &["a\nb"]),
            ("{\"error\": 1}\n\ndata: a\n\n", &["{\"error\": 1}", "a"]),
            ("data: cut off", &["cut off"]),
            ("\n\n\n", &[]),
            ("", &[]),
        ];
        for (step, (text, expected)) in table.into_iter().enumerate() {
            assert_eq!(events(text), expected, "step {step}");
        }
    }
}
