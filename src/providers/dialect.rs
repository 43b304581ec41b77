//! What a server says, as far as one list of providers tells: compiled from the table, ready to be asked.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::clock::Clock;
use super::file::{Common, DayEnd, Entry, Meaning, Rule, Written};
use super::headers::LimitMap;

/// How the responses of one server are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dialect {
    pub(super) limits: LimitMap,
    pub(super) rules: Vec<DatedRule>,
    pub(super) words: Words,
}

/// A rule for errors, with the end of the day of the provider that has the rule.
#[derive(Debug, Clone)]
pub(super) struct DatedRule {
    pub(super) rule: Rule,
    pub(super) day_ends: Option<DayEnd>,
}

/// What is read from every provider's responses.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    /// Headers that name a wait, the first that is there before the others.
    pub(super) waits: Vec<(String, Clock)>,
    /// What stands before a wait in a message, word by word.
    pub(super) before_wait: Vec<Vec<String>>,
    pub(super) concurrency: Vec<String>,
    pub(super) silent: Vec<String>,
    pub(super) statuses: BTreeMap<String, u16>,
}

impl Words {
    pub(super) fn of(common: &Common) -> Self {
        let split = |words: &String| words.split_whitespace().map(str::to_owned).collect();
        let waits = common.waits.iter().flatten();
        let lower = |names: &Option<Vec<String>>| -> Vec<String> {
            let names = names.iter().flatten();
            names.map(|name| name.to_ascii_lowercase()).collect()
        };
        Self {
            waits: waits
                .map(|wait| (wait.header.to_ascii_lowercase(), wait.clock))
                .collect(),
            before_wait: common.wait_words.iter().flatten().map(split).collect(),
            concurrency: lower(&common.concurrency_words),
            silent: lower(&common.silent),
            statuses: common.statuses.clone(),
        }
    }

    pub(super) fn status_of(&self, word: &str) -> Option<u16> {
        self.statuses.get(word).copied()
    }
}

impl Written {
    /// The rules for one server: those of `own` first, then those of all others in their order.
    pub(super) fn dialect(&self, own: Option<&Entry>) -> Dialect {
        let (all, common) = (&self.providers, &self.common);
        let words = Words::of(common);
        let others = all
            .iter()
            .filter(|entry| own.is_none_or(|own| own.name != entry.name));
        let entries: Vec<&Entry> = own.into_iter().chain(others).collect();
        // Names that one provider means in a way of its own are known by its sign, or not at all.
        let is_sure = |entry: &&&Entry| {
            let is_own = own.is_some_and(|own| own.name == entry.name);
            is_own || entry.signs.as_ref().is_none_or(Vec::is_empty)
        };
        let lists = entries.iter().filter(is_sure);
        let lists = lists.map(|entry| entry.limits.as_deref().unwrap_or_default());
        let dated = |entry: &&Entry| {
            let day_ends = entry.day_ends;
            let rules = entry.errors.clone().unwrap_or_default();
            rules
                .into_iter()
                .map(move |rule| DatedRule { rule, day_ends })
        };
        let day_ends = own.and_then(|own| own.day_ends);
        let common = common.errors.iter().flatten().cloned();
        let common = common.map(|rule| DatedRule { rule, day_ends });
        Dialect {
            limits: LimitMap::of(lists),
            rules: entries.iter().flat_map(dated).chain(common).collect(),
            words,
        }
    }
}

impl Dialect {
    /// What an error means by the first rule that fits, and when the limits of a day begin anew.
    pub(super) fn meaning(&self, asked: &Asked<'_>) -> Option<(Meaning, Option<DayEnd>)> {
        let mut rules = self.rules.iter();
        let found = rules.find(|dated| asked.fits(&dated.rule))?;
        Some((found.rule.means, found.day_ends))
    }
}

/// An error, as far as rules ask about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) status: u16,
    /// Its code, its type and the like.
    pub(super) words: &'a [&'a str],
    pub(super) message: &'a str,
    /// The limit that its message names.
    pub(super) limit: Option<u64>,
    /// The names of the quotas that it names.
    pub(super) quotas: &'a [&'a str],
    /// Headers of limits that are 0.
    pub(super) zeros: &'a [String],
}

impl Asked<'_> {
    fn fits(&self, rule: &Rule) -> bool {
        let [first, last] = rule.status;
        let has_word = |word: &String| self.words.contains(&word.as_str());
        let has_quota = |part: &String| self.quotas.iter().any(|quota| quota.contains(part));
        (first..=last).contains(&self.status)
            && (rule.words.is_empty() || rule.words.iter().any(has_word))
            && rule.text.iter().all(|text| self.message.contains(text))
            && rule.limit.is_none_or(|limit| self.limit == Some(limit))
            && rule.quota.as_ref().is_none_or(has_quota)
            && rule
                .zero
                .as_ref()
                .is_none_or(|name| self.zeros.contains(name))
    }
}

/// The shortest wait of a limit of a day that is believed: what is shorter is another limit's.
pub(super) const SHORTEST_OF_DAY: std::time::Duration = std::time::Duration::from_secs(3_600);

/// The time until limits of a day begin anew, where that is known.
pub(super) fn until_day_ends(end: Option<DayEnd>, now: SystemTime) -> Option<std::time::Duration> {
    end.map(|end| super::day::until(end, now))
}
