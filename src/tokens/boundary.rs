//! Where a text can be cut.

/// The last place at or before `at` where a character begins, or the end of a text that is shorter.
///
/// `str::floor_char_boundary` does the same from Rust 1.91 on.
pub(super) fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1; // 0 is a boundary
    }
    at
}
