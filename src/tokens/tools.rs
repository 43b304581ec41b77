//! Definitions of tools, and schemas.
//!
//! A flat schema counts as the OpenAI Cookbook has it ("How to count tokens with tiktoken", part 7), to
//! the token of its worked example. The server shows functions to the model in a language of its own,
//! so this is less than their JSON. What the Cookbook leaves out is counted on the same lines: a nested
//! object as one more object with properties, an element of a list or an alternative as a property
//! without a name, and any other keyword as its text.

use serde_json::{Map, Value};

use super::json;
use super::tally::Tally;

/// A list of tools, or of functions in their older form.
pub(super) fn definitions(tally: &mut Tally<'_>, value: &Value) {
    let Value::Array(tools) = value else {
        return tally.value(value);
    };
    // The server's estimate is from the characters of the request, which are JSON.
    let characters = tally.characters.saturating_add(json::characters(value));
    let mut has_functions = false;
    for tool in tools {
        match function_of(tool) {
            Some(fields) => {
                has_functions = true;
                function(tally, fields);
            }
            // One that the server brings along, or a kind that is not known.
            None => tally.value(tool),
        }
    }
    tally.characters = characters;
    if has_functions {
        tally.overhead(tally.profile.tools.all);
    }
}

/// The definition of a function: of chat, where it is a field of its own, of Responses, where it is the
/// tool itself, or of the older list of functions, which has no types.
fn function_of(tool: &Value) -> Option<&Map<String, Value>> {
    let fields = tool.as_object()?;
    match (fields.get("function"), fields.get("type")) {
        (Some(function), _) => function.as_object(),
        (None, Some(Value::String(kind))) => {
            let has_schema = fields.contains_key("input_schema");
            (kind == "function" || kind == "custom" && has_schema).then_some(fields)
        }
        (None, _) => fields.contains_key("name").then_some(fields),
    }
}

fn function(tally: &mut Tally<'_>, fields: &Map<String, Value>) {
    tally.overhead(tally.profile.tools.each);
    let name = word(fields, "name");
    tally.joined([name, ":", description(fields)]);
    for (key, value) in fields {
        match (key.as_str(), value) {
            // Counted above; and what is for the server.
            ("name" | "description", Value::String(_)) | ("type" | "strict", _) => {}
            ("parameters" | "input_schema", value) => schema(tally, value),
            (key, value) => keyword(tally, key, value),
        }
    }
}

/// A schema and all that is in it. A list of what is left to visit, and no recursion: how deep a
/// schema is nested is up to the caller, and the stack is not.
fn schema(tally: &mut Tally<'_>, root: &Value) {
    let format = tally.profile.tools;
    let mut left: Vec<(Option<&str>, &Value)> = vec![(None, root)];
    while let Some((name, schema)) = left.pop() {
        let Value::Object(fields) = schema else {
            if let Some(name) = name {
                tally.overhead(format.property);
                tally.joined([name, ":"]);
            }
            tally.value(schema);
            continue;
        };
        match name {
            Some(name) => {
                tally.overhead(format.property);
                let line = [name, ":"].into_iter().chain(types(fields));
                tally.joined(line.chain([":", description(fields)]));
            }
            // Of a function: it is an object, and is described as the function is.
            None => tally.text(description(fields)),
        }
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("description", Value::String(_)) | ("type", Value::String(_)) => {}
                // Shown by a mark of each property, and not at all.
                ("required", Value::Array(_)) | ("additionalProperties", Value::Bool(_)) => {}
                ("type", Value::Array(list)) if list.iter().all(Value::is_string) => {}
                ("properties", Value::Object(properties)) => {
                    if !properties.is_empty() {
                        tally.overhead(format.properties);
                    }
                    left.extend(
                        properties
                            .iter()
                            .map(|(name, of)| (Some(name.as_str()), of)),
                    );
                }
                ("enum", Value::Array(choices)) => {
                    tally.overhead(format.choices);
                    for choice in choices {
                        tally.overhead(format.choice);
                        match choice {
                            Value::String(text) => tally.text(text),
                            other => tally.json(other),
                        }
                    }
                }
                (
                    "$defs" | "definitions" | "patternProperties" | "dependentSchemas",
                    Value::Object(schemas),
                ) => left.extend(schemas.iter().map(|(name, of)| (Some(name.as_str()), of))),
                ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(schemas)) => {
                    left.extend(schemas.iter().map(|of| (Some(""), of)));
                }
                (
                    "items"
                    | "additionalProperties"
                    | "not"
                    | "if"
                    | "then"
                    | "else"
                    | "contains"
                    | "propertyNames"
                    | "unevaluatedProperties"
                    | "unevaluatedItems",
                    Value::Object(_),
                ) => left.push((Some(""), value)),
                (key, value) => keyword(tally, key, value),
            }
        }
    }
}

/// Whatever else may stand in a schema: a default, a pattern, a bound.
fn keyword(tally: &mut Tally<'_>, key: &str, value: &Value) {
    tally.text(key);
    match value {
        Value::String(text) => tally.text(text),
        other => tally.json(other),
    }
}

/// The types of a schema: one, or a list of them.
fn types(fields: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let (one, list) = match fields.get("type") {
        Some(Value::String(one)) => (Some(one.as_str()), &[][..]),
        Some(Value::Array(list)) => (None, list.as_slice()),
        _ => (None, &[][..]),
    };
    let list = list.iter().filter_map(Value::as_str).enumerate();
    let list = list.flat_map(|(at, kind)| [if at == 0 { "" } else { "|" }, kind]);
    one.into_iter().chain(list)
}

/// Without its full stop, as the Cookbook has it.
fn description(fields: &Map<String, Value>) -> &str {
    let text = word(fields, "description");
    text.strip_suffix('.').unwrap_or(text)
}

fn word<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The schema that an answer has to follow. The model is shown its JSON.
pub(super) fn answer(tally: &mut Tally<'_>, format: &Value) {
    let Value::Object(fields) = format else {
        return;
    };
    let mut rest = fields.iter().filter(|(key, _)| *key != "type").peekable();
    if rest.peek().is_none() {
        return; // text, or any JSON object
    }
    let overhead = i32::try_from(tally.profile.schema).unwrap_or(i32::MAX);
    tally.overhead(overhead);
    for (key, value) in rest {
        match key.as_str() {
            "strict" => {}
            _ => tally.value(value),
        }
    }
}

#[cfg(test)]
mod tests;
