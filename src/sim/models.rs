//! Which limits a model falls under, and the book that is kept of each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::SimConfig;
use super::audit::Admission;
use super::clock::nanos_since;
use super::config::SimLimits;
use super::ledger::{Account, Counted, Ledger, Standing, Verdict};

/// The ledger of one model and everything it decided.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) limits: SimLimits,
    ledger: Ledger,
    pub(super) admissions: Vec<Admission>,
    pub(super) refused_tokens: u64,
    pub(super) refused_requests: u64,
    pub(super) too_large: u64,
}

impl Book {
    fn new(limits: SimLimits, burst: Duration) -> Self {
        let account = |limit: Option<u64>| limit.map(|limit| Account::new(limit, burst));
        Self {
            limits,
            ledger: Ledger {
                requests: account(limits.requests_per_minute),
                tokens: account(limits.tokens_per_minute),
            },
            admissions: Vec::new(),
            refused_tokens: 0,
            refused_requests: 0,
            too_large: 0,
        }
    }

    /// Admits or refuses, and writes it down.
    fn admit(&mut self, tokens: u64, now: u64) -> Verdict {
        let verdict = self.ledger.admit(tokens, now);
        match verdict {
            Verdict::Admitted => self.admissions.push(Admission { at: now, tokens }),
            Verdict::TooLarge { .. } => self.too_large += 1,
            Verdict::Refused { by, .. } => match by {
                Counted::Requests => self.refused_requests += 1,
                Counted::Tokens => self.refused_tokens += 1,
            },
        }
        verdict
    }
}

/// The books of all models.
#[derive(Debug)]
pub(super) struct Models {
    rules: BTreeMap<String, SimLimits>,
    default: SimLimits,
    burst: Duration,
    started: Instant,
    books: Mutex<BTreeMap<String, Arc<Mutex<Book>>>>,
}

impl Models {
    /// The models that have limits of their own are known from the start.
    pub(super) fn new(config: &SimConfig, started: Instant) -> Self {
        let book = |limits: &SimLimits| Arc::new(Mutex::new(Book::new(*limits, config.burst)));
        let books = config.limits.iter();
        let books = books.map(|(name, limits)| (name.clone(), book(limits)));
        Self {
            rules: config.limits.clone(),
            default: config.default_limits,
            burst: config.burst,
            started,
            books: Mutex::new(books.collect()),
        }
    }

    /// Admits a request of `tokens` for `model` now, or refuses it; and how the limits stand
    /// after that.
    pub(super) fn admit(
        &self,
        model: &str,
        tokens: u64,
    ) -> (Verdict, [(Counted, Option<Standing>); 2]) {
        let book = self.book(model);
        let mut book = book.lock();
        // The time is taken under the lock, so that it never goes back within a book.
        let now = nanos_since(self.started);
        let verdict = book.admit(tokens, now);
        (verdict, book.ledger.standings(now))
    }

    /// Every book with the name it is kept under.
    pub(super) fn books(&self) -> Vec<(String, Arc<Mutex<Book>>)> {
        let books = self.books.lock();
        let books = books
            .iter()
            .map(|(name, book)| (name.clone(), book.clone()));
        books.collect()
    }

    fn book(&self, model: &str) -> Arc<Mutex<Book>> {
        let (name, limits) = self.limits_of(model);
        let mut books = self.books.lock();
        if let Some(book) = books.get(name) {
            return book.clone();
        }
        let book = Arc::new(Mutex::new(Book::new(limits, self.burst)));
        books.insert(name.to_owned(), book.clone());
        book
    }

    /// The closest of a model's names that has limits, or its family with the default.
    fn limits_of<'a>(&self, model: &'a str) -> (&'a str, SimLimits) {
        let names = names(model);
        names
            .into_iter()
            .find_map(|name| Some((name, *self.rules.get(name)?)))
            .unwrap_or((names[2], self.default))
    }
}

/// A model's own name, the model that it is a fine-tune of, and that one without its date.
fn names(model: &str) -> [&str; 3] {
    let tuned = model
        .strip_prefix("ft:")
        .and_then(|rest| rest.split(':').next())
        .filter(|base| !base.is_empty())
        .unwrap_or(model);
    [model, tuned, undated(tuned)]
}

/// `gpt-4o-2024-08-06` and `gpt-4-0613` without the date.
fn undated(name: &str) -> &str {
    let is_number = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let parts: Vec<&str> = name.rsplitn(4, '-').collect();
    let date_length = match parts.as_slice() {
        [day, month, year, base]
            if is_number(day, 2)
                && is_number(month, 2)
                && is_number(year, 4)
                && !base.is_empty() =>
        {
            "-yyyy-mm-dd".len()
        }
        [date, .., base] if is_number(date, 4) && !base.is_empty() => "-mmdd".len(),
        _ => 0,
    };
    name.get(..name.len() - date_length).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_and_fine_tunes_share_the_limits_of_their_model() {
        let limits = |tokens| SimLimits {
            tokens_per_minute: Some(tokens),
            requests_per_minute: None,
        };
        let config = SimConfig::new()
            .default_limits(limits(1))
            .limits("gpt-4o-mini", limits(2))
            .limits("gpt-4o", limits(3))
            .limits("gpt-4o-2024-05-13", limits(4));
        let models = Models::new(&config, super::super::clock::now());
        let table = [
            ("gpt-4o-mini", "gpt-4o-mini", 2),
            ("gpt-4o-mini-2024-07-18", "gpt-4o-mini", 2),
            ("ft:gpt-4o-mini-2024-07-18:org::id", "gpt-4o-mini", 2),
            ("ft:gpt-4o-mini", "gpt-4o-mini", 2),
            ("gpt-4o-mini-tts", "gpt-4o-mini-tts", 1),
            ("gpt-4o-2024-08-06", "gpt-4o", 3),
            ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13", 4),
            ("ft:gpt-4o-2024-05-13:org", "gpt-4o-2024-05-13", 4),
            ("gpt-4-0613", "gpt-4", 1),
            ("gpt-4o-2024-7-18", "gpt-4o-2024-7-18", 1),
            ("-2024-07-18", "-2024-07-18", 1),
            ("-0613", "-0613", 1),
            ("ft:", "ft:", 1),
            ("", "", 1),
            ("modèle-é024", "modèle-é024", 1),
        ];
        for (step, (model, name, tokens)) in table.into_iter().enumerate() {
            assert_eq!(
                models.limits_of(model),
                (name, limits(tokens)),
                "step {step}"
            );
        }
    }
}
