//! The part of a model's name that says which family it is of.

use crate::tokens::boundary::floor_char_boundary;

/// Bytes of a name that are looked at. The families' names are shorter, so what is cut off changes
/// nothing.
pub(super) const MOST: usize = 64;

/// A name as families are written: without a provider in front, without what a fine-tune adds, and in
/// small letters. On the stack, since there is one for each request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    bytes: [u8; MOST],
    length: usize,
}

impl Name {
    pub(super) fn of(model: &str) -> Self {
        let bare = bare(model);
        let mut length = bare.len();
        if length > MOST {
            length = floor_char_boundary(bare, MOST);
        }
        let mut bytes = [0; MOST];
        if let (Some(to), Some(from)) = (bytes.get_mut(..length), bare.as_bytes().get(..length)) {
            to.copy_from_slice(from); // both are of this length
            to.make_ascii_lowercase();
        }
        Self { bytes, length }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    pub(super) fn text(&self) -> &str {
        // Whole characters were copied, so it always is UTF-8.
        str::from_utf8(self.bytes()).unwrap_or_default()
    }
}

/// `gpt-4o-mini` of `openrouter/openai/gpt-4o-mini`, of `ft:gpt-4o-mini:acme::x`, and `curie` of the older
/// `curie:ft-acme-2023-01-01`.
fn bare(model: &str) -> &str {
    let mut rest = model.trim();
    loop {
        // Of the part before the colon: a fine-tune's own name may have slashes, too.
        let (mut begin, mut end) = (0, rest.len());
        for (at, byte) in rest.bytes().enumerate() {
            match byte {
                b'/' => begin = at + 1,
                b':' => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        let name = rest.get(begin..end).unwrap_or_default();
        match rest.get(end + 1..) {
            Some(tail) if name.eq_ignore_ascii_case("ft") => rest = tail,
            _ => return name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_does_not_tell_the_family() {
        let table = [
            ("gpt-4o", "gpt-4o"),
            (" GPT-4o\n", "gpt-4o"),
            ("openai/gpt-4o", "gpt-4o"),
            ("openrouter/openai/gpt-4o-mini", "gpt-4o-mini"),
            ("openai/gpt-oss-20b:free", "gpt-oss-20b"),
            (
                "ft:gpt-4o-mini-2024-07-18:acme::x",
                "gpt-4o-mini-2024-07-18",
            ),
            ("FT:GPT-4o:acme/team::x", "gpt-4o"),
            ("azure/ft:gpt-35-turbo:acme::x", "gpt-35-turbo"),
            ("davinci:ft-acme-2023-01-01-00-00-00", "davinci"),
            ("ft:", ""),
            ("ft:ft:x", "x"),
            ("/", ""),
            ("", ""),
            ("É", "É"), // only ASCII has small letters here
        ];
        for (step, (model, name)) in table.into_iter().enumerate() {
            assert_eq!(Name::of(model).text(), name, "step {step}: {model}");
        }
    }

    #[test]
    fn a_long_name_is_cut_between_two_characters() {
        let name = format!("{}é{}", "a".repeat(MOST - 1), "b".repeat(100_000));
        assert_eq!(Name::of(&name).text(), "a".repeat(MOST - 1));
    }
}
