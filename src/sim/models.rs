//! Which limits a model falls under, and the book that is kept of each.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::SimConfig;
use super::clock::nanos_since;
use super::config::{Change, SimLimits};
use super::ledger::{Counted, Ledger, Standings, Verdict};
use super::terms::accounts;

/// The ledger of one model and everything it decided.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) limits: SimLimits,
    pub(super) ledger: Ledger,
    /// When the first and the last request were admitted.
    pub(super) admitting: Option<(u64, u64)>,
    pub(super) admitted: u64,
    pub(super) charged: u64,
    pub(super) given_back: u64,
    pub(super) refused_tokens: u64,
    pub(super) refused_requests: u64,
    pub(super) too_large: u64,
    /// What the last answers said of the limits, the oldest first.
    said: VecDeque<Standings>,
}

/// A verdict, and what goes with it.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) verdict: Verdict,
    /// How the limits stand after that, or stood some answers ago.
    pub(super) standings: Standings,
    /// In nanoseconds since the simulator's start.
    pub(super) at: u64,
}

impl Book {
    fn new(limits: SimLimits, changes: &[Change], config: &SimConfig) -> Self {
        Self {
            limits,
            ledger: Ledger {
                accounts: accounts(limits, changes, config),
                refusals_cost_requests: config.limiting.refusals_cost_requests,
            },
            admitting: None,
            admitted: 0,
            charged: 0,
            given_back: 0,
            refused_tokens: 0,
            refused_requests: 0,
            too_large: 0,
            said: VecDeque::new(),
        }
    }

    /// Admits or refuses, and writes it down.
    fn admit(&mut self, tokens: u64, now: u64) -> Verdict {
        let verdict = self.ledger.admit(tokens, now);
        match verdict {
            Verdict::Admitted => {
                let first = self.admitting.map_or(now, |(first, _)| first);
                self.admitting = Some((first, now));
                self.admitted += 1;
                self.charged = self.charged.saturating_add(tokens);
            }
            Verdict::TooLarge { .. } => self.too_large += 1,
            Verdict::Refused { by, .. } => match by {
                Counted::Requests | Counted::DailyRequests => self.refused_requests += 1,
                Counted::Tokens | Counted::DailyTokens => self.refused_tokens += 1,
            },
        }
        verdict
    }

    /// What an answer says now, that was true `stale` answers ago.
    fn say(&mut self, now: u64, stale: usize) -> Standings {
        let standings = self.ledger.standings(now);
        self.said.push_back(standings);
        if self.said.len() > stale.saturating_add(1) {
            self.said.pop_front();
        }
        self.said.front().copied().unwrap_or(standings)
    }
}

/// The books of all models.
#[derive(Debug)]
pub(super) struct Models {
    config: SimConfig,
    started: Instant,
    books: Mutex<BTreeMap<String, Arc<Mutex<Book>>>>,
}

impl Models {
    /// The models that have limits of their own are known from the start.
    pub(super) fn new(config: &SimConfig, started: Instant) -> Self {
        let models = Self {
            config: config.clone(),
            started,
            books: Mutex::default(),
        };
        let changes = &config.limiting.changes;
        for name in config.limits.keys().chain(changes.keys()) {
            models.book(name);
        }
        models
    }

    /// Admits a request of `tokens` for `model` now, or refuses it.
    pub(super) fn admit(&self, model: &str, tokens: u64) -> Decision {
        let book = self.book(model);
        let mut book = book.lock();
        // The time is taken under the lock, so that it never goes back within a book.
        let at = self.now();
        Decision {
            verdict: book.admit(tokens, at),
            standings: book.say(at, self.config.headers.stale),
            at,
        }
    }

    /// Gives back tokens that a request admitted at `taken_at` did not use.
    pub(super) fn give_back(&self, model: &str, tokens: u64, taken_at: u64) {
        let book = self.book(model);
        let mut book = book.lock();
        let now = self.now();
        book.ledger.give_back(tokens, taken_at, now);
        book.given_back = book.given_back.saturating_add(tokens);
    }

    /// Charges the tokens of an answer.
    pub(super) fn take_answer(&self, model: &str, tokens: u64) {
        let book = self.book(model);
        let mut book = book.lock();
        let now = self.now();
        book.ledger.take_answer(tokens, now);
        book.charged = book.charged.saturating_add(tokens);
    }

    /// The nanoseconds since the simulator's start.
    pub(super) fn now(&self) -> u64 {
        nanos_since(self.started)
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
        let changes = self.changes_of(name);
        let book = Arc::new(Mutex::new(Book::new(limits, changes, &self.config)));
        books.insert(name.to_owned(), book.clone());
        book
    }

    /// The closest of a model's names that has limits, and those at the start; or its family with
    /// the default.
    fn limits_of<'a>(&self, model: &'a str) -> (&'a str, SimLimits) {
        let names = names(model);
        let (own, changes) = (&self.config.limits, &self.config.limiting.changes);
        let name = names
            .into_iter()
            .find(|name| own.contains_key(*name) || changes.contains_key(*name))
            .unwrap_or(names[2]);
        let limits = own.get(name).unwrap_or(&self.config.default_limits);
        (name, *limits)
    }

    /// How the limits that are kept under this name change.
    fn changes_of(&self, name: &str) -> &[Change] {
        match self.config.limiting.changes.get(name) {
            Some(changes) => changes,
            None if self.config.limits.contains_key(name) => &[],
            None => &self.config.limiting.default_changes,
        }
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
        let limits = |tokens| SimLimits::none().tokens_per_minute(tokens);
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
