//! Which containers a cursor is in.

/// The containers that are open, the innermost last: one bit each, true for an object.
#[derive(Default)]
pub(super) struct Open {
    pub(super) depth: usize,
    /// The innermost up to 64.
    bits: u64,
    /// Those around them, 64 a word.
    outer: Vec<u64>,
}

impl Open {
    pub(super) fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(is_object);
        self.depth += 1;
    }

    pub(super) fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or(self.bits);
        }
    }

    pub(super) fn innermost(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }
}
