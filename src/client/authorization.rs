//! Authorization: keys, and the headers that carry them.

use std::fmt;

use super::transport::{BaseUrl, is_header};
use crate::providers::Provider;
use crate::{ConfigError, Result};

pub(super) const AUTHORIZATION: &str = "Authorization";
const DEFAULT_KEY_VARIABLE: &str = "OPENAI_API_KEY";

/// Headers that carry a key, in lower case: with one of them no other key is needed.
const CARRIERS: [&str; 4] = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];

/// Whether a header carries a key; its name is in lower case.
#[cfg(feature = "gateway")]
pub(super) fn is_carrier(name: &str) -> bool {
    CARRIERS.contains(&name)
}

/// Parts of a header's name that say that its value is a credential.
const CREDENTIALS: [&str; 13] = [
    "apikey",
    "auth",
    "authentication",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "key",
    "passwd",
    "password",
    "secret",
    "signature",
    "token",
];

/// Headers by which an account is divided, and the variables that hold their values, as the
/// official clients have them.
const DIVISIONS: [(&str, &str); 2] = [
    ("OpenAI-Organization", "OPENAI_ORG_ID"),
    ("OpenAI-Project", "OPENAI_PROJECT_ID"),
];

/// Headers that each request has of its own.
const OF_THE_WIRE: [&str; 5] = [
    "connection",
    "content-length",
    "expect",
    "transfer-encoding",
    "upgrade",
];

/// A value that is sent and never printed.
#[derive(Clone)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where the key comes from.
#[derive(Debug, Clone, Default)]
pub(super) struct KeySource {
    pub(super) key: Option<Secret>,
    /// The variable that the caller named for it.
    pub(super) variable: Option<String>,
    /// Whether the caller named the provider: no other provider's key is sent to it.
    pub(super) is_of_provider: bool,
}

/// All authorization headers: the stated ones, and of the key and the division of the account
/// those that are missing.
pub(super) fn headers(
    mut stated: Vec<(String, Secret)>,
    source: &KeySource,
    base: &BaseUrl,
    provider: Option<&Provider>,
) -> Result<Vec<(String, Secret)>> {
    for (name, value) in &mut stated {
        // What comes out of a file ends in the end of a line.
        value.0 = value.0.trim().to_owned();
        if !is_header(name, &value.0) {
            let message = format!("header {name:?}: its name or value cannot be sent in HTTP");
            return Err(ConfigError::new(format!("header {name}"), message).into());
        }
        if is_credential_header(name) && !value.0.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        {
            let message = format!("header {name:?}: its value has characters that no key has");
            return Err(ConfigError::new(format!("header {name}"), message).into());
        }
        if is_of_the_wire(name) {
            let message = format!("header {name:?}: each request has its own");
            return Err(ConfigError::new(format!("header {name}"), message).into());
        }
    }
    let has = |stated: &[(String, Secret)], name: &str| {
        let mut names = stated.iter().map(|(name, _)| name);
        names.any(|stated| stated.eq_ignore_ascii_case(name))
    };
    for (name, value) in provider.into_iter().flat_map(Provider::headers) {
        if !has(&stated, name) {
            stated.push((name.clone(), Secret(value.clone())));
        }
    }
    // Whose account is divided at one provider is no other's business.
    let is_openai = provider.is_none_or(|provider| provider.name() == "openai");
    for (name, variable) in DIVISIONS.into_iter().filter(|_| is_openai) {
        let value = std::env::var(variable).unwrap_or_default();
        let value = value.trim();
        if value.is_empty() || has(&stated, name) {
            continue;
        }
        if !is_header(name, value) {
            let message = format!("{variable}: its value cannot be sent in HTTP");
            return Err(ConfigError::new(variable, message).into());
        }
        stated.push((name.to_owned(), Secret(value.to_owned())));
    }
    let is_named = source.key.is_some() || source.variable.is_some();
    let has_key = CARRIERS.iter().any(|name| has(&stated, name));
    if has(&stated, AUTHORIZATION) || (has_key && !is_named) {
        return Ok(stated);
    }
    if let Some(key) = key(source, base, provider)? {
        let of_its_own = provider.and_then(Provider::key_header);
        let of_its_own = of_its_own.filter(|name| !is_token(&key.0) && !has(&stated, name));
        let header = match of_its_own {
            Some(name) => (name.to_owned(), key),
            None => (
                AUTHORIZATION.to_owned(),
                Secret(format!("Bearer {}", key.0)),
            ),
        };
        stated.push(header);
    }
    Ok(stated)
}

/// Whether each request has this header of its own.
pub(super) fn is_of_the_wire(name: &str) -> bool {
    OF_THE_WIRE.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// Tells by a header's name whether its value is a credential, which is never shown and belongs in no
/// process argument. Letters' case does not matter.
///
/// ```
/// assert!(paceline::is_credential_header("X-Api-Key"));
/// assert!(!paceline::is_credential_header("Idempotency-Key"));
/// ```
#[must_use]
pub fn is_credential_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // This one is a key to a request, and opens nothing.
    let mut parts = name.split(['-', '_', '.']);
    name != "idempotency-key" && parts.any(|part| CREDENTIALS.contains(&part))
}

/// Whether a key is a token of a user who signed in: a JWT, of three parts.
fn is_token(key: &str) -> bool {
    key.starts_with("eyJ") && key.split('.').count() == 3
}

/// The key. `None` where it is not set and not needed: on this machine, and in a private network.
fn key(source: &KeySource, base: &BaseUrl, provider: Option<&Provider>) -> Result<Option<Secret>> {
    let is_own = base.is_loopback() || base.is_private();
    let is_needed =
        source.variable.is_some() || !(is_own || provider.is_some_and(Provider::is_local));
    let set = |variable: &&str| std::env::var_os(variable).is_some();
    let usual = provider.and_then(Provider::key_env);
    let usual = match source.is_of_provider {
        true => usual,
        // A user who only named the base URL may have put its key where the official client reads it.
        false => usual.filter(set).or(Some(DEFAULT_KEY_VARIABLE)),
    };
    let usual = usual.unwrap_or(DEFAULT_KEY_VARIABLE);
    let key = match (&source.key, &source.variable) {
        (Some(key), _) => Some(key.0.clone()),
        (None, Some(variable)) => match std::env::var(variable) {
            Ok(key) => Some(key),
            Err(_) => return Err(ConfigError::new(variable.as_str(), missing(variable)).into()),
        },
        (None, None) => std::env::var(usual).ok(),
    };
    // A key pasted with its line end is the most common mistake of all.
    let key = key.map(|key| key.trim().to_owned());
    let key = key.filter(|key| !key.is_empty() || is_needed || source.key.is_some());
    match key {
        Some(key) if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            let whose = match (&source.key, &source.variable) {
                (Some(_), _) => "the API key".to_owned(),
                (None, Some(variable)) => {
                    format!("the API key in the environment variable {variable}")
                }
                (None, None) => format!("the API key in the environment variable {usual}"),
            };
            let message = format!("{whose} is empty or has characters that no key has");
            Err(ConfigError::new("API key", message).into())
        }
        Some(key) => Ok(Some(Secret(key))),
        None if is_needed => {
            let message =
                format!("no API key: set the environment variable {usual}, or name another one");
            Err(ConfigError::new("API key", message).into())
        }
        None => Ok(None),
    }
}

/// The message for a variable that is not set. A key given in place of the variable's name does not
/// appear in it.
fn missing(variable: &str) -> String {
    let letter = |char: char| char.is_ascii_uppercase() || char == '_';
    let is_name = variable.starts_with(letter)
        && variable
            .chars()
            .all(|char| letter(char) || char.is_ascii_digit())
        && (variable.contains('_') || !variable.contains(|char: char| char.is_ascii_digit()));
    if is_name {
        return format!("no API key: the environment variable {variable} is not set");
    }
    format!(
        "no API key: there is no environment variable of the name given; it is the name of one \
         that is wanted, such as {DEFAULT_KEY_VARIABLE}, not the key itself"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::ProviderTable;

    fn asked(base: &str, stated: &[(&str, &str)], source: &KeySource) -> Result<Vec<String>> {
        let stated = stated
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret((*value).to_owned())));
        let base = BaseUrl::parse(base).unwrap();
        let table = ProviderTable::global();
        let provider = table.for_base_url(base.host(), &base.path());
        let headers = headers(stated.collect(), source, &base, provider.map(|it| &**it))?;
        let shown = headers
            .into_iter()
            .map(|(name, value)| format!("{name}: {}", value.0));
        Ok(shown.collect())
    }

    fn named(variable: &str) -> KeySource {
        KeySource {
            variable: Some(variable.to_owned()),
            ..KeySource::default()
        }
    }

    #[test]
    fn a_header_with_a_key_stands_in_for_the_key() {
        let (none, given) = (
            KeySource::default(),
            KeySource {
                key: Some(Secret(" sk-1\n".to_owned())),
                ..KeySource::default()
            },
        );
        let far = "https://api.test/v1";
        for name in ["Authorization", "API-Key", "x-api-key", "x-goog-api-key"] {
            let sent = asked(far, &[(name, "own\n")], &none).unwrap();
            assert_eq!(sent, [format!("{name}: own")]);
        }
        let both = asked(far, &[("api-key", "own")], &given).unwrap();
        assert_eq!(both, ["api-key: own", "Authorization: Bearer sk-1"]);
        let own = asked(far, &[("authorization", "own")], &given).unwrap();
        assert_eq!(own, ["authorization: own"]);
    }

    #[test]
    fn a_deployment_at_azure_gets_a_key_where_it_takes_one_and_a_token_where_it_takes_that() {
        let given = |key: &str| KeySource {
            key: Some(Secret(key.to_owned())),
            ..KeySource::default()
        };
        let host = "https://x.openai.azure.com";
        let deployment = format!("{host}/openai/deployments/d?api-version=1");
        let table = [
            (&deployment, "0123", "api-key: 0123"),
            (&deployment, "eyJh.b.c", "Authorization: Bearer eyJh.b.c"),
            (&format!("{host}/openai/v1"), "0123", "api-key: 0123"),
        ];
        for (base, key, header) in table {
            assert_eq!(asked(base, &[], &given(key)).unwrap(), [header], "{base}");
        }
    }

    #[test]
    fn a_provider_gets_its_own_headers_and_a_server_of_ones_own_needs_no_key() {
        let given = KeySource {
            key: Some(Secret("sk-1".to_owned())),
            ..KeySource::default()
        };
        let sent = asked("https://api.anthropic.com/v1", &[], &given).unwrap();
        assert_eq!(sent, ["anthropic-version: 2023-06-01", "x-api-key: sk-1"]);
        let version = [("Anthropic-Version", "2099")];
        let sent = asked("https://api.anthropic.com", &version, &given).unwrap();
        assert_eq!(sent, ["Anthropic-Version: 2099", "x-api-key: sk-1"]);
        for base in [
            "http://10.1.2.3:8000/v1",
            "http://vllm:8000/v1",
            "http://gpu.local/v1",
        ] {
            assert!(asked(base, &[], &KeySource::default()).is_ok(), "{base}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_and_not_quoted() {
        let table = [
            ("bad name", "v"),
            ("x-key", "s3cret\nx"),
            ("content-length", "1"),
            ("Transfer-Encoding", "chunked"),
        ];
        for (name, value) in table {
            let refused = asked("https://h", &[(name, value)], &KeySource::default());
            let message = refused.unwrap_err().to_string();
            assert!(
                message.contains(name) && !message.contains("s3cret"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_variable_that_was_named_has_to_be_set_and_a_key_in_its_place_is_not_quoted() {
        for base in ["https://h", "http://127.0.0.1:1"] {
            let message = asked(base, &[], &named("NO_SUCH_KEY"))
                .unwrap_err()
                .to_string();
            assert!(
                message.contains("variable NO_SUCH_KEY is not set"),
                "{message}"
            );
            for key in [
                "sk-proj-s3cret",
                "gsk_s3cret",
                "hf_SecretSecret",
                "0123456789ABCDEF",
                "ABC123",
                "",
            ] {
                let message = asked(base, &[], &named(key)).unwrap_err().to_string();
                assert!(key.is_empty() || !message.contains(key), "{message}");
                assert!(message.contains("not the key itself"), "{message}");
            }
        }
    }
}
