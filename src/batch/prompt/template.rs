//! A text with the names of columns in braces, into which the values of a row are put.

use std::borrow::Cow;
use std::fmt;

/// A text with places for values: `{column}` takes one, `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Column(String),
}

/// What is wrong with a template, and where. Lines and characters are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    line: usize,
    character: usize,
    what: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            character,
            what,
        } = self;
        write!(f, "line {line}, character {character}: {what}")
    }
}

const NOT_CLOSED: &str = "a { that no } closes in its line; {{ stands for a brace";
const NOT_OPENED: &str = "a } without a {; }} stands for a brace";
const NO_NAME: &str = "{} names no column; {{}} stands for braces";

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let fault = |what| Fault::at(text, text.len() - rest.len() + at, what);
            literal.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err(fault(NOT_OPENED));
            }
            let end = after.find(['{', '}', '\n', '\r']);
            let end = end.filter(|end| after[*end..].starts_with('}'));
            let (name, after) = match end.map(|end| after.split_at(end)) {
                None => return Err(fault(NOT_CLOSED)),
                Some(("", _)) => return Err(fault(NO_NAME)),
                Some((name, after)) => (name, &after[1..]),
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Column(name.to_owned()));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// The columns that it names.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Column(name) => Some(name.as_str()),
        })
    }

    /// The text with values in it, which are taken as they are: braces in them mean nothing.
    ///
    /// # Errors
    ///
    /// What `value` says of the first column that has none.
    pub(super) fn render<'a, E>(
        &self,
        mut value: impl FnMut(&str) -> Result<Cow<'a, str>, E>,
    ) -> Result<String, E> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Column(name) => text.push_str(&value(name)?),
            }
        }
        Ok(text)
    }
}

impl Fault {
    fn at(text: &str, position: usize, what: &'static str) -> Self {
        let before = &text[..position];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        Self {
            line,
            character: before[start..].chars().count() + 1,
            what,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn render(template: &str, values: &[(&str, &str)]) -> String {
        let values: HashMap<_, _> = values.iter().copied().collect();
        let template = Template::parse(template).unwrap();
        let found = template.render(|name| values.get(name).map(|v| Cow::from(*v)).ok_or(()));
        found.unwrap()
    }

    #[test]
    fn values_take_the_place_of_their_columns() {
        let values = [("a", "1"), ("b c", "{a}"), ("é", "}{")];
        let table = [
            ("", ""),
            ("plain", "plain"),
            ("{a}", "1"),
            ("x{a}{a}y", "x11y"),
            ("{b c}{é}", "{a}}{"),
            ("{{a}}", "{a}"),
            ("{{{a}}}", "{1}"),
            ("{{{{", "{{"),
            ("}}}}{a}{{", "}}1{"),
        ];
        for (step, (template, expected)) in table.into_iter().enumerate() {
            assert_eq!(render(template, &values), expected, "step {step}");
        }
        let template = Template::parse("{a}-{{x}}-{b c}-{a}").unwrap();
        assert_eq!(template.columns().collect::<Vec<_>>(), ["a", "b c", "a"]);
        let missing = template.render(|name| match name {
            "a" => Ok(Cow::from("1")),
            name => Err(name.to_owned()),
        });
        assert_eq!(missing, Err("b c".to_owned()));
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let table = [
            ("{", 1, 1, NOT_CLOSED),
            ("ab {c", 1, 4, NOT_CLOSED),
            ("é\né{a\n}", 2, 2, NOT_CLOSED),
            ("{a{b}", 1, 1, NOT_CLOSED),
            ("a}b", 1, 2, NOT_OPENED),
            ("{a}}", 1, 4, NOT_OPENED),
            ("\r\n\n {}", 3, 2, NO_NAME),
            ("{{}", 1, 3, NOT_OPENED),
            ("{ \"key\": {value} }", 1, 1, NOT_CLOSED),
        ];
        for (step, (text, line, character, what)) in table.into_iter().enumerate() {
            let expected = Fault {
                line,
                character,
                what,
            };
            assert_eq!(Template::parse(text), Err(expected), "step {step}: {text}");
        }
        let fault = Template::parse("\n}").unwrap_err().to_string();
        assert_eq!(fault, format!("line 2, character 1: {NOT_OPENED}"));
    }

    /// Texts in which braces are frequent.
    fn braced() -> impl Strategy<Value = String> {
        prop::collection::vec(prop_oneof!["\\{|\\}|\n", "[ab\"é]", any::<String>()], 0..12)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn no_template_panics_and_faults_are_at_a_brace(text in braced()) {
            if let Err(fault) = Template::parse(&text) {
                let line = text.split('\n').nth(fault.line - 1).unwrap();
                let found = line.chars().nth(fault.character - 1);
                prop_assert!(matches!(found, Some('{' | '}')), "{fault} in {text:?}");
            }
        }

        #[test]
        fn a_text_with_doubled_braces_is_itself(text in braced()) {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(render(&doubled, &[]), text);
        }

        #[test]
        fn values_are_put_in_as_they_are(before in braced(), value in braced(), after in braced()) {
            let double = |text: &str| text.replace('{', "{{").replace('}', "}}");
            let template = format!("{}{{x}}{}", double(&before), double(&after));
            prop_assert_eq!(
                render(&template, &[("x", &value), ("a", "never")]),
                format!("{before}{value}{after}")
            );
        }

        #[test]
        fn a_text_without_braces_is_the_identity(text in any::<String>()) {
            let text = text.replace(['{', '}'], "");
            prop_assert_eq!(render(&text, &[]), text);
        }
    }
}
