//! What an output has cost in earlier runs, as its files tell.
//!
//! An answer says what it used. What was paid beyond that (attempts whose answers were lost, answers that
//! longer ones have replaced) is counted in lines that are written after it: each has the sum so far, so that
//! the largest is the whole, whichever lines are taken out later.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::bounds::Share;
use super::prices::Prices;
use crate::batch::json::Json;
use crate::batch::money::Money;
use crate::client::used_by;
use crate::cost::ServiceTier;
use crate::{Error, Result};

/// Bytes at the end of a file in which the last lines stand.
const TAIL: u64 = 1 << 20;
/// What a line has that tells of what was lost.
const LOST: &str = "\"lost\":{";

/// What earlier runs used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::batch) struct Spent {
    /// By the answers that are there.
    answers: Share,
    /// Besides them.
    pub(in crate::batch) lost: Share,
}

impl Spent {
    pub(in crate::batch) fn total(self) -> Share {
        Share {
            tokens: self.answers.tokens.saturating_add(self.lost.tokens),
            cost: self.answers.cost.saturating_add(self.lost.cost),
        }
    }

    /// What these files tell, of which any may be missing. What is no file tells nothing.
    pub(in crate::batch) fn of_files<'a>(
        paths: impl IntoIterator<Item = &'a Path>,
        prices: Option<&Prices>,
    ) -> Result<Self> {
        let mut spent = Self::default();
        for path in paths {
            if !path.is_file() {
                continue;
            }
            let file = match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file.map_err(|error| Error::io(path, error))?,
            };
            let mut reader = BufReader::with_capacity(1 << 16, file);
            let mut line = Vec::new();
            loop {
                line.clear();
                let read = reader.read_until(b'\n', &mut line);
                if read.map_err(|error| Error::io(path, error))? == 0 {
                    break;
                }
                if let Ok(text) = std::str::from_utf8(&line) {
                    spent.add(text, prices);
                }
            }
        }
        Ok(spent)
    }

    /// What was lost alone, by the last lines of these files: those written last tell of all.
    pub(in crate::batch) fn lost_in<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let mut spent = Self::default();
        for path in paths {
            if !path.is_file() {
                continue;
            }
            let fail = |error| Error::io(path, error);
            let mut file = match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file.map_err(fail)?,
            };
            let length = file.metadata().map_err(fail)?.len();
            let start = length.saturating_sub(TAIL);
            file.seek(SeekFrom::Start(start)).map_err(fail)?;
            let mut bytes = Vec::new();
            file.take(TAIL).read_to_end(&mut bytes).map_err(fail)?;
            let lines = bytes.split(|byte| *byte == b'\n');
            // The first one may begin in its middle, and is no JSON then.
            for line in lines.filter_map(|line| std::str::from_utf8(line).ok()) {
                if line.contains(LOST) {
                    spent.add(line, None);
                }
            }
        }
        spent.answers = Share::default();
        Ok(spent)
    }

    fn add(&mut self, line: &str, prices: Option<&Prices>) {
        let Some(line) = Json::read(line) else {
            return; // cut short
        };
        if let Some(lost) = line.field("lost") {
            let number = lost.field("tokens").map_or("", Json::as_str).parse();
            self.lost.tokens = self.lost.tokens.max(number.unwrap_or_default());
            let cost = lost.field("cost").and_then(Json::text);
            let cost = cost.and_then(|text| text.parse::<Money>().ok());
            self.lost.cost = self.lost.cost.max(cost.unwrap_or_default());
        }
        let body = line.field("response").and_then(|it| it.field("body"));
        let Some(body) = body else {
            return;
        };
        let (Some(usage), tier) = used_by(body.as_str()) else {
            return;
        };
        self.answers.tokens = self.answers.tokens.saturating_add(usage.total());
        let model = body.field("model").and_then(Json::text);
        let cost = prices.zip(model).and_then(|(prices, model)| {
            prices.cost_in(tier.unwrap_or(ServiceTier::Standard), &model, usage)
        });
        self.answers.cost = self.answers.cost.saturating_add(cost.unwrap_or_default());
    }
}

/// What a line says of what was paid besides answers, in the whole output so far.
pub(in crate::batch) fn field(lost: Share) -> Option<String> {
    let Share { tokens, cost } = lost;
    if lost == Share::default() {
        return None;
    }
    Some(format!(
        r#""lost":{{"tokens":{tokens},"cost":"{cost:.12}"}}"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_added_up_and_of_what_was_lost_the_last_word_counts() {
        let folder = tempfile::tempdir().unwrap();
        let answer = r#"{"custom_id":"a","response":{"status_code":200,"body":{"model":"m","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}},"error":null"#;
        let lost = |tokens: u64, cost: u128| {
            let cost = Money::from_trillionths(cost);
            field(Share { tokens, cost }).unwrap()
        };
        let results = folder.path().join("r.jsonl");
        let text = format!(
            "{answer}}}\n{answer},{}}}\n{answer},{}}}\n{{\"torn",
            lost(7, 3),
            lost(9, 5)
        );
        std::fs::write(&results, text).unwrap();
        let errors = folder.path().join("e.jsonl");
        std::fs::write(
            &errors,
            format!("{{\"custom_id\":\"b\",{}}}\n", lost(20, 4)),
        )
        .unwrap();
        let prices = Prices::from_toml("[models.m]\ninput = 1\noutput = 2\n").unwrap();
        let missing = folder.path().join("none");
        let spent = Spent::of_files([&*results, &*errors, &*missing], Some(&prices)).unwrap();
        let cost = Money::from_trillionths(3 * 20_000_000 + 5);
        assert_eq!(
            spent.total(),
            Share {
                tokens: 3 * 15 + 20,
                cost
            }
        );
        let unpriced = Spent::of_files([&*results], None).unwrap();
        assert_eq!(
            (unpriced.total().tokens, unpriced.answers.cost),
            (54, Money::ZERO)
        );
        assert_eq!(field(Share::default()), None);
        let lost = Spent::lost_in([&*results, &*errors, &*missing]).unwrap();
        assert_eq!(lost.total().tokens, 20);
    }
}
