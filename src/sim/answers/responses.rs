//! `/v1/responses`.

use serde_json::{Value, json};

use super::super::config::TokenCounter;
use super::fields::{Body, count, field, flag, model, required, tokens};
use super::{Asked, CREATED, Form, Refusal, Response, Words};

pub(super) fn read(body: &Body, counter: Option<&TokenCounter>) -> Result<Asked, Refusal> {
    let model = model(body)?;
    let input = required(body, "input")?;
    if !input.is_string() && !input.is_array() {
        return Err(Refusal::invalid("input", "a string or an array"));
    }
    if flag(body, "stream")? {
        return Err(Refusal::invalid("stream", "false: not simulated here"));
    }
    let texts = [Some(input), field(body, "instructions")];
    Ok(Asked {
        model,
        prompt_tokens: tokens(counter, texts.into_iter().flatten()),
        cap: count(body, "max_output_tokens", u64::MAX)?,
        charged: 1,
        choices: 1,
        length: None,
        form: Form::Responses,
    })
}

pub(super) fn answer(asked: &Asked, id: &str, words: &[Words]) -> Response {
    let output_tokens: u64 = words.iter().map(Words::tokens).sum();
    let cut = words.iter().any(Words::cut);
    let status = if cut { "incomplete" } else { "completed" };
    let details = if cut {
        json!({"reason": "max_output_tokens"})
    } else {
        Value::Null
    };
    let text = words.iter().map(Words::text).collect::<String>();
    let body = json!({
        "id": format!("resp_{id}"),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": null,
        "incomplete_details": details,
        "model": asked.model,
        "output": [{
            "type": "message",
            "id": format!("msg_{id}"),
            "status": status,
            "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }],
        "usage": {
            "input_tokens": asked.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": asked.prompt_tokens.saturating_add(output_tokens),
        },
    });
    Response::json(200, &body)
}
