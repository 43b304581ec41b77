//! What a body of the API answers, without all that stands around it.

use serde_json::{Map, Value};

/// The answer of one body.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Answer {
    /// A text, or what there is in its place. Several choices are a list.
    pub(super) answer: Value,
    /// What the model says when it refuses, where it does.
    pub(super) refusal: Value,
    /// Why it ended, where that was before its time, such as `length`.
    pub(super) finish_reason: Value,
}

impl Answer {
    /// What is read is the form of the body, which does not say what was asked for. What has no form
    /// that is known is its own answer.
    pub(super) fn of(mut body: Value) -> Self {
        if let Some(choices) = list(&mut body, "choices") {
            return Self::of_choices(choices);
        }
        if let Some(output) = list(&mut body, "output") {
            return Self::of_output(output, body.get("incomplete_details"));
        }
        if let Some(Value::Array(data)) = body.get("data")
            && data.iter().all(|item| item.get("embedding").is_some())
            && let Some(data) = list(&mut body, "data")
        {
            let vectors = data
                .into_iter()
                .map(|mut item| take(&mut item, "embedding"));
            return Self::plain(one_or_all(vectors.collect()));
        }
        if let Some(results) = list(&mut body, "results") {
            return Self::plain(one_or_all(results));
        }
        Self::plain(body)
    }

    fn plain(answer: Value) -> Self {
        Self {
            answer,
            ..Self::default()
        }
    }

    /// Of chat and of completions.
    fn of_choices(choices: Vec<Value>) -> Self {
        let answers = choices.into_iter().map(|mut choice| {
            let reason = take(&mut choice, "finish_reason");
            let is_usual = |reason: &str| matches!(reason, "stop" | "tool_calls" | "function_call");
            let finish_reason = match reason.as_str().is_some_and(is_usual) {
                true => Value::Null,
                false => reason,
            };
            let mut message = take(&mut choice, "message");
            let said = [
                take(&mut message, "content"),
                take(&mut message, "tool_calls"),
                take(&mut choice, "text"),
            ];
            Self {
                answer: said.into_iter().find(is_filled).unwrap_or_default(),
                refusal: take(&mut message, "refusal"),
                finish_reason,
            }
        });
        Self::all(answers.collect())
    }

    /// Of responses.
    fn of_output(output: Vec<Value>, incomplete: Option<&Value>) -> Self {
        let mut text = None::<String>;
        let mut refusal = Value::Null;
        let mut calls = Vec::new();
        for mut item in output {
            let kind = take(&mut item, "type");
            if kind.as_str().is_some_and(|kind| kind.ends_with("_call")) {
                if let Value::Object(fields) = &mut item {
                    fields.insert("type".to_owned(), kind);
                }
                calls.push(item);
                continue;
            }
            for mut part in list(&mut item, "content").unwrap_or_default() {
                match take(&mut part, "refusal") {
                    Value::Null => {}
                    words => refusal = words,
                }
                if let (Some("output_text"), Some(words)) = (
                    part.get("type").and_then(Value::as_str),
                    part.get("text").and_then(Value::as_str),
                ) {
                    text.get_or_insert_default().push_str(words);
                }
            }
        }
        let reason = incomplete.and_then(|details| details.get("reason"));
        Self {
            answer: match text {
                Some(text) => text.into(),
                None if calls.is_empty() => Value::Null,
                None => calls.into(),
            },
            refusal,
            finish_reason: reason.cloned().unwrap_or_default(),
        }
    }

    fn all(mut answers: Vec<Self>) -> Self {
        if answers.len() == 1 {
            return answers.pop().unwrap_or_default();
        }
        let (mut texts, mut refusals, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
        for answer in answers {
            texts.push(answer.answer);
            refusals.push(answer.refusal);
            reasons.push(answer.finish_reason);
        }
        let if_any = |each: Vec<Value>| match each.iter().all(Value::is_null) {
            true => Value::Null,
            false => each.into(),
        };
        Self {
            answer: texts.into(),
            refusal: if_any(refusals),
            finish_reason: if_any(reasons),
        }
    }

    /// The same with JSON in place of the text that it is written as, where it is.
    pub(super) fn parsed(mut self) -> Self {
        let parse = |text: &mut Value| {
            let parsed = text
                .as_str()
                .and_then(|json| serde_json::from_str(json).ok());
            *text = parsed.unwrap_or_else(|| text.take());
        };
        match &mut self.answer {
            Value::Array(answers) => answers.iter_mut().for_each(parse),
            answer => parse(answer),
        }
        self
    }
}

/// The list that a field is, taken out.
fn list(body: &mut Value, field: &str) -> Option<Vec<Value>> {
    match body.get_mut(field)? {
        Value::Array(list) => Some(std::mem::take(list)),
        _ => None,
    }
}

/// A field, taken out; null when there is none.
fn take(value: &mut Value, field: &str) -> Value {
    let fields = value.as_object_mut();
    let taken = fields.and_then(|fields: &mut Map<String, Value>| fields.get_mut(field));
    taken.map(Value::take).unwrap_or_default()
}

fn is_filled(value: &Value) -> bool {
    !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty())
}

fn one_or_all(mut values: Vec<Value>) -> Value {
    match values.len() {
        1 => values.pop().unwrap_or_default(),
        _ => values.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn chat(message: &Value, reason: &str) -> Value {
        json!({"choices": [{"index": 0, "message": message, "finish_reason": reason}]})
    }

    #[test]
    fn each_kind_of_body_has_its_answer() {
        let call = json!({"id": "c", "type": "function", "function": {"name": "f"}});
        let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
        let item = |content: Value| json!({"type": "message", "content": content});
        let table = [
            (
                chat(&json!({"content": "Hi.", "refusal": null}), "stop"),
                json!("Hi."),
            ),
            (
                chat(&json!({"content": "", "tool_calls": []}), "stop"),
                json!(""),
            ),
            (
                chat(
                    &json!({"content": null, "tool_calls": [call]}),
                    "tool_calls",
                ),
                json!([call]),
            ),
            (
                chat(&json!({"content": "I call.", "tool_calls": [call]}), "stop"),
                json!("I call."),
            ),
            (
                json!({"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]}),
                json!(["a", "b"]),
            ),
            (json!({"choices": []}), json!([])),
            (
                json!({"choices": [{"text": " so", "finish_reason": "stop"}]}),
                json!(" so"),
            ),
            (
                json!({"output": [
                    {"type": "reasoning", "summary": []},
                    item(json!([part("a"), part("b")])),
                    item(json!([part("c")])),
                ]}),
                json!("abc"),
            ),
            (
                json!({"output": [{"type": "function_call", "name": "f"}]}),
                json!([{"name": "f", "type": "function_call"}]),
            ),
            (json!({"data": [{"embedding": [1.5, 2]}]}), json!([1.5, 2])),
            (
                json!({"data": [{"embedding": [1]}, {"embedding": "AAA="}]}),
                json!([[1], "AAA="]),
            ),
            (
                json!({"results": [{"flagged": true}]}),
                json!({"flagged": true}),
            ),
            (json!({"results": [1, 2]}), json!([1, 2])),
            (json!("what"), json!("what")),
            (json!({"new": [1]}), json!({"new": [1]})),
        ];
        for (step, (body, expected)) in table.into_iter().enumerate() {
            let found = Answer::of(body);
            assert_eq!(found, Answer::plain(expected), "step {step}");
        }
    }

    #[test]
    fn a_body_of_no_known_form_is_whole() {
        let body = json!({"data": [{"url": "http://h/1"}], "created": 7});
        assert_eq!(Answer::of(body.clone()).answer, body);
    }

    #[test]
    fn what_was_refused_or_cut_short_is_said() {
        let found = Answer::of(chat(&json!({"content": null, "refusal": "No."}), "stop"));
        assert_eq!((found.answer, found.refusal), (Value::Null, json!("No.")));
        let found = Answer::of(chat(&json!({"content": "It is"}), "length"));
        assert_eq!(
            (found.answer, found.finish_reason),
            (json!("It is"), json!("length"))
        );
        let found = Answer::of(json!({"choices": [
            {"message": {"content": "a"}, "finish_reason": "stop"},
            {"message": {"content": null, "refusal": "No."}, "finish_reason": "content_filter"},
        ]}));
        assert_eq!(found.answer, json!(["a", null]));
        assert_eq!(found.refusal, json!([null, "No."]));
        assert_eq!(found.finish_reason, json!([null, "content_filter"]));
        let found = Answer::of(json!({
            "output": [{"content": [{"type": "refusal", "refusal": "No."}]}],
            "incomplete_details": {"reason": "max_output_tokens"},
        }));
        assert_eq!((found.answer, found.refusal), (Value::Null, json!("No.")));
        assert_eq!(found.finish_reason, json!("max_output_tokens"));
    }

    #[test]
    fn json_is_put_in_as_json_where_it_is_some() {
        let parsed = |text: Value| Answer::plain(text).parsed().answer;
        assert_eq!(parsed(json!("{\"a\": [1]}")), json!({"a": [1]}));
        assert_eq!(parsed(json!("{\"a\": [1")), json!("{\"a\": [1"));
        assert_eq!(parsed(json!(["[]", "no", null])), json!([[], "no", null]));
        assert_eq!(parsed(Value::Null), Value::Null);
    }

    /// Any JSON, made of the names that are looked for.
    fn body() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            "output_text|length|x_call|\\[1\\]".prop_map(Value::from),
        ];
        let names = "choices|output|data|results|message|content|tool_calls|text|type|refusal|\
                     embedding|finish_reason|incomplete_details|reason";
        leaf.prop_recursive(5, 40, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((names, inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_body_panics(body in body()) {
            let _ = Answer::of(body).parsed();
        }
    }
}
