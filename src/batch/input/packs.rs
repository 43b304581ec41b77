//! Rows whose texts are embedded together: as many in one request as an endpoint takes.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::batch::prompt::Packing;
use crate::tokens::Encoding;

/// A text that has more bytes than an input may have tokens is looked at closer.
const LONG: usize = 8_192;
/// Tokens that an input of OpenAI's models may have.
const MOST_TOKENS: u64 = 8_192;

/// A row that is not sent, and why.
pub(super) struct BadRow {
    pub(super) line: u64,
    /// The id of the row, or why it has none.
    pub(super) id: Result<String, String>,
    pub(super) message: String,
}

/// Rows that make one request.
pub(super) struct Pack {
    first: u64,
    last: u64,
    /// Where the first one begins.
    pub(super) line: u64,
    texts: Vec<String>,
    bytes: usize,
}

impl Pack {
    /// It names the rows, so that their vectors are found again.
    pub(super) fn id(&self) -> String {
        format!("rows-{}-{}", self.first, self.last)
    }

    pub(super) fn input(&self) -> Value {
        json!(self.texts)
    }
}

/// What rows become.
pub(super) enum Next {
    Pack(Pack),
    Bad(BadRow),
}

/// Packs rows in their order.
pub(super) struct Packer {
    packing: Packing,
    open: Option<Pack>,
    /// Ready to be taken, in order.
    ready: VecDeque<Next>,
}

impl Packer {
    pub(super) fn new(packing: Packing) -> Self {
        Self {
            packing,
            open: None,
            ready: VecDeque::new(),
        }
    }

    pub(super) fn packing(&self) -> Packing {
        self.packing.clone()
    }

    pub(super) fn column(&self) -> &str {
        &self.packing.column
    }

    pub(super) fn has_any(&self) -> bool {
        !self.ready.is_empty()
    }

    /// What is ready.
    pub(super) fn next(&mut self) -> Option<Next> {
        self.ready.pop_front()
    }

    /// Takes a row.
    pub(super) fn put(&mut self, number: u64, line: u64, text: String) {
        let is_alone = text.len() > LONG;
        let open = self.open.as_ref();
        let is_full = open.is_some_and(|pack| {
            let bytes = pack.bytes.saturating_add(text.len());
            let is_long = pack.bytes > LONG && pack.texts.len() == 1;
            is_alone
                || is_long
                || pack.texts.len() >= self.packing.most_inputs
                || bytes > self.packing.most_bytes
        });
        if is_full {
            self.end();
        }
        let pack = self.open.get_or_insert_with(|| Pack {
            first: number,
            last: number,
            line,
            texts: Vec::new(),
            bytes: 0,
        });
        pack.last = number;
        pack.bytes = pack.bytes.saturating_add(text.len());
        pack.texts.push(text);
    }

    /// Takes a row that is not sent. The pack that it stands in continues behind it.
    pub(super) fn refuse(&mut self, row: BadRow) {
        self.ready.push_back(Next::Bad(row));
    }

    /// Ends the pack that is open.
    pub(super) fn end(&mut self) {
        if let Some(pack) = self.open.take() {
            self.ready.push_back(Next::Pack(pack));
        }
    }

    /// Why a text cannot be embedded.
    pub(super) fn fault(&self, text: &str) -> Option<String> {
        fault(&self.packing.model, &self.packing.column, text)
    }
}

/// Why a text in a column cannot be embedded. The same text has the same fault whenever it is asked: vectors
/// are found again by that.
pub(in crate::batch) fn fault(model: &str, column: &str, text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some(format!(
            "nothing stands in column {column:?}, so there is nothing to embed"
        ));
    }
    if text.len() <= LONG || !model.starts_with("text-embedding-") {
        return None;
    }
    let tokens = Encoding::for_model(model).count(text);
    (tokens > MOST_TOKENS)
        .then(|| format!("column {column:?} has {tokens} tokens, and {model} takes {MOST_TOKENS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packs(most_inputs: usize, most_bytes: usize, texts: &[&str]) -> Vec<String> {
        let mut packer = Packer::new(Packing {
            model: "m".to_owned(),
            column: "text".to_owned(),
            most_inputs,
            most_bytes,
        });
        for (number, text) in (1..).zip(texts) {
            match packer.fault(text) {
                None => packer.put(number, number + 1, (*text).to_owned()),
                Some(message) => packer.refuse(BadRow {
                    line: number + 1,
                    id: Ok(format!("row-{number}")),
                    message,
                }),
            }
        }
        packer.end();
        let next = std::iter::from_fn(|| packer.next());
        next.map(|next| match next {
            Next::Pack(pack) => format!("{}: {}", pack.id(), pack.input()),
            Next::Bad(row) => format!("{}: {}", row.id.unwrap(), row.message),
        })
        .collect()
    }

    #[test]
    fn rows_are_packed_up_to_both_limits_and_bad_ones_are_left_out() {
        assert_eq!(
            packs(2, 100, &["a", "b", "c"]),
            ["rows-1-2: [\"a\",\"b\"]", "rows-3-3: [\"c\"]"]
        );
        assert_eq!(
            packs(9, 4, &["aaa", "b", "ccccc", "d"]),
            [
                "rows-1-2: [\"aaa\",\"b\"]",
                "rows-3-3: [\"ccccc\"]",
                "rows-4-4: [\"d\"]"
            ]
        );
        let found = packs(9, 100, &["a", " ", "c"]);
        assert_eq!(found[1], "rows-1-3: [\"a\",\"c\"]");
        assert!(
            found[0].starts_with("row-2: nothing stands in column \"text\""),
            "{found:?}"
        );
        let long = "x".repeat(LONG + 1);
        let found = packs(9, 1 << 20, &["a", &long, "c"]);
        let ids: Vec<_> = found
            .iter()
            .map(|pack| pack.split(':').next().unwrap())
            .collect();
        assert_eq!(ids, ["rows-1-1", "rows-2-2", "rows-3-3"]);
    }

    #[test]
    fn a_text_that_no_input_holds_fails_alone() {
        let packer = Packer::new(Packing {
            model: "text-embedding-3-small".to_owned(),
            column: "text".to_owned(),
            most_inputs: 9,
            most_bytes: 1 << 20,
        });
        assert!(packer.fault(&"word ".repeat(8_000)).is_none());
        let fault = packer.fault(&"word ".repeat(9_000)).unwrap();
        assert!(
            fault.contains("tokens, and text-embedding-3-small takes 8192"),
            "{fault}"
        );
    }
}
