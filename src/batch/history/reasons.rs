//! Why requests failed: the same reason counted as one, and only so many of them told apart.

/// How many reasons are told apart. Those that come later are counted together.
const MOST: usize = 12;

/// The longest text that is kept, in characters.
const LONGEST: usize = 300;

/// Reasons in the order in which they came up.
#[derive(Debug, Clone, Default)]
pub(in crate::batch) struct Reasons {
    told_apart: Vec<Reason>,
    others: u64,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::batch) struct Reason {
    /// Its kind in a few words: `500 server_error`.
    pub(in crate::batch) kind: String,
    /// What the first failure of this kind said.
    pub(in crate::batch) example: String,
    pub(in crate::batch) count: u64,
}

impl Reasons {
    pub(super) fn add(&mut self, kind: &str, example: &str) {
        let kind = shortened(kind);
        let is_full = self.told_apart.len() == MOST;
        let known = self.told_apart.iter_mut().find(|known| known.kind == kind);
        match known {
            Some(known) => known.count += 1,
            None if is_full => self.others += 1,
            None => self.told_apart.push(Reason {
                kind,
                example: shortened(example),
                count: 1,
            }),
        }
    }

    /// Those that are told apart, the most frequent first.
    pub(in crate::batch) fn by_count(&self) -> Vec<&Reason> {
        let mut reasons: Vec<_> = self.told_apart.iter().collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        reasons
    }

    /// Failures of all other kinds.
    pub(in crate::batch) fn others(&self) -> u64 {
        self.others
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_bounded_in_number_and_length_and_every_failure_counts() {
        let mut reasons = Reasons::default();
        let long = "ä".repeat(1_000);
        for number in 0..100 {
            reasons.add(&format!("{}", number % 20), &long);
            reasons.add("7", "another text");
        }
        let by_count = reasons.by_count();
        assert_eq!(by_count.len(), MOST);
        assert_eq!((&*by_count[0].kind, by_count[0].count), ("7", 105));
        assert_eq!(by_count[1].example.chars().count(), LONGEST + 1);
        let told_apart: u64 = by_count.iter().map(|reason| reason.count).sum();
        assert_eq!(told_apart + reasons.others(), 200);
        // Kinds that begin alike for very long are one.
        let mut reasons = Reasons::default();
        reasons.add(&format!("{long}a"), "");
        reasons.add(&format!("{long}b"), "");
        assert_eq!(reasons.by_count()[0].count, 2);
    }
}
