//! The models that the requests of an input ask for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::records::Records;
use crate::Result;

/// Models that are kept by name, at most: it bounds memory.
const MOST: usize = 10_000;

/// All that is read of a line.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    body: Body<'a>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
}

/// Each model with the first line that asks for it.
pub(super) fn models(mut records: Records) -> Result<BTreeMap<String, u64>> {
    let mut models = BTreeMap::new();
    while records.advance()? && models.len() < MOST {
        let line = records.json().map(serde_json::from_slice::<Line<'_>>);
        let Some(Ok(Line { body })) = line else {
            continue;
        };
        if !models.contains_key(&*body.model) {
            models.insert(body.model.into_owned(), records.line());
        }
    }
    Ok(models)
}

#[cfg(test)]
mod tests {
    use super::super::records::Making;
    use super::*;
    use crate::batch::prompt::Edits;

    #[test]
    fn each_model_is_named_with_its_first_line() {
        let text = "{\"body\":{\"model\":\"b\"}}\n7\n\n{\"custom_id\":\"x\",\"body\":{\"n\":1,\"model\":\"\\u0061\"}}\n\
                    {\"body\":{\"model\":\"b\"}}\n{\"body\":{}}\n";
        let reader = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let records = Records::open("x", reader, Making::Lines(Edits::new()), None).unwrap();
        let expected = [("a".to_owned(), 4), ("b".to_owned(), 1)];
        assert_eq!(models(records).unwrap(), BTreeMap::from(expected));
    }
}
