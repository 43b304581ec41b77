//! Embeddings.

use serde_json::Value;

use super::response::Response;
use crate::cost::Usage;
use crate::{Error, Result};

/// The vectors of a list of texts.
///
/// ```no_run
/// let client = paceline::RateLimitedClient::new()?;
/// let found = client.embeddings("text-embedding-3-small", &["a river", "a bank"])?;
/// println!("{} vectors, {:?}", found.vectors.len(), found.usage);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Embeddings {
    /// One vector an input, in the order of the inputs.
    pub vectors: Vec<Vec<f32>>,
    /// What the request used.
    pub usage: Option<Usage>,
}

impl Embeddings {
    pub(super) fn read(response: &Response, inputs: usize) -> Result<Self> {
        let vectors = vectors(&response.body, inputs).ok_or_else(|| Error::InvalidResponse {
            url: response.url.clone(),
            message: format!("{inputs} vectors of numbers were expected"),
        })?;
        Ok(Self {
            vectors,
            usage: response.usage,
        })
    }
}

/// The vectors by their `index`, if there is exactly one for each input.
fn vectors(body: &Value, inputs: usize) -> Option<Vec<Vec<f32>>> {
    let mut vectors = vec![Vec::new(); inputs];
    let data = body.get("data")?.as_array()?;
    if data.len() != inputs {
        return None;
    }
    for item in data {
        let index = usize::try_from(item.get("index")?.as_u64()?).ok()?;
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the API computes them as f32"
        )]
        let number = |value: &Value| value.as_f64().map(|number| number as f32);
        let vector = item.get("embedding")?.as_array()?;
        *vectors.get_mut(index)? = vector.iter().map(number).collect::<Option<_>>()?;
    }
    vectors
        .iter()
        .all(|vector| !vector.is_empty())
        .then_some(vectors)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn vectors_stand_in_the_order_of_their_inputs_or_not_at_all() {
        let item = |index: u64, x: f64| json!({"index": index, "embedding": [x, 1.0]});
        let swapped = json!({"data": [item(1, 0.5), item(0, 0.25)]});
        assert_eq!(
            vectors(&swapped, 2),
            Some(vec![vec![0.25, 1.0], vec![0.5, 1.0]])
        );
        let table = [
            json!({}),
            json!({"data": [item(0, 1.0)]}),
            json!({"data": [item(0, 1.0), item(2, 1.0)]}),
            json!({"data": [item(0, 1.0), item(1, 1.0), item(0, 2.0)]}),
            json!({"data": [item(0, 1.0), item(0, 1.0)]}),
            json!({"data": [item(0, 1.0), {"index": 1, "embedding": "base64"}]}),
            json!({"data": [item(0, 1.0), {"index": 1, "embedding": [null]}]}),
        ];
        for (step, body) in table.into_iter().enumerate() {
            assert_eq!(vectors(&body, 2), None, "step {step}");
        }
    }
}
