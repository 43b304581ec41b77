//! `/v1/completions`, the older endpoint that continues a text.

use serde_json::{Value, json};

use super::super::config::TokenCounter;
use super::fields::{Body, count, flag, model, required, tokens};
use super::{Asked, CREATED, Form, Refusal, Response, Words, usage};

/// Most answers to one prompt.
const MOST_CHOICES: u64 = 128;
/// Most answers of one request.
const MOST_ANSWERS: u64 = 2_048;

/// With several prompts each gets its answers, and `best_of` answers are made and charged for
/// `n` that are given.
pub(super) fn read(body: &Body, counter: Option<&TokenCounter>) -> Result<Asked, Refusal> {
    let model = model(body)?;
    let prompt = required(body, "prompt")?;
    let prompts = match prompt {
        Value::String(_) => 1,
        Value::Array(list) if list.first().is_some_and(Value::is_number) => 1,
        Value::Array(list) if !list.is_empty() => u64::try_from(list.len()).unwrap_or(u64::MAX),
        _ => return Err(Refusal::invalid("prompt", "a string or an array")),
    };
    if flag(body, "stream")? {
        return Err(Refusal::invalid("stream", "false: not simulated here"));
    }
    let n = count(body, "n", MOST_CHOICES)?.unwrap_or(1);
    let best_of = count(body, "best_of", MOST_CHOICES)?.unwrap_or(n);
    if best_of < n {
        return Err(Refusal::invalid("best_of", "at least as many as 'n'"));
    }
    let charged = prompts.saturating_mul(best_of);
    if charged > MOST_ANSWERS {
        return Err(Refusal::invalid("prompt", "at most 2048 answers in all"));
    }
    Ok(Asked {
        model,
        prompt_tokens: tokens(counter, [prompt]),
        cap: count(body, "max_tokens", u64::MAX)?,
        charged,
        choices: prompts.saturating_mul(n),
        length: None,
        form: Form::Completion,
    })
}

pub(super) fn answer(asked: &Asked, id: &str, words: &[Words]) -> Response {
    let choices: Vec<Value> = words
        .iter()
        .enumerate()
        .map(|(index, words)| {
            json!({
                "index": index,
                "text": words.text(),
                "logprobs": null,
                "finish_reason": words.finish_reason(),
            })
        })
        .collect();
    let body = json!({
        "id": format!("cmpl-{id}"),
        "object": "text_completion",
        "created": CREATED,
        "model": asked.model,
        "choices": choices,
        "usage": usage(asked, words),
    });
    Response::json(200, &body)
}
