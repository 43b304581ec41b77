//! The tokens of each encoding and their ranks, as part of the program.
//!
//! `tests/vectors/ranks.py` makes the files and says what is in them. The reference has the same
//! ones as text, and takes five times as long to load them or more.

use std::io::Read;

use ruzstd::decoding::StreamingDecoder;

pub(super) const O200K: &[u8] = include_bytes!("ranks/o200k_base.zst");
pub(super) const O200K_TOKENS: usize = 199_998;

pub(super) const CL100K: &[u8] = include_bytes!("ranks/cl100k_base.zst");
pub(super) const CL100K_TOKENS: usize = 100_256;

/// Those of `r50k_base`, and 24 more.
pub(super) const P50K: &[u8] = include_bytes!("ranks/p50k_base.zst");
pub(super) const P50K_TOKENS: usize = 50_280;
pub(super) const R50K_TOKENS: usize = 50_256;

/// What is in a file.
pub(super) fn unpacked(file: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    // The files are part of the program, and a test compares all that comes out of them.
    if let Ok(mut decoder) = StreamingDecoder::new(file) {
        let _ = decoder.read_to_end(&mut packed);
    }
    packed
}

/// The tokens of an unpacked file, with their ranks.
pub(super) fn tokens(mut packed: &[u8]) -> impl Iterator<Item = (&[u8], u32)> {
    let mut ranks = 0..;
    std::iter::from_fn(move || {
        let (&len, rest) = packed.split_first()?;
        let (token, rest) = rest.split_at_checked(usize::from(len))?;
        packed = rest;
        Some((token, ranks.next()?))
    })
    .filter(|(token, _)| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Encoding;
    use crate::tokens::encoding::reference;

    #[test]
    fn tokens_are_those_of_the_reference() {
        let table = [
            (Encoding::O200kBase, O200K, O200K_TOKENS),
            (Encoding::Cl100kBase, CL100K, CL100K_TOKENS),
            (Encoding::P50kBase, P50K, P50K_TOKENS),
            (Encoding::R50kBase, P50K, R50K_TOKENS),
        ];
        for (encoding, packed, count) in table {
            let mut ranks = Vec::new();
            let packed = unpacked(packed);
            for (token, rank) in tokens(&packed).take(count) {
                let expected = reference(encoding).decode_bytes(&[rank]).ok();
                assert_eq!(Some(token), expected.as_deref(), "{encoding:?}: {rank}");
                ranks.push(rank);
            }
            assert_eq!(ranks.len(), count, "{encoding:?}");
            // What else the reference has is special.
            let special = reference(encoding).special_tokens();
            for rank in (0..210_000).filter(|rank| ranks.binary_search(rank).is_err()) {
                if let Ok(token) = reference(encoding).decode_bytes(&[rank]) {
                    let token = String::from_utf8(token).expect("special tokens are text");
                    assert!(special.contains(token.as_str()), "{encoding:?}: {token}");
                }
            }
        }
    }
}
