//! Cutting long texts where every encoding splits in any case, which changes no count.
//!
//! Where a text is cut depends on what stands before the cut alone. So texts that begin alike
//! have the same first segments, and what was counted for one is known for the others.

use super::boundary::floor_char_boundary;

/// The least bytes of a segment that is not the last one. It is a few microseconds' worth of
/// counting, a hundred times what it takes to find out that it has been counted before.
pub(super) const SEGMENT: usize = 512;

/// The text in order, cut at the first splitting place behind each [`SEGMENT`] bytes. A text
/// without such a place is one segment.
pub(super) fn segments(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = first_split(rest, SEGMENT).unwrap_or(rest.len());
        let (segment, after) = rest.split_at(end);
        rest = after;
        (!segment.is_empty()).then_some(segment)
    })
}

/// The first place, at `least` bytes or behind them, where every encoding splits: above 0 and
/// below the end.
pub(super) fn first_split(text: &str, least: usize) -> Option<usize> {
    if text.len() <= least {
        return None;
    }
    let start = floor_char_boundary(text, least);
    let mut before = text[..start].chars().next_back();
    for (index, after) in text[start..].char_indices() {
        if before.is_some_and(|before| always_splits(before, after)) {
            return Some(start + index);
        }
        before = Some(after);
    }
    None
}

/// The last place where every encoding splits, above 0.
pub(super) fn last_split(text: &str) -> Option<usize> {
    let mut backwards = text.char_indices().rev();
    let (mut start, mut after) = backwards.next()?;
    for (index, before) in backwards {
        if always_splits(before, after) {
            return Some(start);
        }
        (start, after) = (index, before);
    }
    None
}

/// True when every encoding starts a new piece between these two neighbours, whatever surrounds
/// them, and finds the same pieces before that place when the text ends there.
///
/// Read off the expressions of all encodings:
/// - The only part that looks ahead follows whitespace, so nothing is cut after whitespace.
/// - Whitespace is part of a piece only at its beginning or throughout, except that punctuation
///   takes line breaks with it. So whitespace ends every piece, and a line break ends a word.
/// - Letters take one leading character with them, but never a digit. Digits take none except a
///   space. So a piece ends between digits and anything that is neither a digit nor a mark.
/// - A word continues with letters, marks and an apostrophe, and with no other punctuation.
///
/// Categories of characters differ between Unicode versions, so it says yes only for characters
/// whose category is beyond doubt: all of ASCII, and those of the most common scripts that are
/// written without spaces.
fn always_splits(before: char, after: char) -> bool {
    let word = before.is_ascii_alphanumeric() || is_unspaced_letter(before);
    match after {
        '\r' | '\n' | '，' | '。' | '、' | '！' | '？' => word,
        '\'' => before.is_ascii_digit(),
        _ if after.is_whitespace() => !before.is_whitespace(),
        _ if after.is_ascii_digit() => {
            let known = before.is_ascii() || is_unspaced_letter(before);
            known && !before.is_ascii_digit() && !before.is_whitespace()
        }
        _ if after.is_ascii_alphabetic() => before.is_ascii_digit(),
        _ => word && after.is_ascii(),
    }
}

/// Letters of Chinese, Japanese and Korean.
fn is_unspaced_letter(c: char) -> bool {
    matches!(c, '一'..='\u{9FFF}' | 'ぁ'..='ゖ' | 'ァ'..='ヺ' | '가'..='힣')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Encoding;
    use crate::tokens::encoding::reference;
    use proptest::prelude::*;

    /// Characters of every category that the expressions tell apart, the whitespace and the
    /// apostrophe most often, because that is where they are subtle.
    fn texts() -> impl Strategy<Value = String> {
        let ascii = prop::sample::select(
            "'''  \t\r\n\n\u{b}aAzZsStTdDlLvVeErRmM019!/\"._-<|>{}\0"
                .chars()
                .collect::<Vec<_>>(),
        );
        let other = prop::sample::select(
            "éÉßſǅʰµ中文字ぁゖァヺー가힣。，、！？「」\u{301}\u{302A}\u{93F}\u{903}\u{20E3}\u{FE0F}\u{200D}😀👍🇩٣५Ⅷ½①Ⓐ\u{85}\u{A0}\u{2028}\u{3000}\u{200B}\u{FEFF}€∑กิ"
                .chars()
                .collect::<Vec<_>>(),
        );
        let one = prop_oneof![6 => ascii, 3 => other, 1 => any::<char>()];
        prop::collection::vec(one, 0..60).prop_map(String::from_iter)
    }

    fn long_texts() -> impl Strategy<Value = String> {
        prop::collection::vec(texts(), 1..60).prop_map(|texts| texts.concat() + "x")
    }

    /// The text cut at every place that is said to split.
    fn cut_everywhere(text: &str) -> Vec<&str> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(place) = last_split(rest) {
            let (before, after) = rest.split_at(place);
            parts.push(after);
            rest = before;
        }
        parts.push(rest);
        parts.reverse();
        parts
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn cutting_wherever_every_encoding_splits_changes_no_token(text in texts()) {
            for encoding in Encoding::ALL {
                let bpe = reference(encoding);
                let cut: Vec<u32> = cut_everywhere(&text)
                    .into_iter()
                    .flat_map(|part| bpe.encode_ordinary(part))
                    .collect();
                prop_assert_eq!(cut, bpe.encode_ordinary(&text), "{:?}: {:?}", encoding, text);
            }
        }

        #[test]
        fn segments_are_the_text_and_depend_on_what_is_before(
            start in long_texts(),
            (one, other) in (texts(), long_texts()),
        ) {
            let [one, other] = [one, other].map(|end| format!("{start}{end}"));
            let [parts, others] = [&one, &other].map(|text| segments(text).collect::<Vec<_>>());
            prop_assert_eq!(&parts.concat(), &one);
            let (last, whole) = parts.split_last().expect("not empty");
            prop_assert!(!last.is_empty());
            prop_assert!(whole.iter().all(|part| part.len() >= SEGMENT - 3));
            // What ends within the common beginning, with the character behind it, is the same.
            let mut end = 0;
            for (part, other) in parts.iter().zip(others) {
                end += part.len();
                if end + 4 > start.len() {
                    break;
                }
                prop_assert_eq!(*part, other);
            }
        }
    }

    #[test]
    fn ordinary_texts_are_cut_soon() {
        let table = [
            (
                "prose",
                "It isn't hard: we've done it 12 times (or more), haven't we?\n\n",
            ),
            ("lines without spaces", "alpha,beta;gamma\ndelta\n"),
            (
                "minified JSON",
                r#"{"id":1024,"name":"O'Brien","tags":["a","b"],"ok":true},"#,
            ),
            (
                "Base64",
                "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4",
            ),
            (
                "Chinese",
                "我们今天讨论的是，如何让请求保持匀速。你觉得可以吗？",
            ),
            (
                "Japanese",
                "吾輩は猫である。名前はまだ無い。どこで生れたか見当がつかぬ。",
            ),
            (
                "Korean",
                "요청을 일정한 속도로 보내는 방법을 이야기합니다. 좋습니까?",
            ),
            (
                "Russian",
                "Мы пришли к выводу, что всё в порядке; не так ли?",
            ),
            (
                "code",
                "fn main() {\n\tlet x = vec![1, 2];\r\n\n    println!(\"{x:?}\");\n}\n",
            ),
        ];
        for (step, (name, unit)) in table.into_iter().enumerate() {
            let text = unit.repeat(30_000 / unit.len());
            let longest = segments(&text).map(str::len).max();
            assert!(
                longest < Some(SEGMENT + 200),
                "step {step}: {name}: {longest:?}"
            );
        }
    }
}
