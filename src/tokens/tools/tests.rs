use super::*;
use crate::tokens::chat::chat;
use crate::tokens::responses::responses;
use crate::tokens::tests::{gpt_4o, tokens_of};
use crate::tokens::{Encoding, ModelTable};
use serde_json::json;

fn weather() -> Value {
    json!({
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {
                    "type": "string",
                    "description": "The city and state, e.g. San Francisco, CA",
                },
                "unit": {
                    "type": "string",
                    "description": "The unit of temperature to return",
                    "enum": ["celsius", "fahrenheit"],
                },
            },
            "required": ["location"],
        },
    })
}

fn of_schema(properties: &Value) -> u64 {
    let parameters = json!({ "type": "object", "properties": properties });
    let tools = |parameters: Value| json!([{ "type": "function", "function": { "name": "f", "parameters": parameters } }]);
    tokens_of(definitions, &tools(parameters)) - tokens_of(definitions, &tools(json!({})))
}

/// The worked example of the OpenAI Cookbook, "How to count tokens with tiktoken", section "Counting
/// tokens for chat completions with tool calls", with the counts that the API answered.
#[test]
fn the_cookbook_example_is_counted_as_the_api_counts_it() {
    let body = json!({
        "messages": [
            { "role": "system", "content": "You are a helpful assistant that can answer to questions about the weather." },
            { "role": "user", "content": "What's the weather like in San Francisco?" },
        ],
        "tools": [{ "type": "function", "function": weather() }],
    });
    for (model, tokens) in [
        ("gpt-3.5-turbo", 105),
        ("gpt-4", 105),
        ("gpt-4o", 101),
        ("gpt-4o-mini", 101),
    ] {
        let profile = ModelTable::default().profile(model);
        let mut tally = Tally::new(&profile);
        chat(&mut tally, &body);
        assert_eq!(tally.tokens, tokens, "{model}");
    }
}

#[test]
fn the_forms_of_a_function_count_the_same() {
    let in_chat = json!([{ "type": "function", "function": weather() }]);
    let tokens = tokens_of(definitions, &in_chat);
    let mut flat = weather();
    flat["type"] = json!("function");
    flat["strict"] = json!(true);
    for (step, tools) in [json!([flat]), json!([weather()])].into_iter().enumerate() {
        assert_eq!(
            tokens_of(definitions, &tools),
            tokens,
            "step {step}: {tools}"
        );
    }
    let body = json!({ "tools": [flat], "input": "hello" });
    let without = json!({ "input": "hello" });
    assert_eq!(
        tokens_of(responses, &body) - tokens_of(responses, &without),
        tokens
    );
    // What comes once for all functions comes once.
    let both = json!([weather(), weather(), { "type": "web_search" }]);
    let web = Encoding::O200kBase.count(r#"{"type":"web_search"}"#);
    assert_eq!(tokens_of(definitions, &both), 2 * tokens - 12 + web);
}

#[test]
fn nested_schemas_count_on_the_lines_of_flat_ones() {
    let count = |text: &str| Encoding::O200kBase.count(text);
    let text = json!({ "type": "string" });
    let of_text = |name: &str| 3 + count(&format!("{name}:string:"));
    let inner =
        json!({ "type": "object", "description": "Where it is.", "properties": { "b": text } });
    let table = [
        (json!({}), 0),
        (json!({ "a": text }), 3 + of_text("a")),
        (
            json!({ "a": text, "b": text }),
            3 + of_text("a") + of_text("b"),
        ),
        (
            json!({ "a": inner }),
            3 + 3 + count("a:object:Where it is") + 3 + of_text("b"),
        ),
        (
            json!({ "a": { "type": "array", "items": text } }),
            3 + 3 + count("a:array:") + of_text(""),
        ),
        (
            json!({ "a": { "type": "array", "items": inner } }),
            3 + 3 + count("a:array:") + 3 + count(":object:Where it is") + 3 + of_text("b"),
        ),
        (
            json!({ "a": { "anyOf": [text, { "type": "null" }] } }),
            3 + 3 + count("a::") + of_text("") + 3 + count(":null:"),
        ),
        (
            json!({ "a": { "type": ["string", "null"] } }),
            3 + 3 + count("a:string|null:"),
        ),
        (
            json!({ "a": { "enum": ["x", 5, null] } }),
            3 + 3 + count("a::") - 3 + 9 + count("x") + count("5") + count("null"),
        ),
        (
            json!({ "a": { "type": "string", "pattern": "^x+$", "default": { "b": 1 } } }),
            3 + of_text("a")
                + count("pattern")
                + count("^x+$")
                + count("default")
                + count(r#"{"b":1}"#),
        ),
        (
            json!({ "a": { "$defs": { "b": text }, "additionalProperties": false } }),
            3 + 3 + count("a::") + of_text("b"),
        ),
        (
            json!({ "a": { "additionalProperties": text } }),
            3 + 3 + count("a::") + of_text(""),
        ),
        (json!({ "a": true }), 3 + 3 + count("a:") + count("true")),
        (json!({ "a": "text" }), 3 + 3 + count("a:") + count("text")),
        (
            json!({ "a": { "type": 5 } }),
            3 + 3 + count("a::") + count("type") + count("5"),
        ),
    ];
    for (step, (properties, tokens)) in table.into_iter().enumerate() {
        assert_eq!(of_schema(&properties), tokens, "step {step}: {properties}");
    }
}

#[test]
fn alternatives_and_definitions_are_schemas_too() {
    let text = json!({ "type": "string", "description": "What it is." });
    let count = |text: &str| Encoding::O200kBase.count(text);
    let plain = of_schema(&json!({ "a": {} }));
    for keyword in ["anyOf", "oneOf", "allOf", "prefixItems", "items"] {
        let more = of_schema(&json!({ "a": { keyword: [text, text] } })) - plain;
        assert_eq!(more, 2 * (3 + count(":string:What it is")), "{keyword}");
    }
    for keyword in [
        "items",
        "additionalProperties",
        "not",
        "if",
        "then",
        "else",
        "contains",
    ] {
        let more = of_schema(&json!({ "a": { keyword: text } })) - plain;
        assert_eq!(more, 3 + count(":string:What it is"), "{keyword}");
    }
    for keyword in [
        "$defs",
        "definitions",
        "patternProperties",
        "dependentSchemas",
    ] {
        let more = of_schema(&json!({ "a": { keyword: { "b": text } } })) - plain;
        assert_eq!(more, 3 + count("b:string:What it is"), "{keyword}");
    }
}

/// Whatever a keyword is and however deep it stands, a text in it counts.
#[test]
fn nothing_of_a_schema_is_skipped() {
    let text = "one two three four five six seven eight";
    let tokens = Encoding::O200kBase.count(text);
    let keywords = "title description default const pattern format examples $ref $comment items not if \
        anyOf allOf oneOf prefixItems enum properties patternProperties definitions $defs x-own";
    for keyword in keywords.split_whitespace() {
        let places = [
            json!({ keyword: text }),
            json!({ keyword: [text] }),
            json!({ keyword: { "description": text } }),
            json!({ keyword: { "a": { "description": text } } }),
            json!({ keyword: [{ "items": { "description": text } }] }),
        ];
        for (step, schema) in places.into_iter().enumerate() {
            let more = of_schema(&json!({ "a": schema })) + 1 - of_schema(&json!({ "a": {} }));
            assert!(more >= tokens, "{keyword}, step {step}: {more} of {tokens}");
        }
    }
}

#[test]
fn characters_are_those_of_the_json() {
    let tools = json!([{ "type": "function", "function": weather() }, { "type": "web_search" }]);
    let profile = gpt_4o();
    let mut tally = Tally::new(&profile);
    definitions(&mut tally, &tools);
    assert_eq!(tally.characters, tools.to_string().len() as u64);
}
