//! The message for a redirect. It is not followed: the request would go out again without passing its
//! limiter, and with the key to the host that the redirect names.

use super::url::{BaseUrl, without_query};

/// Where a redirect of a request to `sent` leads, and what to give as base URL in place of `base`
/// if that would help. `sent` is without its query.
pub(super) fn explain(base: &BaseUrl, sent: &str, location: &str) -> String {
    let target = absolute(sent, &without_query(location.trim()));
    let advice = advised(base, sent, &target);
    let advice = advice.map_or_else(
        || "is the base URL right?".to_owned(),
        |base| format!("if that is right, make the base URL {base}"),
    );
    format!("redirected to {target}, which is not followed; {advice}")
}

/// The base URL from which the same request leads to the target.
fn advised(base: &BaseUrl, sent: &str, target: &str) -> Option<String> {
    let path = sent.strip_prefix(&base.shown())?;
    let advised = target.trim_end_matches('/').strip_suffix(path)?;
    (advised != base.shown() && advised.contains("://")).then(|| advised.to_owned())
}

/// A location as a whole address, without a user or a password.
fn absolute(sent: &str, location: &str) -> String {
    let (scheme, rest) = sent.split_once("://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    if let Some((scheme, rest)) = location.split_once("://") {
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        return format!("{scheme}://{host}{path}");
    }
    if let Some(rest) = location.strip_prefix("//") {
        return absolute(sent, &format!("{scheme}://{rest}"));
    }
    if location.starts_with('/') {
        return format!("{scheme}://{host}{location}");
    }
    let folder = sent.rsplit_once('/').map_or(sent, |(folder, _)| folder);
    format!("{folder}/{location}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_says_where_to_and_which_base_url_leads_there() {
        let base = "http://api.test/v1?key=s3cret";
        let table = [
            (
                "https://api.test/v1/chat/completions?key=s3cret",
                "to https://api.test/v1/chat/completions, which is not followed; if that is right, \
                 make the base URL https://api.test/v1",
            ),
            (
                "https://u:s3cret@other.test/llm/chat/completions/",
                "to https://other.test/llm/chat/completions/, which is not followed; if that is \
                 right, make the base URL https://other.test/llm",
            ),
            (
                "//other.test/v1/chat/completions",
                "make the base URL http://other.test/v1",
            ),
            (
                "/v2/chat/completions",
                "make the base URL http://api.test/v2",
            ),
            (
                "completions/",
                "to http://api.test/v1/chat/completions/, which is not followed; is",
            ),
            (
                "https://login.test/?next=s3cret",
                "to https://login.test/, which is not followed; is the base",
            ),
            ("", "is the base URL right?"),
        ];
        for (location, expected) in table {
            let base = BaseUrl::parse(base).unwrap();
            let sent = without_query(&base.join("/v1/chat/completions"));
            let said = explain(&base, &sent, location);
            assert!(said.contains(expected), "{location}: {said}");
            assert!(!said.contains("s3cret"), "{said}");
        }
    }
}
