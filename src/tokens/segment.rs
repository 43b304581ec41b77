//! Cutting long texts, so that no text can break the tokenizer.
//!
//! The tokenizer first splits a text into pieces by a regular expression, then merges the bytes
//! of each piece. On a run of a million spaces the expression gives up, and the tokenizer panics.
//! So it never sees more than [`WINDOW`] bytes at once: a longer text is cut where the expression
//! splits in any case, which leaves the count exact, or, where a whole window has no such place,
//! at the window's end, which changes the count by a few tokens.

/// The most bytes that the tokenizer is given at once.
///
/// The expression gives up after a million steps back, and takes about one for each byte of a
/// run, so this leaves a factor of 15. It is large enough to hold a splitting place of any prose,
/// code or data, and a cut that changes the count is rare even in texts that have none.
pub(super) const WINDOW: usize = 64 * 1024;

/// The text in order, in segments of at most `window` bytes, or of one character if that is more.
///
/// Linear in the length of the text: a window is searched backwards, and only as far as the last
/// splitting place. Where there is none, the whole window has been searched and the whole window
/// is taken.
pub(super) fn segments(text: &str, window: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (segment, after) = rest.split_at(segment_len(rest, window));
        rest = after;
        Some(segment)
    })
}

fn segment_len(text: &str, window: usize) -> usize {
    if text.len() <= window {
        return text.len();
    }
    let first = text.chars().next().map_or(0, char::len_utf8);
    let end = text.floor_char_boundary(window).max(first);
    last_split(&text[..end]).unwrap_or(end)
}

/// The last place within the text where every encoding splits, as a byte offset above 0.
fn last_split(text: &str) -> Option<usize> {
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
/// - A word goes on with letters, marks and an apostrophe, and with no other punctuation.
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
                let bpe = encoding.tokenizer();
                let cut: Vec<u32> = cut_everywhere(&text)
                    .into_iter()
                    .flat_map(|part| bpe.encode_ordinary(part))
                    .collect();
                prop_assert_eq!(cut, bpe.encode_ordinary(&text), "{:?}: {:?}", encoding, text);
            }
        }

        #[test]
        fn segments_are_the_text_and_keep_to_the_window(text in texts(), window in 0_usize..40) {
            let parts: Vec<&str> = segments(&text, window).collect();
            prop_assert_eq!(&parts.concat(), &text);
            for part in parts {
                prop_assert!(!part.is_empty());
                prop_assert!(part.len() <= window || part.chars().count() == 1);
            }
        }
    }

    #[test]
    fn ordinary_texts_are_cut_only_where_they_split() {
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
            let text = unit.repeat(300_000 / unit.len());
            let parts: Vec<&str> = segments(&text, WINDOW).collect();
            assert!(
                parts.len() >= 5,
                "step {step}: {name}: {} parts",
                parts.len()
            );
            for pair in parts.windows(2) {
                let before = pair[0].chars().next_back().expect("no segment is empty");
                let after = pair[1].chars().next().expect("no segment is empty");
                assert!(
                    always_splits(before, after),
                    "step {step}: {name}: {before:?} {after:?}"
                );
            }
            for encoding in [Encoding::O200kBase, Encoding::Cl100kBase] {
                let bare = encoding.tokenizer().count_ordinary(&text) as u64;
                assert_eq!(
                    encoding.count(&text),
                    bare,
                    "step {step}: {name}: {encoding:?}"
                );
            }
        }
    }
}
