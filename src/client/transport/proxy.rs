//! Which proxy the environment names for a base URL, pure.
//!
//! As curl has it: `https_proxy` for https, `http_proxy` for http, then `all_proxy`, each also in
//! capitals; an empty variable is as good as none. What is not understood is refused by name, and
//! only where it would be used.

use std::fmt;

use http::Uri;

use super::no_proxy::is_listed;
use super::url::BaseUrl;

/// The schemes of proxies that are spoken to.
const KNOWN: &str = "http, https, socks4, socks4a, socks5 and socks5h";

/// What is spoken to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Https,
    Socks4,
    Socks4a,
    Socks5,
    Socks5h,
}

impl Protocol {
    fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }
}

/// A proxy that is used.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    protocol: Protocol,
    /// An IPv6 address in its brackets.
    host: String,
    port: u16,
    user: Option<String>,
    password: Option<String>,
}

/// The proxy that the caller names.
pub(super) fn named(url: &str) -> Result<Proxy, String> {
    Proxy::parse(url).map_err(|reason| format!("proxy: {reason}"))
}

/// The proxy for a base URL, or none. `variable` is the environment.
pub(super) fn proxy_for(
    base: &BaseUrl,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, String> {
    if base.is_loopback() {
        return Ok(None); // nothing elsewhere can reach it
    }
    let set = |name: &str| {
        let value = variable(name)?;
        let value = value.trim().to_owned();
        (!value.is_empty()).then(|| (name.to_owned(), value))
    };
    let either = |small: &str| set(small).or_else(|| set(&small.to_ascii_uppercase()));
    let own = if base.is_https() {
        either("https_proxy")
    } else {
        // In a CGI script this variable is a header of the request.
        let is_script = set("REQUEST_METHOD").is_some();
        set("http_proxy").or_else(|| set("HTTP_PROXY").filter(|_| !is_script))
    };
    let Some((name, value)) = own.or_else(|| either("all_proxy")) else {
        return Ok(None);
    };
    if either("no_proxy").is_some_and(|(_, list)| is_listed(&list, base.host(), base.port())) {
        return Ok(None);
    }
    Proxy::parse(&value)
        .map(Some)
        .map_err(|reason| format!("{name}: {reason}"))
}

impl Proxy {
    /// Reads `scheme://user:password@host:port`, of which only the host is needed. The message of
    /// a failure holds no user or password.
    fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let protocol = match scheme.to_ascii_lowercase().as_str() {
            "http" => Protocol::Http,
            "https" => Protocol::Https,
            "socks4" => Protocol::Socks4,
            "socks4a" => Protocol::Socks4a,
            // Desktops write it without a number.
            "socks" | "socks5" => Protocol::Socks5,
            "socks5h" => Protocol::Socks5h,
            _ => {
                let shown = rest.rsplit('@').next().unwrap_or_default();
                return Err(format!(
                    "cannot speak to a proxy at {scheme}://{shown}; {KNOWN} are understood"
                ));
            }
        };
        // A password may hold anything; the host is behind the last `@`.
        let (credentials, host) = match rest.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, rest),
        };
        let host = host.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = format!("http://{host}/");
        let uri = Uri::try_from(authority.as_str());
        let uri = uri.map_err(|_| format!("invalid proxy address {host:?}"))?;
        let name = uri.host().unwrap_or_default();
        let behind = host.rsplit(']').next().unwrap_or_default();
        let port = match behind.split_once(':') {
            Some((_, port)) => port.parse().ok().filter(|port| *port > 0),
            None => Some(usual_port(protocol)),
        };
        let Some(port) = port.filter(|_| !name.is_empty()) else {
            return Err(format!("invalid proxy address {host:?}"));
        };
        let (user, password) = match credentials.map(|both| both.split_once(':')) {
            Some(Some((user, password))) => (Some(decoded(user)), Some(decoded(password))),
            Some(None) => (credentials.map(decoded), None),
            None => (None, None),
        };
        Ok(Self {
            protocol,
            host: name.to_owned(),
            port,
            user,
            password,
        })
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Whether TLS is spoken to the proxy itself.
    pub(super) fn is_https(&self) -> bool {
        self.protocol == Protocol::Https
    }
}

/// What may be shown: all but the user and the password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.protocol.scheme();
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

fn usual_port(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Http => 80,
        Protocol::Https => 443,
        _ => 1080,
    }
}

/// With `%40` and the like as what they stand for.
fn decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let code = digit(after.first()).zip(digit(after.get(1)));
        let code = code.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        match code.filter(|_| *byte == b'%') {
            Some(code) => {
                bytes.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is used for a base URL in an environment.
    fn used(base: &str, environment: &[(&str, &str)]) -> String {
        let variable = |name: &str| {
            let mut set = environment.iter().filter(|(set, _)| *set == name);
            set.next().map(|(_, value)| (*value).to_owned())
        };
        match proxy_for(&BaseUrl::parse(base).unwrap(), variable) {
            Ok(Some(proxy)) => proxy.to_string(),
            Ok(None) => "direct".to_owned(),
            Err(message) => message,
        }
    }

    #[test]
    fn the_scheme_of_the_base_url_chooses_the_variable() {
        let (plain, secure) = ("http://api.test/v1", "https://api.test/v1");
        let all: &[(&str, &str)] = &[
            ("http_proxy", "http://plain:1"),
            ("https_proxy", "http://secure:2"),
            ("all_proxy", "socks5://all:3"),
        ];
        let capitals: &[(&str, &str)] = &[
            ("HTTP_PROXY", "http://plain:1"),
            ("HTTPS_PROXY", "http://secure:2"),
            ("ALL_PROXY", "socks5://all:3"),
        ];
        let table = [
            (plain, all, "http://plain:1"),
            (secure, all, "http://secure:2"),
            (plain, capitals, "http://plain:1"),
            (secure, capitals, "http://secure:2"),
            (plain, &all[1..], "socks5://all:3"),
            (secure, &all[..1], "direct"),
            (secure, &all[2..], "socks5://all:3"),
            (secure, &capitals[2..], "socks5://all:3"),
            (plain, &[], "direct"),
            (
                plain,
                &[("http_proxy", " "), ("HTTP_PROXY", "p")],
                "http://p:80",
            ),
            (
                plain,
                &[("http_proxy", "a"), ("HTTP_PROXY", "b")],
                "http://a:80",
            ),
            (
                plain,
                &[("HTTP_PROXY", "p"), ("REQUEST_METHOD", "GET")],
                "direct",
            ),
            (
                plain,
                &[("http_proxy", "p"), ("REQUEST_METHOD", "GET")],
                "http://p:80",
            ),
            ("http://127.0.0.1:1/v1", all, "direct"),
            ("https://localhost/v1", all, "direct"),
        ];
        for (step, (base, environment, expected)) in table.into_iter().enumerate() {
            assert_eq!(used(base, environment), expected, "step {step}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name_where_it_would_be_used() {
        let base = "https://api.test/v1";
        let refused = used(base, &[("ALL_PROXY", "ftp://u:s3cret@p:21")]);
        assert!(
            refused.starts_with("ALL_PROXY: ") && refused.contains("ftp://p:21"),
            "{refused}"
        );
        assert!(!refused.contains("s3cret"), "{refused}");
        for invalid in [
            "http://",
            "http://u:s3cret@",
            "http://p:port",
            "http://p:0",
            "a b",
            "http://[::1",
        ] {
            let refused = used(base, &[("https_proxy", invalid)]);
            assert!(
                refused.starts_with("https_proxy: invalid proxy"),
                "{invalid}: {refused}"
            );
            assert!(!refused.contains("s3cret"), "{refused}");
        }
        let usable = ("https_proxy", "http://p:1");
        assert_eq!(
            used(base, &[("all_proxy", "ftp://q"), usable]),
            "http://p:1"
        );
        assert_eq!(
            used(base, &[("all_proxy", "ftp://q"), ("no_proxy", "api.test")]),
            "direct"
        );
        assert_eq!(used(base, &[("http_proxy", "ftp://q")]), "direct");
    }

    #[test]
    fn hosts_of_no_proxy_are_reached_directly() {
        let proxy = ("https_proxy", "http://p:1");
        let table = [
            ("no_proxy", ".test", "direct"),
            ("NO_PROXY", "*", "direct"),
            ("NO_PROXY", "api.test:443", "direct"),
            ("NO_PROXY", "api.test:80", "http://p:1"),
            ("NO_PROXY", "other.test", "http://p:1"),
        ];
        for (name, list, expected) in table {
            assert_eq!(
                used("https://api.test/v1", &[proxy, (name, list)]),
                expected,
                "{list}"
            );
        }
        let both = [proxy, ("no_proxy", "other.test"), ("NO_PROXY", "api.test")];
        assert_eq!(
            used("https://api.test/v1", &both),
            "http://p:1",
            "small letters win"
        );
    }

    #[test]
    fn a_proxy_is_read_in_every_form_and_shown_without_its_password() {
        let table = [
            ("p", "http://p:80", None, None),
            ("p:3128", "http://p:3128", None, None),
            ("HTTP://p:3128/", "http://p:3128", None, None),
            ("https://p", "https://p:443", None, None),
            ("socks://p", "socks5://p:1080", None, None),
            ("socks4://p", "socks4://p:1080", None, None),
            ("socks4a://p", "socks4a://p:1080", None, None),
            ("socks5h://p:9", "socks5h://p:9", None, None),
            ("http://[::1]:81", "http://[::1]:81", None, None),
            ("u:s3cret@p:1", "http://p:1", Some("u"), Some("s3cret")),
            ("http://u@p", "http://p:80", Some("u"), None),
            (
                "http://u%40h:a%3Ab%2F%zz@p",
                "http://p:80",
                Some("u@h"),
                Some("a:b/%zz"),
            ),
            (
                "http://u:p@ss/w#rd@p:1",
                "http://p:1",
                Some("u"),
                Some("p@ss/w#rd"),
            ),
        ];
        for (given, shown, user, password) in table {
            let proxy = Proxy::parse(given).unwrap_or_else(|error| panic!("{given}: {error}"));
            assert_eq!(proxy.to_string(), shown, "{given}");
            let found = (proxy.user.as_deref(), proxy.password.as_deref());
            assert_eq!(found, (user, password), "{given}");
            assert!(!format!("{proxy:?}").contains("s3cret"), "{given}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_address_panics(url: String) {
            let _ = Proxy::parse(&url);
        }
    }
}
