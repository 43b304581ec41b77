//! The headers of a response.

use std::fmt;

/// The headers of a response: those that are text, by lower-case name. Credentials of the client that
/// a server quotes are hidden in them.
///
/// `Debug` prints the names alone: a value can be a cookie.
///
/// ```no_run
/// let client = paceline::RateLimitedClient::new()?;
/// let answer = client.chat("Hello")?;
/// let headers = &answer.response().headers;
/// println!("{:?} ms", headers.get("openai-processing-ms"));
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ResponseHeaders(Vec<(String, String)>);

impl ResponseHeaders {
    /// The first value of a header, whatever the case of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.iter();
        all.find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }

    /// All names with their values, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for ResponseHeaders {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let own = |(name, value): (N, V)| (name.as_ref().to_ascii_lowercase(), value.into());
        Self(headers.into_iter().map(own).collect())
    }
}

impl fmt::Debug for ResponseHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_no_value_is_printed() {
        let headers: ResponseHeaders = [("Set-Cookie", "secret"), ("x-a", "1"), ("X-A", "2")]
            .into_iter()
            .collect();
        assert_eq!(headers.get("X-a"), Some("1"));
        assert_eq!(headers.get("set-cookie"), Some("secret"));
        assert_eq!(headers.get("x-b"), None);
        assert_eq!(headers.iter().count(), 3);
        assert!(!format!("{headers:?}").contains("secret"));
    }
}
