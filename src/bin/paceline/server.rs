//! The API to talk to, from flags and the environment.

use std::env::{self, VarError};
use std::sync::Arc;

use paceline::providers::{Provider, ProviderTable};
use paceline::{ClientBuilder, Result, is_credential_header};

use crate::args::{DEFAULT_KEY, Server};
use crate::mistake::mistake;

/// A client of the API that the flags name: where it is, with which key and headers.
pub(crate) fn connect(builder: ClientBuilder, server: &Server) -> Result<ClientBuilder> {
    let mut builder = named(builder, server).timeout(server.timeout);
    for (name, value) in headers(server)? {
        builder = builder.header(name, value);
    }
    if let Some(name) = &server.api_key_env {
        let key = variable("--api-key-env: no API key", name)?;
        builder = builder.api_key(key);
    }
    Ok(builder)
}

/// With the provider and the base URL of the flags.
pub(crate) fn named(mut builder: ClientBuilder, server: &Server) -> ClientBuilder {
    if let Some(name) = &server.provider {
        builder = builder.provider(name);
    }
    match &server.base_url {
        Some(url) => builder.base_url(url),
        None => builder,
    }
}

/// Takes the user's table of providers for that of the process. Call it before anything else.
pub(crate) fn read_table(server: &Server) -> Result<()> {
    let Some(path) = &server.provider_table else {
        return Ok(());
    };
    let table = ProviderTable::from_file(path);
    let table = table.map_err(|error| mistake(format!("--provider-table: {error}")))?;
    // It is set once a process, and nothing has asked for it before.
    let _ = ProviderTable::set_global(Arc::new(table));
    Ok(())
}

/// The provider that the flags name, by its name or by the base URL.
pub(crate) fn provider(server: &Server) -> Result<Option<&'static Provider>> {
    let table = ProviderTable::global();
    if let Some(name) = &server.provider {
        let names = || table.names().collect::<Vec<_>>().join(", ");
        let found = table.get(name).map(|it| &**it);
        let unknown = || mistake(format!("--provider {name}: there are {}", names()));
        return found.map(Some).ok_or_else(unknown);
    }
    let variable = env::var("OPENAI_BASE_URL").unwrap_or_default();
    let url = server.base_url.as_deref().unwrap_or(&variable);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.split(':').next().unwrap_or_default();
    Ok(table
        .for_base_url(host, &format!("{path}/"))
        .map(|it| &**it))
}

/// Checks the flags for headers by themselves, before any variable is asked.
pub(crate) fn check(server: &Server) -> Result<()> {
    let mut names: Vec<String> = Vec::new();
    let flags = [
        ("--header", &server.header),
        ("--header-env", &server.header_env),
    ];
    for (flag, given) in flags {
        for header in given {
            let (name, _) = split(flag, header)?;
            let name = name.to_ascii_lowercase();
            if flag == "--header" && is_credential_header(&name) {
                return Err(mistake(format!(
                    "--header {name}: it carries a secret, which others could read on the command \
                     line; put it into an environment variable, and say --header-env {name}=VARIABLE"
                )));
            }
            if names.contains(&name) {
                return Err(mistake(format!("{flag} {name}: it is given twice")));
            }
            names.push(name);
        }
    }
    Ok(())
}

/// The headers of the flags, with their values.
fn headers(server: &Server) -> Result<Vec<(String, String)>> {
    check(server)?;
    let mut headers = Vec::new();
    for header in &server.header {
        let (name, value) = split("--header", header)?;
        headers.push((name.to_owned(), value.to_owned()));
    }
    for header in &server.header_env {
        let (name, named) = split("--header-env", header)?;
        let value = variable(&format!("--header-env {name}"), named)?;
        if value.trim().is_empty() {
            let message = format!("--header-env {name}: the environment variable {named} is empty");
            return Err(mistake(message));
        }
        headers.push((name.to_owned(), value));
    }
    Ok(headers)
}

/// The name of a header and what is behind it. A colon is what other commands have there.
fn split<'a>(flag: &str, header: &'a str) -> Result<(&'a str, &'a str)> {
    let found = header.split_once(['=', ':']);
    let found = found.map(|(name, value)| (name.trim(), value.trim()));
    let is_name = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !name.is_empty() && name.bytes().all(plain)
    };
    found.filter(|(name, _)| is_name(name)).ok_or_else(|| {
        let what = if flag == "--header" {
            "VALUE"
        } else {
            "VARIABLE"
        };
        mistake(format!(
            "{flag}: NAME={what} is needed, NAME being that of a header"
        ))
    })
}

/// The value of a variable that a flag names. `what` is the flag, and what is missing without.
/// Errors do not repeat `name`, because it may be the secret itself, given by mistake.
pub(crate) fn variable(what: &str, name: &str) -> Result<String> {
    let reason = match env::var(name) {
        Ok(value) => return Ok(value),
        Err(VarError::NotUnicode(_)) => "is no text",
        Err(VarError::NotPresent) => "is not set",
    };
    let letter = |char: char| char.is_ascii_uppercase() || char == '_';
    let digit = |char: char| char.is_ascii_digit();
    let is_name = name.starts_with(letter)
        && name.chars().all(|char| letter(char) || digit(char))
        && (name.contains('_') || !name.contains(digit));
    Err(mistake(if is_name {
        format!("{what}: the environment variable {name} {reason}")
    } else {
        format!(
            "{what}: there is no environment variable of the name given; what is wanted is the name \
             of one that holds the secret, such as {DEFAULT_KEY}, and not the secret itself"
        )
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn server(header: &[&str], header_env: &[&str]) -> Server {
        let owned = |given: &[&str]| given.iter().map(|text| (*text).to_owned()).collect();
        Server {
            base_url: None,
            provider: None,
            provider_table: None,
            api_key_env: None,
            header: owned(header),
            header_env: owned(header_env),
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn headers_are_read_as_pairs() {
        let given = [
            "anthropic-version=2023-06-01",
            "X-Title: a = b",
            "x-empty=",
            "Idempotency-Key=1",
        ];
        let headers = headers(&server(&given, &[])).unwrap();
        let pairs = [
            ("anthropic-version", "2023-06-01"),
            ("X-Title", "a = b"),
            ("x-empty", ""),
            ("Idempotency-Key", "1"),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(headers, pairs);
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
        let names = [
            "authorization",
            "Authorization",
            "Proxy-Authorization",
            "api-key",
            "API-KEY",
            "x-api-key",
            "X-Goog-Api-Key",
            "Ocp-Apim-Subscription-Key",
            "Cookie",
            "x-auth-token",
            "X-My-Secret",
            "x_api_key",
        ];
        for name in names {
            for mark in ["=", ": "] {
                let given = format!("{name}{mark}Bearer s3cret");
                let message = check(&server(&[&given], &[])).unwrap_err().to_string();
                let advice = format!("--header-env {}=VARIABLE", name.to_ascii_lowercase());
                assert!(message.contains(&advice), "{message}");
                assert!(!message.contains("s3cret"), "{message}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused_and_not_repeated() {
        let table: [(&[&str], &[&str], &str); 6] = [
            (&["s3cret"], &[], "--header: NAME=VALUE"),
            (&["=s3cret"], &[], "--header: NAME=VALUE"),
            (&["a b=s3cret"], &[], "--header: NAME=VALUE"),
            (&[], &["s3cret"], "--header-env: NAME=VARIABLE"),
            (&["x-a=1", "X-A=2"], &[], "x-a: it is given twice"),
            (&["x-a=1"], &["X-A=s3cret"], "x-a: it is given twice"),
        ];
        for (header, header_env, expected) in table {
            let message = check(&server(header, header_env)).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn a_variable_that_is_not_there_is_named_and_a_secret_in_its_place_is_not() {
        let said = |variable: &str| {
            let server = server(&[], &[&format!("api-key={variable}")]);
            headers(&server).unwrap_err().to_string()
        };
        let missing = said("NO_SUCH_VARIABLE");
        let expected = "--header-env api-key: the environment variable NO_SUCH_VARIABLE is not set";
        assert_eq!(missing, expected);
        for secret in [
            "sk-proj-s3cret",
            "hf_AbCdEfGh",
            "0123456789abcdef",
            "A1B2C3D4",
        ] {
            let message = said(secret);
            assert!(message.contains("--header-env api-key"), "{message}");
            assert!(!message.contains(secret), "{message}");
        }
    }
}
