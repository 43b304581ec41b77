//! The dated prices that are part of the program, as data.

use std::collections::BTreeMap;

use super::file::PerToken;
use super::price::{Price, Rates};

const TABLE: &str = include_str!("builtin.csv");
const DATED: &str = "dated ";

/// The date of the table: year and month.
pub(super) fn dated() -> &'static str {
    let date = TABLE.split_once(DATED).map_or("", |(_, rest)| rest);
    date.split(':').next().unwrap_or_default()
}

/// Prices by the name of a model, with its provider before it and without.
pub(super) fn models() -> BTreeMap<String, Price> {
    let mut models = BTreeMap::new();
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_reader(TABLE.as_bytes());
    for row in reader.records().flatten() {
        let field = |index: usize| row.get(index).unwrap_or_default();
        let rate = |index: usize| PerToken::read(field(index)).map(|price| price.0);
        let (name, provider) = (field(0), field(1));
        let Some(input) = rate(2) else {
            continue;
        };
        let standard = Rates {
            input,
            cached_input: rate(4).unwrap_or(input),
            cache_write: rate(5).unwrap_or(input),
            output: rate(3).unwrap_or(0),
        };
        let tier = |[input, output]: [Option<u64>; 2]| {
            let input = input?;
            Some(Rates {
                input,
                cached_input: standard.cached_input.min(input),
                cache_write: standard.cache_write,
                output: output.unwrap_or(0),
            })
        };
        let price = Price {
            standard,
            batch: tier([rate(6), rate(7)]),
            flex: tier([rate(8), rate(9)]),
            priority: None,
        };
        let bare = name
            .strip_prefix(provider)
            .and_then(|it| it.strip_prefix('/'));
        if let Some(bare) = bare {
            models.entry(bare.to_owned()).or_insert(price);
        }
        models.insert(name.to_owned(), price);
    }
    models
}
