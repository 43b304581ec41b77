//! Text that comes from elsewhere (names of models and files, what servers say) on its way into a page.

use std::fmt::{self, Write};

/// Text as it may stand in an element and in an attribute of HTML or XML, whatever is in it.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(char)?,
                char if is_unfit(char) => f.write_char(char::REPLACEMENT_CHARACTER)?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}

/// What no XML may hold, and what turns the direction of the text around it.
fn is_unfit(char: char) -> bool {
    let turns = matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    char.is_control() || turns || matches!(char, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        let table = [
            ("gpt-4.1", "gpt-4.1"),
            (
                "<script>alert(1)</script>",
                "&lt;script&gt;alert(1)&lt;/script&gt;",
            ),
            (r#"" onload="a"#, "&quot; onload=&quot;a"),
            ("' & é\n", "&#39; &amp; é\n"),
            (
                "\0\x1b[31m\u{202e}\u{ffff}",
                "\u{fffd}\u{fffd}[31m\u{fffd}\u{fffd}",
            ),
        ];
        for (step, (text, expected)) in table.into_iter().enumerate() {
            assert_eq!(Text(text).to_string(), expected, "step {step}");
        }
    }
}
