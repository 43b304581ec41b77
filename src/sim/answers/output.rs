//! What one answer says: words, JSON of a schema, or a call of a tool.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::super::config::Said;
use super::super::draw::Draw;
use super::Words;
use super::hints::Hints;
use super::schema;
use super::words::MOST;

/// Characters of a token, as the simulator counts.
const TOKEN: usize = 4;

/// What a request wants to be answered with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Words,
    /// JSON that satisfies this schema; null is any object.
    Json(Value),
    /// A call of this tool, with arguments that satisfy its schema.
    Call {
        name: String,
        schema: Value,
    },
}

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Output {
    Words(Words),
    Json(Text),
    Call { name: String, arguments: Text },
}

/// A text that was written once and for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    text: String,
    tokens: u64,
    cut: bool,
}

impl Text {
    /// Cuts the text at `cap` tokens, as the API does, in the middle of its JSON if it must.
    fn cut_at(mut text: String, cap: Option<u64>) -> Self {
        let most = usize::try_from(cap.unwrap_or(MOST).clamp(1, MOST)).unwrap_or(usize::MAX);
        let most = most.saturating_mul(TOKEN);
        let end = text.char_indices().nth(most).map(|(at, _)| at);
        if let Some(end) = end {
            text.truncate(end);
        }
        let tokens = text.chars().count().div_ceil(TOKEN);
        Self {
            tokens: u64::try_from(tokens).unwrap_or(u64::MAX),
            cut: end.is_some(),
            text,
        }
    }
}

impl Output {
    /// Draws an answer of this shape; its length is drawn for words alone.
    pub(super) fn draw(
        shape: &Shape,
        hints: &Hints,
        draw: &mut Draw,
        cap: Option<u64>,
        lengths: Option<&RangeInclusive<u64>>,
    ) -> Self {
        match shape {
            Shape::Words => Self::Words(Words::draw(draw, cap, lengths)),
            Shape::Json(Value::Null) => {
                let value = json!({"answer": Words::draw(draw, Some(TOKEN as u64), None).text()});
                Self::Json(Text::cut_at(value.to_string(), cap))
            }
            Shape::Json(schema) => {
                let value = schema::value(schema, hints, draw);
                Self::Json(Text::cut_at(value.to_string(), cap))
            }
            Shape::Call { name, schema } => {
                let arguments = match schema {
                    Value::Null => json!({}),
                    schema => schema::value(schema, hints, draw),
                };
                Self::Call {
                    name: name.clone(),
                    arguments: Text::cut_at(arguments.to_string(), cap),
                }
            }
        }
    }

    /// An answer that a test has written, or None where it is to be made up.
    pub(super) fn scripted(said: &Said, cap: Option<u64>) -> Option<Self> {
        match said {
            Said::MadeUp | Said::Status { .. } => None,
            Said::Text(text) => Some(Self::Json(Text::cut_at(text.clone(), cap))),
            Said::Call { name, arguments } => Some(Self::Call {
                name: name.clone(),
                arguments: Text::cut_at(arguments.clone(), cap),
            }),
        }
    }

    pub(super) fn tokens(&self) -> u64 {
        match self {
            Self::Words(words) => words.tokens(),
            Self::Json(text) => text.tokens,
            Self::Call { arguments, .. } => arguments.tokens,
        }
    }

    /// Whether it ended at its cap.
    pub(super) fn cut(&self) -> bool {
        match self {
            Self::Words(words) => words.cut(),
            Self::Json(text) => text.cut,
            Self::Call { arguments, .. } => arguments.cut,
        }
    }

    /// The reason of its end in chat and completions.
    pub(super) fn finish_reason(&self) -> &'static str {
        match self {
            _ if self.cut() => "length",
            Self::Call { .. } => "tool_calls",
            _ => "stop",
        }
    }

    /// The tool that it calls, if it calls one.
    pub(super) fn called(&self) -> Option<&str> {
        match self {
            Self::Call { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Its text; of a call the arguments.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Words(words) => words.text(),
            Self::Json(text) => text.text.clone(),
            Self::Call { arguments, .. } => arguments.text.clone(),
        }
    }

    /// The text in at most `most` pieces of about the same length.
    pub(super) fn pieces(&self, most: u64) -> Vec<String> {
        let text = match self {
            Self::Words(words) => return words.pieces(most),
            Self::Json(text) => text,
            Self::Call { arguments, .. } => arguments,
        };
        let size = text.tokens.div_ceil(most.max(1)).max(1);
        let size = usize::try_from(size).unwrap_or(1).saturating_mul(TOKEN);
        let characters: Vec<char> = text.text.chars().collect();
        characters
            .chunks(size)
            .map(|piece| piece.iter().collect())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_cut_at_its_cap_and_whole_below_it() {
        let schema =
            json!({"type": "object", "properties": {"mood": {"const": "schön, sehr schön"}}});
        for shape in [
            Shape::Json(schema.clone()),
            Shape::Call {
                name: "look".to_owned(),
                schema,
            },
        ] {
            let drawn = |cap| {
                let hints = Hints::default();
                Output::draw(&shape, &hints, &mut Draw::new(1, b"json"), cap, None)
            };
            let whole = drawn(None);
            assert_eq!(whole.text(), "{\"mood\":\"schön, sehr schön\"}");
            assert_eq!(whole.tokens(), 7);
            assert_ne!(whole.finish_reason(), "length");
            let cut = drawn(Some(2));
            assert_eq!((cut.text().as_str(), cut.tokens()), ("{\"mood\":", 2));
            assert_eq!(cut.finish_reason(), "length");
            assert_eq!(drawn(Some(7)).text(), whole.text());
            for most in [1, 3, 64] {
                let pieces = whole.pieces(most);
                assert!(pieces.len() as u64 <= most);
                assert_eq!(pieces.concat(), whole.text());
            }
        }
    }
}
