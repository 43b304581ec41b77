//! `/v1/completions`, the older endpoint that continues a text.

use serde_json::{Value, json};

use super::super::config::TokenCounter;
use super::fields::{Body, count, flag, include_usage, model, required, tokens};
use super::output::Output;
use super::{Asked, CREATED, Form, MOST_PIECES, Refusal, Response, logprobs, usage};

/// Most answers to one prompt: `n` in OpenAI's API reference.
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
    let n = count(body, "n", MOST_CHOICES)?.unwrap_or(1);
    let best_of = count(body, "best_of", MOST_CHOICES)?.unwrap_or(n);
    if best_of < n {
        return Err(Refusal::invalid("best_of", "at least as many as 'n'"));
    }
    let charged = prompts.saturating_mul(best_of);
    if charged > MOST_ANSWERS {
        return Err(Refusal::invalid("prompt", "at most 2048 answers in all"));
    }
    let form = if flag(body, "stream")? {
        Form::CompletionStream {
            include_usage: include_usage(body)?,
        }
    } else {
        Form::Completion
    };
    Ok(Asked {
        logprobs: count(body, "logprobs", 5)?,
        prompt_tokens: tokens(counter, [prompt]),
        cap: count(body, "max_tokens", u64::MAX)?,
        charged,
        choices: prompts.saturating_mul(n),
        ..Asked::new(model, form)
    })
}

pub(super) fn answer(asked: &Asked, id: &str, outputs: &[Output]) -> Response {
    let choices: Vec<Value> = outputs
        .iter()
        .enumerate()
        .map(|(index, output)| {
            let tokens = |top| logprobs::of_completion(top, &output.pieces(u64::MAX));
            let tokens = asked.logprobs.map_or(Value::Null, tokens);
            choice(index, &output.text(), &tokens, Some(output.finish_reason()))
        })
        .collect();
    let mut body = frame(asked, id, &choices);
    body["usage"] = usage(asked, outputs);
    Response::json(200, &body)
}

/// The text of each choice in pieces, the last of which has the reason of its end; with
/// `include_usage` a chunk without choices that has the usage.
pub(super) fn stream(asked: &Asked, id: &str, outputs: &[Output], include_usage: bool) -> Response {
    let mut chunks = Vec::new();
    for (index, output) in outputs.iter().enumerate() {
        let pieces = output.pieces(MOST_PIECES);
        for (at, piece) in pieces.iter().enumerate() {
            let reason = (at + 1 == pieces.len()).then(|| output.finish_reason());
            let tokens = |top| logprobs::of_completion(top, &[piece]);
            let tokens = asked.logprobs.map_or(Value::Null, tokens);
            chunks.push(frame(asked, id, &[choice(index, piece, &tokens, reason)]));
        }
    }
    if include_usage {
        let mut last = frame(asked, id, &[]);
        last["usage"] = usage(asked, outputs);
        chunks.push(last);
    }
    Response::events(chunks)
}

fn choice(index: usize, text: &str, logprobs: &Value, finish_reason: Option<&str>) -> Value {
    json!({
        "index": index,
        "text": text,
        "logprobs": logprobs,
        "finish_reason": finish_reason,
    })
}

fn frame(asked: &Asked, id: &str, choices: &[Value]) -> Value {
    json!({
        "id": format!("cmpl-{id}"),
        "object": "text_completion",
        "created": CREATED,
        "model": asked.model,
        "choices": choices,
    })
}
