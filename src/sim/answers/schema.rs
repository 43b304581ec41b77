//! A JSON value that satisfies a JSON Schema: what a model with structured outputs would write.
//!
//! Covers the subset that structured outputs and tools use: types, `properties`, `required`, `items`,
//! `prefixItems`, `enum`, `const`, `anyOf`, `oneOf`, `allOf`, `$ref`, bounds of numbers, lengths and
//! counts, and the usual formats of strings. A `pattern` is not followed.

use std::slice;

use serde_json::{Map, Value, json};

use super::super::draw::Draw;
use super::hints::Hints;
use super::words::WORDS;

/// Below this depth optional properties and items are left out, so that a schema that refers to
/// itself ends.
const DEPTH: usize = 8;
/// Below this depth everything is null: a schema that *requires* itself has no finite value.
const DEEPEST: usize = 32;
/// Most items of an array, and most characters of a string, that a schema can ask for.
const MOST_ITEMS: u64 = 256;
const MOST_CHARACTERS: u64 = 4_096;

/// A value for `schema`, the same for the same draws; from `hints` where they fit.
pub(super) fn value(schema: &Value, hints: &Hints, draw: &mut Draw) -> Value {
    let mut texts = hints.texts.iter();
    let mut numbers = hints.numbers.iter();
    Writer {
        root: schema,
        texts: &mut texts,
        numbers: &mut numbers,
        draw,
    }
    .write(schema, 0)
}

struct Writer<'a> {
    /// Where `$ref` points into.
    root: &'a Value,
    /// Hints that were not used yet.
    texts: &'a mut slice::Iter<'a, String>,
    numbers: &'a mut slice::Iter<'a, i64>,
    draw: &'a mut Draw,
}

impl Writer<'_> {
    fn write(&mut self, schema: &Value, depth: usize) -> Value {
        let Value::Object(fields) = schema else {
            // `true` allows anything.
            return self.words(2).into();
        };
        if depth > DEEPEST {
            return Value::Null;
        }
        if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
            let target = target
                .strip_prefix('#')
                .and_then(|it| self.root.pointer(it));
            return target.map_or(Value::Null, |target| self.write(&target.clone(), depth + 1));
        }
        if let Some(only) = fields.get("const") {
            return only.clone();
        }
        if let Some(choice) = fields.get("enum").and_then(Value::as_array) {
            return self.pick(choice).cloned().unwrap_or_default();
        }
        for name in ["anyOf", "oneOf"] {
            if let Some(choices) = fields.get(name).and_then(Value::as_array) {
                let choice = self.choose(choices, depth).cloned();
                return choice.map_or(Value::Null, |choice| self.write(&choice, depth + 1));
            }
        }
        if let Some(parts) = fields.get("allOf").and_then(Value::as_array) {
            return self.write(&merged(fields, parts), depth + 1);
        }
        match self.kind(fields, depth) {
            "object" => self.object(fields, depth),
            "array" => self.array(fields, depth),
            "integer" => self.number(fields, true),
            "number" => self.number(fields, false),
            "boolean" => Value::Bool(self.draw.between(0, 1) == 1),
            "null" => Value::Null,
            _ => self.string(fields).into(),
        }
    }

    /// Deep down the first that is null or has no parts ends what refers to itself.
    fn choose<'v>(&mut self, choices: &'v [Value], depth: usize) -> Option<&'v Value> {
        if depth < DEPTH {
            return self.pick(choices);
        }
        let ends = |choice: &&Value| {
            let kind = choice.get("type").and_then(Value::as_str);
            kind.is_some_and(|kind| kind != "object" && kind != "array")
        };
        choices.iter().find(ends).or(choices.first())
    }

    fn pick<'v>(&mut self, choices: &'v [Value]) -> Option<&'v Value> {
        let last = u64::try_from(choices.len()).ok()?.checked_sub(1)?;
        choices.get(usize::try_from(self.draw.between(0, last)).ok()?)
    }

    /// The type, where several are allowed the first that is not null; without one, what the other
    /// words are about.
    fn kind<'f>(&self, fields: &'f Map<String, Value>, depth: usize) -> &'f str {
        let has = |name: &str| fields.contains_key(name);
        match fields.get("type") {
            Some(Value::String(kind)) => kind,
            Some(Value::Array(kinds)) => {
                let mut kinds = kinds.iter().filter_map(Value::as_str);
                let is_null = |kind: &&str| *kind == "null";
                let wanted = |kind: &&str| is_null(kind) == (depth >= DEPTH);
                let first = kinds.clone().next().unwrap_or("null");
                kinds.find(wanted).unwrap_or(first)
            }
            _ if has("properties") || has("required") => "object",
            _ if has("items") || has("prefixItems") => "array",
            _ if has("minimum") || has("maximum") => "number",
            _ => "string",
        }
    }

    fn object(&mut self, fields: &Map<String, Value>, depth: usize) -> Value {
        let required: Vec<&str> = fields
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let mut object = Map::new();
        if let Some(properties) = fields.get("properties").and_then(Value::as_object) {
            for (name, schema) in properties {
                if depth < DEPTH || required.contains(&name.as_str()) {
                    object.insert(name.clone(), self.write(schema, depth + 1));
                }
            }
        }
        for name in required {
            if !object.contains_key(name) {
                let value = self.words(1);
                object.insert(name.to_owned(), value.into());
            }
        }
        Value::Object(object)
    }

    fn array(&mut self, fields: &Map<String, Value>, depth: usize) -> Value {
        let bound = |name| fields.get(name).and_then(Value::as_u64);
        let least = bound("minItems").unwrap_or(0).min(MOST_ITEMS);
        let most = bound("maxItems").unwrap_or(u64::MAX).max(least);
        let wanted = if depth < DEPTH {
            self.draw.between(1, 3)
        } else {
            0
        };
        let count = wanted.clamp(least, most);
        let first = fields.get("prefixItems").and_then(Value::as_array);
        let mut first = first.into_iter().flatten();
        let items = fields.get("items").unwrap_or(&Value::Null);
        (0..count)
            .map(|_| self.write(first.next().unwrap_or(items), depth + 1))
            .collect()
    }

    fn number(&mut self, fields: &Map<String, Value>, whole: bool) -> Value {
        let bound = |name| fields.get(name).and_then(Value::as_f64);
        let above = bound("exclusiveMinimum");
        let below = bound("exclusiveMaximum");
        let least = bound("minimum").or(above).unwrap_or(0.0);
        let most = bound("maximum").or(below).unwrap_or(least + 100.0);
        let most = most.max(least);
        if whole {
            let least = least.ceil() + f64::from(u8::from(above == Some(least.ceil())));
            let most = most.floor() - f64::from(u8::from(below == Some(most.floor())));
            let fits = |number: &f64| (least..=most).contains(number);
            #[expect(
                clippy::cast_precision_loss,
                reason = "a number that has no exact double is no worse a hint"
            )]
            let hint = self.numbers.next().map(|number| *number as f64);
            if let Some(hint) = hint.filter(fits) {
                return format!("{hint:.0}").parse().unwrap_or_else(|_| json!(0));
            }
            let drawn = least + ((most - least).max(0.0) * self.draw.unit()).round();
            let step = bound("multipleOf").filter(|step| *step >= 1.0);
            let drawn = step.map_or(drawn, |step| (drawn / step).ceil() * step);
            // A JSON number without a fraction: `5`, not `5.0`.
            return format!("{drawn:.0}").parse().unwrap_or_else(|_| json!(0));
        }
        // Strictly between the bounds unless they meet, so exclusive ones hold, too.
        let drawn = least + (most - least) * (0.25 + 0.5 * self.draw.unit());
        json!(drawn)
    }

    fn string(&mut self, fields: &Map<String, Value>) -> String {
        match fields.get("format").and_then(Value::as_str) {
            Some("date-time") => return "2024-05-06T07:08:09Z".to_owned(),
            Some("date") => return "2024-05-06".to_owned(),
            Some("time") => return "07:08:09Z".to_owned(),
            Some("duration") => return "PT5M".to_owned(),
            Some("email") => return "sun@example.com".to_owned(),
            Some("hostname") => return "example.com".to_owned(),
            Some("ipv4") => return "192.0.2.1".to_owned(),
            Some("ipv6") => return "2001:db8::1".to_owned(),
            Some("uri" | "url") => return "https://example.com/sun".to_owned(),
            Some("uuid") => return "01234567-89ab-4cde-8f01-23456789abcd".to_owned(),
            _ => {}
        }
        let bound = |name| fields.get(name).and_then(Value::as_u64);
        let least = bound("minLength").unwrap_or(0).min(MOST_CHARACTERS);
        let hint = self.texts.next().cloned();
        let mut text = hint.unwrap_or_else(|| self.words(3));
        while (text.chars().count() as u64) < least {
            text.push_str(" and");
        }
        if let Some(most) = bound("maxLength") {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            text = text.chars().take(most).collect();
        }
        text
    }

    fn words(&mut self, count: usize) -> String {
        let first = usize::try_from(self.draw.between(0, WORDS.len() as u64 - 1)).unwrap_or(0);
        let words = (0..count).map(|at| WORDS[(first + at) % WORDS.len()]);
        words.collect::<Vec<_>>().join(" ")
    }
}

/// All parts as one schema: their properties and required names together, else the last word.
fn merged(fields: &Map<String, Value>, parts: &[Value]) -> Value {
    let mut whole = fields.clone();
    whole.remove("allOf");
    for part in parts.iter().filter_map(Value::as_object) {
        for (name, value) in part {
            match (whole.get_mut(name), value) {
                (Some(Value::Object(known)), Value::Object(more)) => {
                    known.extend(more.clone());
                }
                (Some(Value::Array(known)), Value::Array(more)) if name == "required" => {
                    known.extend(more.iter().cloned());
                }
                _ => {
                    whole.insert(name.clone(), value.clone());
                }
            }
        }
    }
    Value::Object(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(schema: &Value) -> Vec<Value> {
        (0..20)
            .map(|seed| value(schema, &Hints::default(), &mut Draw::new(seed, b"schema")))
            .collect()
    }

    #[test]
    fn a_value_is_of_its_type_and_within_its_bounds() {
        type Rule = fn(&Value) -> bool;
        let table: [(Value, Rule); 14] = [
            (json!({"type": "string"}), |it| {
                it.as_str().is_some_and(|it| !it.is_empty())
            }),
            (
                json!({"type": "string", "minLength": 30, "maxLength": 31}),
                |it| it.as_str().is_some_and(|it| (30..=31).contains(&it.len())),
            ),
            (
                json!({"type": "integer", "minimum": 3, "maximum": 5}),
                |it| it.as_u64().is_some_and(|it| (3..=5).contains(&it)),
            ),
            (
                json!({"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5}),
                |it| *it == 4,
            ),
            (
                json!({"type": "integer", "minimum": 1, "multipleOf": 5}),
                |it| it.as_u64().is_some_and(|it| it % 5 == 0),
            ),
            (
                json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
                |it| it.as_f64().is_some_and(|it| it > 0.0 && it < 1.0),
            ),
            (json!({"type": "boolean"}), Value::is_boolean),
            (json!({"type": ["null", "integer"]}), Value::is_number),
            (json!({"enum": ["a", 2]}), |it| *it == "a" || *it == 2),
            (json!({"const": null}), Value::is_null),
            (
                json!({"type": "array", "items": {"type": "null"}, "minItems": 4, "maxItems": 4}),
                |it| *it == json!([null, null, null, null]),
            ),
            (json!({"anyOf": [{"type": "null"}, {"const": 1}]}), |it| {
                it.is_null() || *it == 1
            }),
            (
                json!({"allOf": [{"properties": {"a": {"const": 1}}}, {"required": ["b"]}]}),
                |it| it["a"] == 1 && it["b"].is_string(),
            ),
            (json!(true), |it| !it.is_null()),
        ];
        for (step, (schema, rule)) in table.into_iter().enumerate() {
            for value in written(&schema) {
                assert!(rule(&value), "step {step}: {schema} has {value}");
            }
        }
    }

    #[test]
    fn properties_come_in_their_order_and_required_ones_always() {
        let schema = json!({
            "type": "object",
            "properties": {"z": {"$ref": "#/$defs/sort"}, "a": {"type": "integer"}},
            "required": ["z", "a", "other"],
            "$defs": {"sort": {"enum": ["good"]}},
        });
        for value in written(&schema) {
            let names: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
            assert_eq!(names, ["z", "a", "other"]);
            assert_eq!(value["z"], "good");
        }
    }

    #[test]
    fn hints_are_taken_where_they_fit() {
        let schema = json!({"properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 1},
            "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        }});
        let hints = Hints {
            texts: vec!["Ōsaka".to_owned()],
            numbers: vec![7, 9],
        };
        let value = value(&schema, &hints, &mut Draw::new(1, b"hints"));
        assert_eq!(
            (&value["city"], &value["days"]),
            (&json!("Ōsaka"), &json!(7))
        );
        assert!(
            (1..=5).contains(&value["stars"].as_i64().unwrap()),
            "{value}"
        );
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let list = json!({
            "$defs": {"node": {
                "type": "object",
                "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                "required": ["next"],
            }},
            "$ref": "#/$defs/node",
        });
        let endless = json!({"properties": {"next": {"$ref": "#"}}, "required": ["next"]});
        let tree = json!({"type": "array", "items": {"$ref": "#"}});
        for schema in [list, endless, tree, json!({"$ref": "#/nowhere"})] {
            for value in written(&schema) {
                assert!(value.to_string().len() < 100_000, "{schema}");
            }
        }
    }
}
