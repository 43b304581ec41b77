//! Counts are those of the provider's tokenizer: of vectors that Python's tiktoken has made, and of
//! any text by the Rust one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "helpers of tests are tests"
)]

use std::io::{BufRead, BufReader};

use flate2::read::GzDecoder;
use paceline::tokens::Encoding;
use proptest::prelude::*;
use tiktoken_rs::CoreBPE;

const ENCODINGS: [Encoding; 4] = [
    Encoding::O200kBase,
    Encoding::Cl100kBase,
    Encoding::P50kBase,
    Encoding::R50kBase,
];

fn reference(encoding: Encoding) -> &'static CoreBPE {
    match encoding {
        Encoding::O200kBase => tiktoken_rs::o200k_base_singleton(),
        Encoding::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
        Encoding::P50kBase => tiktoken_rs::p50k_base_singleton(),
        Encoding::R50kBase => tiktoken_rs::r50k_base_singleton(),
        other => panic!("{other:?} has no reference"),
    }
}

/// `tests/vectors/make.py` makes them.
#[test]
fn python_s_counts_are_met() {
    let packed: &[u8] = include_bytes!("vectors/counts.jsonl.gz");
    let mut texts = 0;
    for line in BufReader::new(GzDecoder::new(packed)).lines() {
        let line = line.unwrap();
        let (text, o200k, cl100k): (String, u64, u64) = serde_json::from_str(&line).unwrap();
        let counts = [Encoding::O200kBase, Encoding::Cl100kBase].map(|it| it.count(&text));
        assert_eq!(counts, [o200k, cl100k], "{text:?}");
        texts += 1;
    }
    assert_eq!(texts, 24_100);
}

/// Characters of every category that the expressions tell apart, and those most often in which
/// they are subtle.
fn character() -> impl Strategy<Value = char> {
    let ascii = "'''  \t\r\n\n\u{b}aAzZsStTdDlLvVeErRmM019!/\"._-<|>{}\0";
    let other = "ſéÉßǅʰµªº中文字ぁゖァヺー가힣。，、！？「」\u{301}\u{302A}\u{93F}\u{903}\u{20E3}\u{FE0F}\u{200D}\
                 😀👍🇩٣५Ⅷ½①Ⓐ\u{85}\u{A0}\u{1680}\u{2028}\u{3000}\u{200B}\u{FEFF}€∑กิ\u{E000}\u{378}\u{10FFFF}";
    let one_of = |set: &str| prop::sample::select(set.chars().collect::<Vec<_>>());
    prop_oneof![6 => one_of(ascii), 3 => one_of(other), 1 => any::<char>()]
}

fn text(most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(character(), 0..most).prop_map(String::from_iter)
}

/// Runs of a few characters, each up to a few hundred times.
fn runs() -> impl Strategy<Value = String> {
    let run = (text(4), 1..300_usize).prop_map(|(unit, times)| unit.repeat(times));
    prop::collection::vec(run, 1..4).prop_map(|runs| runs.concat())
}

fn same(text: &str) -> Result<(), TestCaseError> {
    for encoding in ENCODINGS {
        let expected = reference(encoding).count_ordinary(text) as u64;
        prop_assert_eq!(encoding.count(text), expected, "{:?}: {:?}", encoding, text);
        let read = encoding.count_reader(text.as_bytes()).unwrap();
        prop_assert_eq!(read, expected, "{:?}, read: {:?}", encoding, text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn any_short_text_counts_like_by_the_reference(text in text(40)) {
        same(&text)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    /// Long ones are remembered in stretches.
    #[test]
    fn any_long_text_counts_like_by_the_reference(texts in prop::collection::vec(text(2_000), 2)) {
        same(&texts[0])?;
        same(&texts[0])?;
        same(&texts.concat())?;
    }

    #[test]
    fn any_runs_count_like_by_the_reference(text in runs()) {
        same(&text)?;
    }
}

/// Characters by themselves, between letters, behind a space and twice: so their categories are
/// those of the reference. Where planes are all of one category or of none, one of many is enough.
#[test]
fn every_character_counts_like_by_the_reference() {
    let sampled = ('\u{20000}'..=char::MAX).step_by(61);
    let special = '\u{E0000}'..'\u{E0200}';
    let characters: Vec<char> = ('\0'..'\u{20000}').chain(sampled).chain(special).collect();
    // Many at once, because what differs in one differs in the sum.
    for some in characters.chunks(512) {
        let each = |&c: &char| ['a', c, 'B', ' ', c, c, '1', c, '\'', 's', '!'];
        let text = String::from_iter(some.iter().flat_map(each));
        for encoding in [
            Encoding::O200kBase,
            Encoding::Cl100kBase,
            Encoding::R50kBase,
        ] {
            let expected = reference(encoding).count_ordinary(&text) as u64;
            assert_eq!(
                encoding.count(&text),
                expected,
                "{encoding:?} from {:?}",
                some[0]
            );
        }
    }
}

/// A megabyte of anything is counted, in time that a person waits for.
#[test]
fn a_megabyte_of_anything_is_counted() {
    let letters: String = (0..1_000_000_u32)
        .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8 % 26))
        .collect();
    let units = [
        " ", "a", "\n", "é", "😀", "\0", "\u{301}", "\u{FFFD}", &letters,
    ];
    for (step, unit) in units.into_iter().enumerate() {
        let text = unit.repeat(1_000_000 / unit.len());
        let count = Encoding::O200kBase.count(&text);
        assert!((7_000..=1_000_000).contains(&count), "step {step}: {count}");
    }
}
