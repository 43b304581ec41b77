//! What the tests of this room share.

use proptest::prelude::*;
use serde_json::Value;

use super::tally::Tally;
use super::{ModelTable, Profile};

pub(super) fn gpt_4o() -> Profile {
    ModelTable::default().profile("gpt-4o")
}

/// What `count` makes of a value on gpt-4o, in tokens.
pub(super) fn tokens_of(count: fn(&mut Tally<'_>, &Value), value: &Value) -> u64 {
    let profile = gpt_4o();
    let mut tally = Tally::new(&profile);
    count(&mut tally, value);
    tally.tokens
}

/// Any JSON, in fields that mean something.
pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let names = "messages content role name type text input prompt suffix instructions tools \
        tool_calls response_format json_schema format max_tokens max_completion_tokens \
        max_output_tokens n best_of output refusal image_url url detail input_audio data audio file \
        file_data source function parameters properties items enum anyOf description required $defs \
        function_call encrypted_content summary prediction strict";
    let words = "image_url input_image input_audio input_file file text function message object \
        string low high original auto json_schema reasoning image_generation_call \
        data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ data:audio/wav;base64,UklGRg== \
        data:application/pdf;base64,JVBERi0x data:;base64, data:";
    let select =
        |words: &'static str| prop::sample::select(words.split_whitespace().collect::<Vec<_>>());
    let (name, word) = (select(names), select(words));
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => ".{0,20}".prop_map(Value::from),
        1 => name.clone().prop_map(Value::from),
        4 => word.prop_map(Value::from),
    ];
    let fields = move |value: BoxedStrategy<Value>| {
        prop::collection::vec((name.clone(), value), 0..6)
            .prop_map(|fields| fields.into_iter().collect::<Value>())
    };
    let nested = fields.clone();
    let any_value = leaf.prop_recursive(5, 40, 6, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from);
        prop_oneof![list, nested(inner.boxed())]
    });
    prop_oneof![9 => fields(any_value.clone().boxed()), 1 => any_value]
}
