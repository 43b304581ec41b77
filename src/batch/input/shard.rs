//! One part of an input, for several processes that share the work.

use twox_hash::XxHash64;

use crate::{ConfigError, Result};

/// Part `index` of `count`, from 1.
///
/// A request belongs to the part that the hash of its `custom_id` names. So it stays there when
/// lines are added, taken out or sorted, and two lines with one id meet in one part, where the
/// second is found. The price is that parts are equal only on the whole: of a million requests in
/// eight parts, the largest has about half a per cent more than its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    pub(super) fn new(index: u32, count: u32) -> Result<Self> {
        if index == 0 || index > count {
            let value = format!("{index}/{count}");
            let message =
                format!("shard {value}: the first is 1/{count}, and the last {count}/{count}");
            return Err(ConfigError::new("shard", message).with_value(value).into());
        }
        Ok(Self { index, count })
    }

    /// True when a request is of this part. The hash is XXH64 with seed 0, modulo `count`: results
    /// of earlier runs rest on it, so it never changes.
    pub(super) fn has(self, custom_id: &str) -> bool {
        XxHash64::oneshot(0, custom_id.as_bytes()) % u64::from(self.count)
            == u64::from(self.index - 1)
    }

    /// True when a line that has no id is of this part.
    pub(super) fn has_line(self, number: u64) -> bool {
        number % u64::from(self.count) == u64::from(self.index - 1)
    }

    /// As it stands in the names of files.
    pub(super) fn label(self) -> String {
        format!("{}-of-{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_of_one_part_and_parts_are_alike() {
        for count in [1, 2, 3, 8] {
            let shards: Vec<_> = (1..=count).map(|i| Shard::new(i, count).unwrap()).collect();
            let mut sizes = vec![0; shards.len()];
            for number in 0..10_000 {
                let id = format!("row-{number}");
                let of: Vec<_> = (0..shards.len()).filter(|i| shards[*i].has(&id)).collect();
                assert_eq!(of.len(), 1, "{id} of {count}");
                sizes[of[0]] += 1;
                let of_line = shards.iter().filter(|shard| shard.has_line(number));
                assert_eq!(of_line.count(), 1, "line {number} of {count}");
            }
            let even = 10_000 / sizes.len();
            let is_near = |size: &usize| size.abs_diff(even) * 10 < even;
            assert!(sizes.iter().all(is_near), "{sizes:?}");
        }
    }

    #[test]
    fn a_request_stays_in_its_part_for_ever() {
        // XXH64 of "" is 0xef46db3751d8e999, of "a" 0xd24ec4f1a98c6e5b: the last bits count.
        for (id, index) in [("", 2), ("a", 4)] {
            let found = (1..=8).find(|i| Shard::new(*i, 8).unwrap().has(id));
            assert_eq!(found, Some(index), "{id:?}");
        }
    }

    #[test]
    fn a_part_that_there_is_not_is_refused() {
        for (index, count) in [(0, 8), (9, 8), (0, 0), (1, 0)] {
            let error = Shard::new(index, count).unwrap_err().to_string();
            let named = format!("shard {index}/{count}: ");
            assert!(error.starts_with(&named), "{error}");
        }
    }
}
