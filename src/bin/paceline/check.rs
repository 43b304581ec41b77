//! What the flags say of models, held against the models that the input asks for.

use std::collections::BTreeMap;
use std::path::Path;

use paceline::batch::{Input, Prices};
use paceline::{LimitTable, Result, Usage};

use crate::args;
use crate::mistake::mistake;
use crate::run::BUILTIN;
use crate::say::warning;

/// Models that a message lists.
const MOST_LISTED: usize = 10;

/// Says which limits are for a model that no line asks for.
///
/// # Errors
///
/// [`Config`](paceline::Error::Config) when costs are bounded and a model has no price: nothing is sent then, as its
/// requests would all be refused in the middle of a run that is paid for.
pub(crate) fn models(
    arguments: &args::Run,
    input: &Input,
    table: &LimitTable,
    prices: Option<&Prices>,
) -> Result<()> {
    let limits = &arguments.limits;
    let flags = [("--tpm", &limits.tpm), ("--rpm", &limits.rpm)];
    let named = flags.into_iter().flat_map(|(flag, limits)| {
        let models = limits.iter().filter_map(|limit| limit.model.as_deref());
        models.map(move |model| (flag, model))
    });
    let named: Vec<_> = named.collect();
    let bounded =
        prices.filter(|_| arguments.max_cost.is_some() || arguments.max_cost_this_run.is_some());
    if named.is_empty() && bounded.is_none() {
        return Ok(()); // nothing to hold them against: the file is not gone through
    }
    let Some(asked) = input.models()? else {
        return Ok(());
    };
    if asked.is_empty() {
        return Ok(());
    }
    for (flag, model) in named {
        let of = table.family_of(model);
        if !asked.keys().any(|asked| table.family_of(asked) == of) {
            let there_are = listed(&asked);
            warning!(
                "paceline: {flag} {model}=…: no request is for this model; there are {there_are}"
            );
        }
    }
    let Some(prices) = bounded else {
        return Ok(());
    };
    let unpriced = asked.iter();
    let mut unpriced = unpriced.filter(|(model, _)| prices.cost(model, Usage::default()).is_none());
    let Some((model, line)) = unpriced.next() else {
        return Ok(());
    };
    let place = match arguments.shape.model.first() {
        Some(_) => "--model".to_owned(),
        None => format!("{}:{line}", arguments.input.display()),
    };
    let more = match unpriced.count() {
        0 => String::new(),
        more => format!(" and {more} more models"),
    };
    let files = arguments.prices.iter();
    let mut files = files.filter(|path| *path != Path::new(BUILTIN));
    let file = match files.next_back() {
        Some(path) => path.display().to_string(),
        None => "a file for --prices".to_owned(),
    };
    Err(mistake(format!(
        "{place}: no price for {model:?}{more}, so --max-cost has no bound; add [models.{model:?}] \
         with input and output to {file}, or leave --max-cost out"
    )))
}

fn listed(models: &BTreeMap<String, u64>) -> String {
    let shown: Vec<_> = models
        .keys()
        .take(MOST_LISTED)
        .map(|model| format!("{model:?}"))
        .collect();
    match models.len().saturating_sub(MOST_LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
