//! What the last message of a request says literally: quoted texts and whole numbers. Values of a
//! schema are taken from there where they fit, as a model would that was asked for just that.

use serde_json::Value;

/// Hints of a kind that are looked at; the rest of a long message is passed over.
const MOST: usize = 8;
/// Longest quoted text, in bytes.
const LONGEST: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Hints {
    pub(super) texts: Vec<String>,
    pub(super) numbers: Vec<i64>,
}

impl Hints {
    /// Reads a message's content: a text, or parts that have one.
    pub(super) fn of(content: Option<&Value>) -> Self {
        let mut hints = Self::default();
        match content {
            Some(Value::String(text)) => hints.read(text),
            Some(Value::Array(parts)) => {
                let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
                texts.for_each(|text| hints.read(text));
            }
            _ => {}
        }
        hints
    }

    fn read(&mut self, text: &str) {
        for quote in ['\'', '"', '`'] {
            // Between two marks there is a quotation in every second piece.
            let quoted = text.split(quote).skip(1).step_by(2);
            let fit = quoted.filter(|it| !it.is_empty() && it.len() <= LONGEST);
            let room = MOST.saturating_sub(self.texts.len());
            self.texts.extend(fit.take(room).map(str::to_owned));
        }
        let numbers = text.split(|it: char| !it.is_ascii_digit() && it != '-');
        let room = MOST.saturating_sub(self.numbers.len());
        let numbers = numbers.filter_map(|it| it.parse::<i64>().ok());
        self.numbers.extend(numbers.take(room));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quotations_and_numbers_are_found() {
        let hints = Hints::of(Some(&json!("Call 'look' with \"Oslo\" and -3, then 14.")));
        assert_eq!(hints.texts, ["look", "Oslo"]);
        assert_eq!(hints.numbers, [-3, 14]);
        let parts = json!([{"type": "text", "text": "`a`"}, {"type": "image_url"}]);
        assert_eq!(Hints::of(Some(&parts)).texts, ["a"]);
        for nothing in [
            None,
            Some(&json!(7)),
            Some(&json!("it is - 99999999999999999999")),
        ] {
            assert_eq!(Hints::of(nothing), Hints::default());
        }
    }
}
