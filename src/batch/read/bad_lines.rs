//! Lines that cannot be sent: the first of them, and how many more there are.

use std::collections::BTreeMap;

use crate::batch::input::BadLine;

/// The first bad lines, by the number of the line: threads count side by side, and finish in any
/// order. Memory does not grow with the file.
#[derive(Debug)]
pub(in crate::batch) struct BadLines {
    most: usize,
    first: BTreeMap<u64, String>,
    more: u64,
}

impl BadLines {
    /// None yet; keeps the first `most`.
    pub(in crate::batch) fn keeping(most: usize) -> Self {
        Self {
            most,
            first: BTreeMap::new(),
            more: 0,
        }
    }

    pub(in crate::batch) fn add(&mut self, bad: &BadLine) {
        self.first.insert(bad.line, bad.message.clone());
        if self.first.len() > self.most {
            self.first.pop_last();
            self.more += 1;
        }
    }

    /// What is wrong with the first ones, in their order, and how many more there are.
    pub(in crate::batch) fn into_parts(self) -> (Vec<String>, u64) {
        (self.first.into_values().collect(), self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_lines_are_kept_and_the_others_counted() {
        let mut bad_lines = BadLines::keeping(20);
        for line in (1..=30).rev() {
            bad_lines.add(&BadLine {
                line,
                custom_id: None,
                message: line.to_string(),
            });
        }
        let (kept, more) = bad_lines.into_parts();
        let expected: Vec<String> = (1..=20).map(|line: u64| line.to_string()).collect();
        assert_eq!((kept, more), (expected, 10));
    }
}
