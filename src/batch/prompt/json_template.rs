//! JSON in whose strings the values of a row are put.

use std::borrow::Cow;

use super::template::Template;
use crate::batch::json::{Json, quoted};

/// Lists and objects in one another, at most: the reading recurs.
const MOST_DEEP: usize = 100;

/// A JSON text whose strings are templates. Names of fields are not, and numbers keep their digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonTemplate {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Json(String),
    /// A string with values in it.
    Text(Template),
}

impl JsonTemplate {
    /// `None` when the text is no JSON; otherwise what is wrong with one of its strings.
    pub(super) fn read(text: &str) -> Option<Result<Self, String>> {
        let json = Json::read_strictly(text)?;
        let mut template = Self { pieces: Vec::new() };
        Some(template.put(json, 0).map(|()| template))
    }

    /// A text that is JSON, or otherwise a string.
    pub(super) fn json_or_text(text: &str) -> Result<Self, String> {
        match Self::read(text) {
            Some(template) => template,
            None => {
                let mut template = Self { pieces: Vec::new() };
                template.put_text(text)?;
                Ok(template)
            }
        }
    }

    /// A string without values in it.
    pub(super) fn plain(text: &str) -> Self {
        Self {
            pieces: vec![Piece::Json(quoted(text))],
        }
    }

    fn put(&mut self, json: Json<'_>, depth: usize) -> Result<(), String> {
        if depth > MOST_DEEP {
            return Err(format!(
                "more than {MOST_DEEP} lists and objects in one another"
            ));
        }
        if let Some(text) = json.text() {
            return self.put_text(&text);
        }
        if let Some(fields) = json.fields() {
            for (at, (name, value)) in fields.into_iter().enumerate() {
                let before = if at == 0 { "{" } else { "," };
                self.put_json(&format!("{before}{}:", quoted(&name)));
                self.put(value, depth + 1)?;
            }
            let is_empty = json.fields().is_none_or(|fields| fields.is_empty());
            self.put_json(if is_empty { "{}" } else { "}" });
            return Ok(());
        }
        if let Some(items) = json.items() {
            self.put_json("[");
            for (at, item) in items.into_iter().enumerate() {
                if at > 0 {
                    self.put_json(",");
                }
                self.put(item, depth + 1)?;
            }
            self.put_json("]");
            return Ok(());
        }
        self.put_json(json.as_str());
        Ok(())
    }

    fn put_text(&mut self, text: &str) -> Result<(), String> {
        let template = Template::parse(text).map_err(|fault| fault.to_string())?;
        if template.columns().next().is_some() {
            self.pieces.push(Piece::Text(template));
            return Ok(());
        }
        let plain = template.render(|_| Ok::<_, String>(Cow::Borrowed("")))?;
        self.put_json(&quoted(&plain));
        Ok(())
    }

    fn put_json(&mut self, json: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Json(before)) => before.push_str(json),
            _ => self.pieces.push(Piece::Json(json.to_owned())),
        }
    }

    /// The columns that it names.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().flat_map(|piece| {
            let template = match piece {
                Piece::Json(_) => None,
                Piece::Text(template) => Some(template),
            };
            template.into_iter().flat_map(Template::columns)
        })
    }

    /// Its JSON for a row.
    pub(super) fn render<'a>(
        &self,
        mut value: impl FnMut(&str) -> Result<Cow<'a, str>, String>,
    ) -> Result<String, String> {
        let mut json = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Json(text) => json.push_str(text),
                Piece::Text(template) => json.push_str(&quoted(&template.render(&mut value)?)),
            }
        }
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> String {
        let template = JsonTemplate::json_or_text(text).unwrap();
        let rendered = template.render(|column| match column {
            "a" => Ok("say \"{b}\"".into()),
            column => Err(format!("no {column}")),
        });
        rendered.unwrap_or_else(|error| error)
    }

    #[test]
    fn values_stand_in_strings_and_numbers_keep_their_digits() {
        for (text, expected) in [
            ("0", "0"),
            (" 1.50 ", "1.50"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("low", "\"low\""),
            ("\"5\"", "\"5\""),
            ("{a}", r#""say \"{b}\"""#),
            (
                r#"{"x": ["{a}", {}, [], null]}"#,
                r#"{"x":["say \"{b}\"",{},[],null]}"#,
            ),
            (r#"{"{a}": "{{a}}"}"#, r#"{"{a}":"{a}"}"#),
            (r#""x{a}""#, r#""xsay \"{b}\"""#),
            ("{z}", "no z"),
            ("", "\"\""),
        ] {
            assert_eq!(render(text), expected, "{text}");
        }
        let columns = JsonTemplate::json_or_text(r#"["{a}", "{b}{a}"]"#).unwrap();
        assert_eq!(columns.columns().collect::<Vec<_>>(), ["a", "b", "a"]);
    }

    #[test]
    fn a_brace_too_many_and_too_much_depth_are_named() {
        let error = JsonTemplate::json_or_text(r#"{"x": "a}"}"#).unwrap_err();
        assert!(error.starts_with("line 1, character 2: a }"), "{error}");
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(
            JsonTemplate::json_or_text(&deep)
                .unwrap_err()
                .contains("in one another")
        );
        assert!(JsonTemplate::read("{a}").is_none());
    }
}
