//! Fields that are set in the bodies of requests, by their paths.

use std::borrow::Cow;

use super::json_template::JsonTemplate;
use crate::batch::json::{Json, quoted};
use crate::{Error, Result};

/// Fields to set in the body of each request, in this order; for
/// [`Input::file_with`](crate::batch::Input::file_with) and [`Prompt::edit`](crate::batch::Prompt::edit).
///
/// A path names a field, with dots between the names of objects in one another: `reasoning.effort`. A number
/// names an item of a list. `\.` is a dot in a name. Objects that are missing are made.
///
/// ```
/// use paceline::batch::Edits;
///
/// let edits = Edits::new()
///     .set("temperature", "0")?
///     .set("reasoning.effort", "low")?
///     .set("metadata", r#"{"request": "{custom_id}"}"#)?;
/// # let _ = edits;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Edits {
    sets: Vec<Set>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Set {
    path: Vec<String>,
    value: JsonTemplate,
}

impl Edits {
    /// No edits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the field at `path` to `value`: JSON where it is some, and a string otherwise. In its strings
    /// `{column}` takes a row's value; a line of a Batch file has the one column `custom_id`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the path is none, or names the model or `stream`, or the value has a brace too
    /// many.
    pub fn set(mut self, path: &str, value: &str) -> Result<Self> {
        let wrong = |what: String| Error::config(path, format!("{path}: {what}"));
        let names = names(path).ok_or_else(|| {
            wrong("a path is needed, such as temperature or reasoning.effort".to_owned())
        })?;
        match names.as_slice() {
            [name] if name == "model" => {
                return Err(wrong("the model is set by its own option".to_owned()));
            }
            [name] if name == "stream" => {
                return Err(wrong(
                    "a result is one line, so no response is streamed".to_owned(),
                ));
            }
            _ => {}
        }
        let value = JsonTemplate::json_or_text(value).map_err(wrong)?;
        self.sets.push(Set { path: names, value });
        Ok(self)
    }

    /// Sets the model of all requests.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it has no name.
    pub fn model(mut self, name: &str) -> Result<Self> {
        if name.trim().is_empty() {
            return Err(Error::config("model", "the name of a model is needed"));
        }
        self.sets.push(Set {
            path: vec!["model".to_owned()],
            value: JsonTemplate::plain(name),
        });
        Ok(self)
    }

    /// True when it sets nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The model that all requests have, where it is set.
    pub(in crate::batch) fn stated_model(&self) -> Option<String> {
        let mut sets = self.sets.iter().rev();
        let set = sets.find(|set| set.path == ["model"])?;
        let json = set.value.render(|_| Err(String::new())).ok()?;
        Json::read(&json)?.text().map(Cow::into_owned)
    }

    /// The columns that it names.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.sets.iter().flat_map(|set| set.value.columns())
    }

    /// A body with its fields set. What is not set stays as it stands.
    pub(in crate::batch) fn apply<'a>(
        &self,
        body: &str,
        value: impl Fn(&str) -> Result<Cow<'a, str>, String>,
    ) -> Result<String, String> {
        let mut body = body.to_owned();
        for set in &self.sets {
            let json = set.value.render(&value);
            let json = json.map_err(|error| format!("{}: {error}", set.path.join(".")))?;
            let old = Json::read(&body).unwrap_or(Json::NULL);
            body = put(old, &set.path, &json)
                .map_err(|what| format!("{}: {what}", set.path.join(".")))?;
        }
        Ok(body)
    }
}

/// The names of a path. `None` when one of them is empty.
fn names(path: &str) -> Option<Vec<String>> {
    let mut names = vec![String::new()];
    let mut chars = path.chars();
    while let Some(char) = chars.next() {
        let last = names.last_mut()?;
        match char {
            '.' => names.push(String::new()),
            '\\' => last.push(chars.next()?),
            char => last.push(char),
        }
    }
    names.iter().all(|name| !name.is_empty()).then_some(names)
}

/// The same JSON with a value at a path. It recurs as often as the path has names.
fn put(json: Json<'_>, path: &[String], value: &str) -> Result<String, String> {
    let Some((name, rest)) = path.split_first() else {
        return Ok(value.to_owned());
    };
    if let Some(items) = json.items() {
        let at = name.parse::<usize>().ok().filter(|at| *at <= items.len());
        let at = at.ok_or_else(|| format!("{name:?} is no item of a list of {}", items.len()))?;
        let mut items: Vec<String> = items.iter().map(|item| item.as_str().to_owned()).collect();
        match items.get_mut(at) {
            Some(item) => {
                let old = item.clone();
                *item = put(Json::read(&old).unwrap_or(Json::NULL), rest, value)?;
            }
            None => items.push(put(Json::NULL, rest, value)?),
        }
        return Ok(format!("[{}]", items.join(",")));
    }
    let fields = match json.fields() {
        Some(fields) => fields,
        None if json.is_null() => Vec::new(),
        None => return Err(format!("{name:?} is no field of what is no object")),
    };
    let mut made = String::from("{");
    let begin = |made: &mut String, name: &str| {
        if made.len() > 1 {
            made.push(',');
        }
        made.push_str(&quoted(name));
        made.push(':');
    };
    let last = fields.iter().rposition(|(field, _)| field == name);
    for (at, (field, old)) in fields.iter().enumerate() {
        if field == name && last != Some(at) {
            continue; // of those of one name the last counts
        }
        begin(&mut made, field);
        match last == Some(at) {
            true => made.push_str(&put(*old, rest, value)?),
            false => made.push_str(old.as_str()),
        }
    }
    if last.is_none() {
        begin(&mut made, name);
        made.push_str(&put(Json::NULL, rest, value)?);
    }
    made.push('}');
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(body: &str, sets: &[(&str, &str)]) -> Result<String, String> {
        let edits = sets.iter().fold(Edits::new(), |edits, (path, value)| {
            edits.set(path, value).unwrap()
        });
        edits.apply(body, |column| match column {
            "custom_id" => Ok("r1".into()),
            column => Err(format!("no column {column:?}")),
        })
    }

    #[test]
    fn fields_are_set_by_their_paths_and_all_else_stays() {
        let body = r#"{"a": 1.10, "b": {"c": 1e400}, "l": [1, {"x": 2}], "b2": null}"#;
        let rest = r#""l":[1, {"x": 2}],"b2":null"#;
        for (sets, expected) in [
            (
                &[("a", "0")][..],
                format!(r#"{{"a":0,"b":{{"c": 1e400}},{rest}}}"#),
            ),
            (
                &[("b.c", "low")],
                format!(r#"{{"a":1.10,"b":{{"c":"low"}},{rest}}}"#),
            ),
            (
                &[("b.d.e", "true")],
                format!(r#"{{"a":1.10,"b":{{"c":1e400,"d":{{"e":true}}}},{rest}}}"#),
            ),
            (
                &[("new", "[{\"id\": \"{custom_id}\"}]")],
                format!(r#"{{"a":1.10,"b":{{"c": 1e400}},{rest},"new":[{{"id":"r1"}}]}}"#),
            ),
            (
                &[
                    ("l.1.x", "3"),
                    ("l.2", "4"),
                    ("b2.y\\.z", "5"),
                    ("b", "null"),
                ],
                r#"{"a":1.10,"b":null,"l":[1,{"x":3},4],"b2":{"y.z":5}}"#.to_owned(),
            ),
        ] {
            assert_eq!(apply(body, sets).unwrap(), expected, "{sets:?}");
        }
        assert_eq!(
            apply(r#"{"a":1,"b":2,"a":3}"#, &[("a", "4")]).unwrap(),
            r#"{"b":2,"a":4}"#
        );
    }

    #[test]
    fn what_cannot_be_set_is_named() {
        for (path, value, said) in [
            ("a.b", "1", "a.b: \"b\" is no field"),
            ("l.7", "1", "l.7: \"7\" is no item of a list of 1"),
            ("x", "{y}", "x: no column \"y\""),
        ] {
            let error = apply(r#"{"a":1,"l":[2]}"#, &[(path, value)]).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
        for (path, value, said) in [
            ("", "1", "a path is needed"),
            ("a..b", "1", "a path is needed"),
            ("model", "m", "the model is set"),
            ("stream", "true", "one line"),
            ("x", "a}", "line 1, character 2"),
        ] {
            let error = Edits::new().set(path, value).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(Edits::new().model(" ").is_err());
        let model = Edits::new().model("{m}").unwrap();
        assert_eq!(model.stated_model().as_deref(), Some("{m}"));
        assert_eq!(
            model.apply("{}", |_| Err(String::new())).unwrap(),
            r#"{"model":"{m}"}"#
        );
    }
}
