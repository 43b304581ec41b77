//! What a body of the API answers, without all that stands around it.

use std::borrow::Cow;

use crate::batch::json::{Json, quoted};

/// The answer of one body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Answer {
    /// A text, or what there is in its place. Several choices are a list.
    pub(super) answer: Said,
    /// What the model says when it refuses, where it does.
    pub(super) refusal: Said,
    /// Why it ended, where that was before its time, such as `length`.
    pub(super) finish_reason: Said,
    /// Why it ended, also where that is as usual, such as `stop`.
    pub(super) ended: Said,
}

/// What is said of something, if anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Said {
    #[default]
    Nothing,
    Text(String),
    /// JSON that is no text, with all its digits.
    Json(String),
}

impl Said {
    fn of(value: Json<'_>) -> Self {
        match value.text() {
            _ if value.is_null() => Self::Nothing,
            Some(text) => Self::Text(text.into_owned()),
            None => Self::Json(value.compact()),
        }
    }

    pub(super) fn of_any(value: Option<Json<'_>>) -> Self {
        value.map_or(Self::Nothing, Self::of)
    }

    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }

    /// As JSON, null for nothing.
    pub(super) fn json(&self) -> Cow<'_, str> {
        match self {
            Self::Nothing => "null".into(),
            Self::Text(text) => quoted(text).into(),
            Self::Json(json) => json.into(),
        }
    }

    /// As text: what is none stands there as JSON, and nothing is empty.
    pub(super) fn plain(&self) -> &str {
        match self {
            Self::Nothing => "",
            Self::Text(text) | Self::Json(text) => text,
        }
    }

    fn list(each: &[Self]) -> Self {
        let each: Vec<_> = each.iter().map(Self::json).collect();
        Self::Json(format!("[{}]", each.join(",")))
    }

    /// The JSON that a text is, where it is some.
    fn parsed(self) -> Self {
        let Self::Text(text) = &self else {
            return self;
        };
        Json::read_strictly(text).map_or_else(|| self.clone(), Self::of)
    }
}

impl Answer {
    /// What is read is the form of the body, which does not say what was asked for. What has no form
    /// that is known is its own answer.
    pub(super) fn of(body: Json<'_>) -> Self {
        let fields = body.fields().unwrap_or_default();
        let field = |name: &str| {
            let mut fields = fields.iter().rev();
            fields.find_map(|(field, value)| (field == name).then_some(*value))
        };
        let list = |name| field(name).and_then(Json::items);
        if let Some(choices) = list("choices") {
            return Self::of_choices(choices);
        }
        if let Some(output) = list("output") {
            return Self::of_output(&output, field("incomplete_details"), field("status"));
        }
        if let Some(content) = list("content") {
            return Self::of_message(&content, field("stop_reason"));
        }
        if let Some(candidates) = list("candidates") {
            return Self::of_candidates(&candidates);
        }
        if let Some(data) = list("data") {
            let vectors = data.iter().map(|item| item.field("embedding"));
            if let Some(vectors) = vectors.collect::<Option<Vec<_>>>() {
                return Self::plain(one_or_all(&vectors));
            }
        }
        if let Some(results) = list("results") {
            return Self::plain(one_or_all(&results));
        }
        Self::plain(Said::of(body))
    }

    fn plain(answer: Said) -> Self {
        Self {
            answer,
            ..Self::default()
        }
    }

    /// Of chat and of completions.
    fn of_choices(choices: Vec<Json<'_>>) -> Self {
        let answers = choices.into_iter().map(|choice| {
            let reason = Said::of_any(choice.field("finish_reason"));
            let is_usual = matches!(reason.plain(), "stop" | "tool_calls" | "function_call");
            let message = choice.field("message");
            let of_message = |name| message.and_then(|message| message.field(name));
            let said = [
                of_message("content"),
                of_message("tool_calls"),
                choice.field("text"),
            ];
            Self {
                answer: Said::of_any(said.into_iter().flatten().find(|said| is_filled(*said))),
                refusal: Said::of_any(of_message("refusal")),
                ended: reason.clone(),
                finish_reason: if is_usual { Said::Nothing } else { reason },
            }
        });
        Self::all(answers.collect())
    }

    /// Of responses.
    fn of_output(
        output: &[Json<'_>],
        incomplete: Option<Json<'_>>,
        status: Option<Json<'_>>,
    ) -> Self {
        let mut text = None::<String>;
        let mut refusal = Said::Nothing;
        let mut calls = Vec::new();
        for item in output {
            let kind = item.field("type").and_then(Json::text);
            if kind.is_some_and(|kind| kind.ends_with("_call")) {
                calls.push(Said::of(*item));
                continue;
            }
            let content = item.field("content").and_then(Json::items);
            for part in content.unwrap_or_default() {
                match Said::of_any(part.field("refusal")) {
                    Said::Nothing => {}
                    words => refusal = words,
                }
                let is_text =
                    part.field("type").and_then(Json::text).as_deref() == Some("output_text");
                if let Some(words) = part.field("text").and_then(Json::text).filter(|_| is_text) {
                    text.get_or_insert_default().push_str(&words);
                }
            }
        }
        let reason = incomplete.and_then(|details| details.field("reason"));
        Self {
            answer: match text {
                Some(text) => Said::Text(text),
                None if calls.is_empty() => Said::Nothing,
                None => Said::list(&calls),
            },
            refusal,
            finish_reason: Said::of_any(reason),
            ended: Said::of_any(reason.or(status)),
        }
    }

    /// Of a message, as Anthropic has it.
    fn of_message(content: &[Json<'_>], stop: Option<Json<'_>>) -> Self {
        let is = |block: Json<'_>, kind: &str| {
            block.field("type").and_then(Json::text).as_deref() == Some(kind)
        };
        let texts = content.iter().filter_map(|block| {
            let text = block.field("text").and_then(Json::text);
            text.filter(|_| is(*block, "text"))
        });
        let texts: Vec<_> = texts.collect();
        let calls = content.iter();
        let calls = calls.filter(|block| is(**block, "tool_use"));
        let calls: Vec<_> = calls.map(|block| Said::of(*block)).collect();
        let reason = Said::of_any(stop);
        let is_usual = matches!(reason.plain(), "end_turn" | "stop_sequence" | "tool_use");
        let answer = match (texts.is_empty(), calls.is_empty()) {
            (false, _) => Said::Text(texts.concat()),
            (true, false) => Said::list(&calls),
            (true, true) => Said::Nothing,
        };
        match reason.plain() {
            "refusal" => Self {
                refusal: match answer {
                    Said::Nothing => Said::Text("refusal".to_owned()),
                    words => words,
                },
                ended: reason.clone(),
                finish_reason: reason,
                ..Self::default()
            },
            _ => Self {
                answer,
                refusal: Said::Nothing,
                ended: reason.clone(),
                finish_reason: if is_usual { Said::Nothing } else { reason },
            },
        }
    }

    /// Of Gemini's own form.
    fn of_candidates(candidates: &[Json<'_>]) -> Self {
        let answers = candidates.iter().map(|candidate| {
            let parts = candidate.field("content").and_then(|it| it.field("parts"));
            let parts = parts.and_then(Json::items).unwrap_or_default();
            let is_thought = |part: &Json<'_>| {
                part.field("thought")
                    .is_some_and(|it| it.as_str() == "true")
            };
            let parts: Vec<_> = parts.into_iter().filter(|part| !is_thought(part)).collect();
            let texts = parts
                .iter()
                .filter_map(|part| part.field("text").and_then(Json::text));
            let texts: Vec<_> = texts.collect();
            let reason = Said::of_any(candidate.field("finishReason"));
            Self {
                answer: match (texts.is_empty(), parts.is_empty()) {
                    (false, _) => Said::Text(texts.concat()),
                    (true, true) => Said::Nothing,
                    (true, false) => one_or_all(&parts),
                },
                refusal: Said::Nothing,
                ended: reason.clone(),
                finish_reason: if reason.plain() == "STOP" {
                    Said::Nothing
                } else {
                    reason
                },
            }
        });
        Self::all(answers.collect())
    }

    fn all(mut answers: Vec<Self>) -> Self {
        if answers.len() == 1 {
            return answers.pop().unwrap_or_default();
        }
        let (mut texts, mut refusals, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
        let mut ended = Vec::new();
        for answer in answers {
            ended.push(answer.ended);
            texts.push(answer.answer);
            refusals.push(answer.refusal);
            reasons.push(answer.finish_reason);
        }
        let if_any = |each: &[Said]| match each.iter().all(Said::is_nothing) {
            true => Said::Nothing,
            false => Said::list(each),
        };
        Self {
            answer: Said::list(&texts),
            refusal: if_any(&refusals),
            finish_reason: if_any(&reasons),
            ended: if_any(&ended),
        }
    }

    /// The same with JSON in place of the text that it is written as, where it is.
    pub(super) fn parsed(mut self) -> Self {
        self.answer = match self.answer {
            Said::Json(json) if json.starts_with('[') => {
                let items = Json::read(&json).and_then(Json::items).unwrap_or_default();
                let items: Vec<_> = items
                    .into_iter()
                    .map(|item| Said::of(item).parsed())
                    .collect();
                Said::list(&items)
            }
            other => other.parsed(),
        };
        self
    }
}

fn is_filled(value: Json<'_>) -> bool {
    !value.is_null() && value.items().is_none_or(|list| !list.is_empty())
}

fn one_or_all(values: &[Json<'_>]) -> Said {
    match values {
        [value] => Said::of(*value),
        values => {
            let each: Vec<_> = values.iter().map(|value| Said::of(*value)).collect();
            Said::list(&each)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The parts of an answer as values.
    fn of(body: &Value) -> (Value, Value, Value) {
        values(&answer(body))
    }

    fn answer(body: &Value) -> Answer {
        Answer::of(Json::read(&body.to_string()).unwrap())
    }

    fn values(answer: &Answer) -> (Value, Value, Value) {
        let value = |said: &Said| serde_json::from_str(&said.json()).unwrap();
        (
            value(&answer.answer),
            value(&answer.refusal),
            value(&answer.finish_reason),
        )
    }

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
                json!([{"type": "function_call", "name": "f"}]),
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
            (
                json!({"type": "message", "stop_reason": "end_turn", "content": [
                    {"type": "thinking", "thinking": "Hm."},
                    {"type": "text", "text": "Hi "}, {"type": "text", "text": "there."},
                ]}),
                json!("Hi there."),
            ),
            (
                json!({"content": [{"type": "tool_use", "name": "f", "input": {"a": 1}}], "stop_reason": "tool_use"}),
                json!([{"type": "tool_use", "name": "f", "input": {"a": 1}}]),
            ),
            (
                json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [
                    {"text": "Hm.", "thought": true}, {"text": "Hi."},
                ]}}]}),
                json!("Hi."),
            ),
            (json!("what"), json!("what")),
            (json!({"new": [1]}), json!({"new": [1]})),
        ];
        for (step, (body, expected)) in table.into_iter().enumerate() {
            assert_eq!(
                of(&body),
                (expected, Value::Null, Value::Null),
                "step {step}"
            );
        }
    }

    #[test]
    fn a_body_of_no_known_form_is_whole() {
        let body = json!({"data": [{"url": "http://h/1"}], "created": 7});
        assert_eq!(of(&body).0, body);
    }

    #[test]
    fn what_was_refused_or_cut_short_is_said() {
        let no = json!("No.");
        let found = of(&chat(&json!({"content": null, "refusal": "No."}), "stop"));
        assert_eq!(found, (Value::Null, no.clone(), Value::Null));
        let found = of(&chat(&json!({"content": "It is"}), "length"));
        assert_eq!(found, (json!("It is"), Value::Null, json!("length")));
        let found = of(&json!({"choices": [
            {"message": {"content": "a"}, "finish_reason": "stop"},
            {"message": {"content": null, "refusal": "No."}, "finish_reason": "content_filter"},
        ]}));
        let refusals = json!([null, "No."]);
        assert_eq!(
            found,
            (
                json!(["a", null]),
                refusals,
                json!([null, "content_filter"])
            )
        );
        let message =
            json!({"content": [{"type": "text", "text": "It is"}], "stop_reason": "max_tokens"});
        let cut = (json!("It is"), Value::Null, json!("max_tokens"));
        assert_eq!(of(&message), cut);
        let found = of(&json!({
            "output": [{"content": [{"type": "refusal", "refusal": "No."}]}],
            "incomplete_details": {"reason": "max_output_tokens"},
        }));
        assert_eq!(found, (Value::Null, no, json!("max_output_tokens")));
    }

    #[test]
    fn json_is_put_in_as_json_where_it_is_some() {
        let parsed = |text: Value| {
            let body = json!({"results": [text]});
            values(&answer(&body).parsed()).0
        };
        assert_eq!(parsed(json!("{\"a\": [1]}")), json!({"a": [1]}));
        assert_eq!(parsed(json!("{\"a\": [1")), json!("{\"a\": [1"));
        assert_eq!(parsed(json!(["[]", "no", null])), json!([[], "no", null]));
        assert_eq!(parsed(Value::Null), Value::Null);
    }

    #[test]
    fn numbers_keep_their_digits_and_odd_texts_are_read() {
        let table = [
            (
                r#"{"data":[{"embedding":[0.1000, 1e999, -0]}]}"#,
                "[0.1000,1e999,-0]",
            ),
            (
                r#"{"new":12345678901234567890123}"#,
                r#"{"new":12345678901234567890123}"#,
            ),
            (
                r#"{"choices":[{"message":{"content":"cut \ud83d"}}]}"#,
                "\"cut \u{fffd}\"",
            ),
        ];
        for (body, expected) in table {
            assert_eq!(
                Answer::of(Json::read(body).unwrap()).answer.json(),
                expected
            );
        }
        let text = r#"{"choices":[{"message":{"content":"{\"a\": 1.10, \"b\": 1e400}"}}]}"#;
        let parsed = Answer::of(Json::read(text).unwrap()).parsed();
        assert_eq!(parsed.answer.json(), r#"{"a":1.10,"b":1e400}"#);
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
            let _ = answer(&body).parsed();
        }
    }
}
