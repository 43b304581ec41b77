//! Many texts, or many requests, on all cores.
//!
//! Counting computes and never waits, so it runs where a program's own computing does: on the rayon
//! pool that it is called in, or on rayon's global one.

use std::borrow::Borrow;

use rayon::prelude::*;
use serde_json::Value;

use super::{Encoding, Endpoint, Estimate, ModelTable, PromptRule, estimate};

impl Encoding {
    /// The number of tokens of each text, in their order: [`count`](Encoding::count) on all cores.
    ///
    /// Each text is counted by one thread. One that is large by itself is better given to
    /// [`count_reader`](Encoding::count_reader).
    ///
    /// ```
    /// use paceline::tokens::Encoding;
    ///
    /// let texts = ["hello world", "tiktoken is great!"];
    /// assert_eq!(Encoding::O200kBase.count_all(&texts), [2, 6]);
    /// ```
    #[must_use]
    pub fn count_all<T: AsRef<str> + Sync>(self, texts: &[T]) -> Vec<u64> {
        let count = |text: &T| self.count(text.as_ref());
        texts.par_iter().map(count).collect()
    }
}

/// Estimates many requests to one endpoint, in their order: [`estimate`] on all cores.
///
/// Each is counted as `table` has it for the `model` of its body; one that names none, as a model
/// that is not known. What many of them begin with is counted once, as [`Encoding::count`] has it.
///
/// Threads are those of the rayon pool that it is called in, or else of rayon's global pool, which
/// has one for each core; to leave some to others, call it inside a pool of one's own with
/// [`install`](rayon::ThreadPool::install).
///
/// ```
/// use paceline::tokens::{Endpoint, ModelTable, PromptRule, estimate_all};
/// use serde_json::json;
///
/// let bodies = [
///     json!({ "model": "gpt-4o", "input": "hello world", "max_output_tokens": 50 }),
///     json!({ "model": "o3", "input": "tiktoken is great!", "max_output_tokens": 500 }),
/// ];
/// let table = ModelTable::global();
/// let sizes = estimate_all(Endpoint::Responses, &bodies, table, PromptRule::Tokens, 1_000);
/// let sizes = sizes.iter().map(|size| (size.prompt, size.output));
/// assert_eq!(sizes.collect::<Vec<_>>(), [(9, 50), (13, 500)]);
/// ```
#[must_use]
pub fn estimate_all<B: Borrow<Value> + Sync>(
    endpoint: Endpoint,
    bodies: &[B],
    table: &ModelTable,
    rule: PromptRule,
    default_output_cap: u64,
) -> Vec<Estimate> {
    let one = |body: &B| {
        let body = body.borrow();
        let model = body.get("model").and_then(Value::as_str);
        let profile = table.profile(model.unwrap_or_default());
        estimate(endpoint, body, &profile, rule, default_output_cap)
    };
    bodies.par_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::ThreadPoolBuilder;
    use serde_json::json;

    /// Bodies of different sizes, for models that count differently, and some that name none.
    fn bodies(many: usize) -> Vec<Value> {
        let models = [json!("gpt-4o"), json!("gpt-4"), json!("none"), json!(5)];
        let body = |at: usize| {
            let content = "A line of it, 人人生而自由. ".repeat(1 + at * 7 % 61);
            let image = json!({ "type": "image_url", "image_url": { "url": "https://a.example" } });
            let content = json!([{ "type": "text", "text": content }, image]);
            let model = &models[at % models.len()];
            json!({ "model": model, "messages": [{ "role": "user", "content": content }], "n": at })
        };
        (0..many).map(body).collect()
    }

    #[test]
    fn many_requests_are_what_each_of_them_is_and_in_their_order() {
        let table = ModelTable::default();
        let table = table
            .with_toml("[models.none]\nencoding = 'r50k_base'")
            .unwrap();
        let bodies = bodies(500);
        let by_name = |body: &Value| table.profile(body["model"].as_str().unwrap_or_default());
        let one =
            |body: &Value| estimate(Endpoint::Chat, body, &by_name(body), PromptRule::Tokens, 7);
        let expected: Vec<Estimate> = bodies.iter().map(one).collect();
        let all = || estimate_all(Endpoint::Chat, &bodies, &table, PromptRule::Tokens, 7);
        assert_eq!(all(), expected);
        for threads in [1, 5] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build();
            assert_eq!(pool.unwrap().install(all), expected, "{threads} threads");
        }
        let borrowed: Vec<&Value> = bodies.iter().rev().take(3).collect();
        let sizes = estimate_all(Endpoint::Chat, &borrowed, &table, PromptRule::Tokens, 7);
        let last: Vec<Estimate> = expected.iter().rev().take(3).copied().collect();
        assert_eq!(sizes, last);
        let none: [Value; 0] = [];
        assert!(estimate_all(Endpoint::Chat, &none, &table, PromptRule::Tokens, 7).is_empty());
    }

    #[test]
    fn many_texts_are_counted_in_their_order() {
        let text = |length: usize| "isn't it? ".repeat(length);
        let texts: Vec<String> = (0..300).map(|at| text(at * 7 % 61)).collect();
        for encoding in Encoding::ALL {
            let expected: Vec<u64> = texts.iter().map(|text| encoding.count(text)).collect();
            assert_eq!(encoding.count_all(&texts), expected, "{encoding:?}");
        }
    }

    /// Where it is called from a pool of the caller's, it runs there: a thread that is not a worker of
    /// it would show.
    #[test]
    fn the_threads_are_those_of_the_pool_that_it_is_called_in() {
        struct Text(std::sync::Mutex<Vec<Option<usize>>>);
        impl AsRef<str> for Text {
            fn as_ref(&self) -> &str {
                self.0.lock().unwrap().push(rayon::current_thread_index());
                "hello world"
            }
        }
        let texts: Vec<Text> = (0..200).map(|_| Text(Default::default())).collect();
        let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let counts = pool.install(|| Encoding::O200kBase.count_all(&texts));
        assert_eq!(counts, [2; 200]);
        for text in &texts {
            assert_eq!(*text.0.lock().unwrap(), [Some(0)]);
        }
        // Elsewhere, also on threads of rayon's.
        let _ = Encoding::O200kBase.count_all(&texts);
        for text in &texts {
            assert!(text.0.lock().unwrap()[1].is_some());
        }
    }
}
