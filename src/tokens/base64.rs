//! Base64, decoded as far as it is read, and `data:` URLs.

use super::boundary::floor_char_boundary;

/// The bytes behind a text in Base64, in the plain and the URL-safe alphabet. White space is skipped, and
/// anything else that is no Base64 ends it.
#[derive(Debug, Clone)]
pub(super) struct Decoded<'a> {
    text: std::str::Bytes<'a>,
    /// Bits that are not handed out yet, fewer than 8 of them between two calls.
    bits: u32,
    count: u32,
}

impl<'a> Decoded<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self {
            text: text.bytes(),
            bits: 0,
            count: 0,
        }
    }
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        while self.count < 8 {
            let six = match self.text.next()? {
                letter @ b'A'..=b'Z' => letter - b'A',
                letter @ b'a'..=b'z' => letter - b'a' + 26,
                digit @ b'0'..=b'9' => digit - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                space if space.is_ascii_whitespace() => continue,
                _ => {
                    self.text = "".bytes();
                    return None;
                }
            };
            self.bits = (self.bits << 6) | u32::from(six);
            self.count += 6;
        }
        self.count -= 8;
        let [.., byte] = (self.bits >> self.count).to_be_bytes();
        self.bits &= (1 << self.count) - 1;
        Some(byte)
    }
}

/// How many bytes a text in Base64 has, or a few more: white space is taken for data.
pub(super) fn length(text: &str) -> u64 {
    let digits = text.trim_end_matches('=').len() as u64;
    digits.saturating_mul(3) / 4
}

/// A `data:` URL in Base64: its media type, and what it holds.
pub(super) fn data_url(url: &str) -> Option<(&str, &str)> {
    /// A media type with its parameters is not longer.
    const LONGEST: usize = 256;
    let rest = strip_prefix(url, "data:")?;
    let head = &rest[..floor_char_boundary(rest, LONGEST)];
    let (head, _) = head.split_once(',')?;
    let kind = head.get(..head.len().checked_sub(BASE64.len())?)?;
    strip_prefix(head.get(kind.len()..)?, BASE64)?;
    Some((kind, rest.get(head.len() + 1..)?))
}

const BASE64: &str = ";base64";

/// The rest of a text after a beginning in capital or small letters.
fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let beginning = text.get(..prefix.len())?;
    let rest = text.get(prefix.len()..);
    rest.filter(|_| beginning.eq_ignore_ascii_case(prefix))
}

/// For tests: bytes in Base64, with padding.
#[cfg(test)]
pub(super) fn encoded(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(*chunk.get(at).unwrap_or(&0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() {
                letter.into()
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base64_is_decoded_up_to_what_is_none() {
        let table: [(&str, &[u8]); 9] = [
            ("", b""),
            ("QQ==", b"A"),
            ("QQ", b"A"),
            ("Q", b""),
            ("QUI=", b"AB"),
            ("QUJD", b"ABC"),
            ("Q U\nJD", b"ABC"),
            ("-_+/", &[0xfb, 0xff, 0xbf]),
            ("QUJD%2BQUJD", b"ABC"),
        ];
        for (step, (text, bytes)) in table.into_iter().enumerate() {
            let decoded: Vec<u8> = Decoded::of(text).collect();
            assert_eq!(decoded, bytes, "step {step}: {text:?}");
        }
        // An end is the end.
        let mut ended = Decoded::of("QUJD!QUJD");
        assert_eq!(ended.by_ref().count(), 3);
        assert_eq!(ended.next(), None);
    }

    #[test]
    fn data_urls_have_a_type_and_data() {
        let table = [
            ("data:image/png;base64,QUJD", Some(("image/png", "QUJD"))),
            ("DATA:image/png;BASE64,QUJD", Some(("image/png", "QUJD"))),
            (
                "data:text/plain;charset=utf-8;base64,QQ==",
                Some(("text/plain;charset=utf-8", "QQ==")),
            ),
            ("data:;base64,", Some(("", ""))),
            ("data:text/plain,hello", None),
            ("data:,x", None),
            ("data:", None),
            ("data", None),
            ("https://example.com/a.png", None),
            ("é", None),
            ("", None),
        ];
        for (step, (url, expected)) in table.into_iter().enumerate() {
            assert_eq!(data_url(url), expected, "step {step}: {url}");
        }
        let endless = format!("data:{}é;base64,QQ==", "x".repeat(255));
        assert_eq!(data_url(&endless), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_encoded_is_decoded(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = encoded(&bytes);
            prop_assert_eq!(Decoded::of(&text).collect::<Vec<_>>(), bytes.clone());
            prop_assert_eq!(length(&text), bytes.len() as u64);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in any::<String>()) {
            prop_assert!(Decoded::of(&text).count() <= text.len());
            let _ = data_url(&text);
            let _ = data_url(&format!("data:{text};base64,{text}"));
        }
    }
}
