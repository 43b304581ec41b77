//! Addresses at Azure, in both styles: `/openai/v1`, and a deployment for each model. Pure.

use std::borrow::Cow;

use crate::tokens::Endpoint;

/// The variable of the official clients that names the version of the older style.
pub(super) const VERSION_VARIABLE: &str = "OPENAI_API_VERSION";

/// The base URL of a resource that is named without a style, and whether each model has a path of its own
/// there. `None` where the URL names its style.
///
/// With a version it is the older style, since the newer one takes none.
pub(super) fn base_url(given: &str, version: Option<&str>) -> Option<(String, bool)> {
    let given = given.trim();
    let (url, query) = match given.split_once('?') {
        Some((url, query)) => (url, Some(query)),
        None => (given, None),
    };
    let url = url.trim_end_matches('/');
    let (_, rest) = url.split_once("://")?;
    let root = match rest.split_once('/') {
        None => url,
        Some((_, "openai")) => url.strip_suffix("/openai")?,
        Some(_) => return None,
    };
    let has_version = query.is_some_and(|query| {
        let mut names = query.split('&');
        names.any(|parameter| parameter.starts_with("api-version="))
    });
    Some(match (query, version) {
        (Some(query), _) if has_version => (format!("{root}/openai?{query}"), true),
        (_, Some(version)) => (format!("{root}/openai?api-version={version}"), true),
        (Some(query), None) => (format!("{root}/openai/v1?{query}"), false),
        (None, None) => (format!("{root}/openai/v1"), false),
    })
}

/// The path of a request where each model has a deployment of its own.
pub(super) fn path<'a>(path: &'a str, model: &str) -> Cow<'a, str> {
    let is_named = path.contains("/deployments/");
    if is_named || matches!(Endpoint::from_path(path), Endpoint::Responses) {
        return path.into();
    }
    let rest = path.trim_start_matches('/');
    let rest = rest.strip_prefix("v1/").unwrap_or(rest);
    let mut deployment = String::with_capacity(model.len());
    for byte in model.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                deployment.push(char::from(byte));
            }
            byte => deployment.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("deployments/{deployment}/{rest}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_gets_the_style_that_its_version_asks_for() {
        let host = "https://x.openai.azure.com";
        let new = |end: &str| Some((format!("{host}/openai/v1{end}"), false));
        let old = |end: &str| Some((format!("{host}/openai?{end}"), true));
        let table = [
            ("", None, new("")),
            ("/", None, new("")),
            ("/openai/", None, new("")),
            ("", Some("2024-10-21"), old("api-version=2024-10-21")),
            ("?api-version=1", None, old("api-version=1")),
            (
                "/openai?api-version=1&a=b",
                Some("2"),
                old("api-version=1&a=b"),
            ),
            ("?a=b", None, new("?a=b")),
            ("/openai/v1", Some("1"), None),
            ("/openai/deployments/d?api-version=1", None, None),
        ];
        for (end, version, expected) in table {
            let given = format!("{host}{end}");
            assert_eq!(
                base_url(&given, version),
                expected,
                "{given} with {version:?}"
            );
        }
        assert_eq!(base_url("x.openai.azure.com", None), None);
    }

    #[test]
    fn a_model_is_the_name_of_its_deployment() {
        let table = [
            (
                "/v1/chat/completions",
                "gpt-4o",
                "deployments/gpt-4o/chat/completions",
            ),
            ("embeddings", "a b/c", "deployments/a%20b%2Fc/embeddings"),
            ("/v1/responses", "gpt-4o", "/v1/responses"),
            (
                "/openai/deployments/d/chat/completions",
                "m",
                "/openai/deployments/d/chat/completions",
            ),
        ];
        for (given, model, expected) in table {
            assert_eq!(path(given, model), expected, "{given}");
        }
    }
}
