//! How probable each token of an answer was: made up, and the same for the same token.

use serde_json::{Map, Value, json};

/// Most alternatives for a token, as in OpenAI's API reference.
pub(super) const MOST: u64 = 20;

/// The alternatives that are shown, the most probable first.
const OTHERS: [&str; 20] = [
    " one", " two", " red", " sky", " wet", " dry", " hot", " low", " big", " far", " try", " run",
    " sit", " ask", " pay", " win", " fix", " cut", " dig", " sew",
];

/// As chat writes them, with `top` alternatives for each token.
pub(super) fn of_chat<S: AsRef<str>>(top: u64, tokens: &[S]) -> Value {
    let entry = |token: &str, logprob: f64| json!({"token": token, "logprob": logprob, "bytes": token.as_bytes()});
    let content: Vec<Value> = tokens
        .iter()
        .map(|token| {
            let token = token.as_ref();
            let mut value = entry(token, logprob(0));
            let tops = tops(token, top);
            value["top_logprobs"] = tops.map(|(token, logprob)| entry(token, logprob)).collect();
            value
        })
        .collect();
    json!({"content": content, "refusal": null})
}

/// As the older endpoint writes them.
pub(super) fn of_completion<S: AsRef<str>>(top: u64, tokens: &[S]) -> Value {
    let tokens: Vec<&str> = tokens.iter().map(AsRef::as_ref).collect();
    let offsets = tokens.iter().scan(0, |at, token| {
        let start = *at;
        *at += token.chars().count();
        Some(start)
    });
    let tops = tokens.iter().map(|token| {
        let tops = tops(token, top);
        let tops: Map<String, Value> = tops
            .map(|(it, logprob)| (it.to_owned(), logprob.into()))
            .collect();
        Value::Object(tops)
    });
    json!({
        "tokens": tokens,
        "token_logprobs": vec![logprob(0); tokens.len()],
        "top_logprobs": tops.collect::<Vec<_>>(),
        "text_offset": offsets.collect::<Vec<usize>>(),
    })
}

/// The token itself and others, `top` in all.
fn tops(token: &str, top: u64) -> impl Iterator<Item = (&str, f64)> {
    let top = usize::try_from(top).unwrap_or(OTHERS.len());
    let others = OTHERS.into_iter().filter(move |other| *other != token);
    let all = std::iter::once(token).chain(others).take(top);
    all.enumerate().map(|(rank, token)| (token, logprob(rank)))
}

/// Each half as probable as the one before it: 1/2, 1/4, 1/8.
fn logprob(rank: usize) -> f64 {
    let rank = u32::try_from(rank).unwrap_or(u32::MAX);
    -std::f64::consts::LN_2 * (f64::from(rank) + 1.0)
}
