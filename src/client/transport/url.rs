//! Addresses: a base URL as its owner writes it, and where a request's path leads from it.
//!
//! Providers name their base URL as the official clients take it: what stands before
//! `/chat/completions`. Files of requests name paths as the batch format has them: with `/v1`. So
//! a base URL with a path stands in place of the `/v1`, and one without a path keeps it.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

/// What a base URL ends in when a user gives the address of an endpoint.
const ENDPOINTS: [&str; 6] = [
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/responses",
    "/moderations",
    "/messages",
];

/// Marks that come along when an address is copied out of a file of settings.
const QUOTES: [char; 7] = ['"', '\'', '`', '“', '”', '‘', '’'];

/// The API to talk to.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::client) struct BaseUrl {
    /// Scheme, host and port.
    origin: String,
    /// Empty, or from its `/` on without one at its end.
    path: String,
    /// Whether the path stands in place of the `/v1` of a request's path.
    is_whole: bool,
    /// Without its `?`. There can be a key in it.
    query: Option<String>,
}

impl BaseUrl {
    /// Parses a base URL. The message of a failure holds no query, user or password.
    pub(in crate::client) fn parse(given: &str) -> Result<Self, String> {
        let is_around = |char: char| char.is_whitespace() || QUOTES.contains(&char);
        let url = given.trim_matches(is_around);
        // A fragment is never sent.
        let url = url.split('#').next().unwrap_or_default();
        let (url, query) = match url.split_once('?') {
            Some((url, query)) => (url, Some(query).filter(|query| !query.is_empty())),
            None => (url, None),
        };
        if url.contains('@') {
            return Err(
                "base URL: it can hold no user name or password; send them in a header".to_owned(),
            );
        }
        let invalid =
            || format!("base URL {url:?}: an address such as https://api.openai.com/v1 is needed");
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None if names_a_host(url) => {
                let host = url.split('/').next().unwrap_or_default();
                let scheme = if is_this_machine(bare(host)) {
                    "http"
                } else {
                    "https"
                };
                return Err(format!(
                    "base URL {url:?}: it has no scheme; put {scheme}:// before it"
                ));
            }
            None => return Err(invalid()),
        };
        if scheme != "http" && scheme != "https" {
            return Err(invalid());
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let mut path = path.trim_end_matches('/');
        let mut is_whole = !path.is_empty();
        if let Some(before) = without_endpoint(path) {
            log::info!("base URL {url}: what is asked there comes from each request");
            path = before.trim_end_matches('/');
            is_whole = true;
        }
        let base = Self {
            origin: format!("{scheme}://{}", authority.to_ascii_lowercase()),
            path: path.to_owned(),
            is_whole,
            query: query.map(str::to_owned),
        };
        if has_port_of_numbers(authority) && is_url(&base.join("")) {
            Ok(base)
        } else {
            Err(invalid())
        }
    }

    /// Where a request for `path` goes. A parameter of its own query overrules the base URL's.
    pub(super) fn join(&self, path: &str) -> String {
        let path = path.split('#').next().unwrap_or_default();
        let (path, own) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let path = self.rest(path.trim_start_matches('/'));
        let mut url = format!("{}{}/{path}", self.origin, self.path);
        let name = |parameter: &str| parameter.split('=').next().unwrap_or_default().to_owned();
        let own: Vec<&str> = own.into_iter().flat_map(|query| query.split('&')).collect();
        let ours = self.query.iter().flat_map(|query| query.split('&'));
        let ours = ours.filter(|ours| !own.iter().any(|own| name(own) == name(ours)));
        let mut mark = '?';
        for parameter in ours.chain(own.iter().copied()) {
            if !parameter.is_empty() {
                url.push(mark);
                url.push_str(parameter);
                mark = '&';
            }
        }
        url
    }

    /// What of a path is added to the base URL's own.
    fn rest<'a>(&self, path: &'a str) -> &'a str {
        if !self.is_whole {
            return path;
        }
        let own = self.path.trim_start_matches('/');
        let last = own.rsplit('/').next().unwrap_or_default();
        // Said twice it is meant once: all of the base URL's path, or the version at its end.
        let whole = Some(own).filter(|own| own.contains('/'));
        let version = Some(last).filter(|last| is_version(last));
        let said = [whole, version, Some("v1")];
        let mut rests = said.into_iter().flatten().filter_map(|said| {
            let rest = path.strip_prefix(said)?.strip_prefix('/')?;
            Some(rest.trim_start_matches('/'))
        });
        rests.next().unwrap_or(path)
    }

    /// What may be shown: all but the query.
    pub(super) fn shown(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }

    /// The host and the port, as in the URL.
    pub(super) fn authority(&self) -> &str {
        let after = self.origin.split_once("://");
        after.map_or("", |(_, authority)| authority)
    }

    /// What of a URL of this server is sent to it.
    pub(super) fn target<'a>(&self, url: &'a str) -> &'a str {
        url.strip_prefix(self.origin.as_str()).unwrap_or_default()
    }

    /// The host, an IPv6 address without its brackets.
    pub(in crate::client) fn host(&self) -> &str {
        bare(self.authority())
    }

    /// The host, an IPv6 address in its brackets.
    pub(super) fn host_in_url(&self) -> &str {
        let authority = self.authority();
        match authority.rfind(']') {
            Some(end) => authority.get(..=end).unwrap_or_default(),
            None => self.host(),
        }
    }

    pub(super) fn port(&self) -> u16 {
        let after = self.authority().rsplit(']').next().unwrap_or_default();
        let port = after
            .split_once(':')
            .and_then(|(_, port)| port.parse().ok());
        port.unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    pub(super) fn is_https(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// Whether it is this machine, which no other machine and no proxy can reach.
    pub(in crate::client) fn is_loopback(&self) -> bool {
        is_this_machine(self.host())
    }

    /// Whether it is in a network of one's own: of a private address, or of a name that no public name
    /// server knows.
    pub(in crate::client) fn is_private(&self) -> bool {
        let host = self.host().trim_end_matches('.');
        match host.parse().map(|ip: IpAddr| ip.to_canonical()) {
            Ok(IpAddr::V4(ip)) => ip.is_private() || ip.is_link_local(),
            Ok(IpAddr::V6(ip)) => ip.is_unique_local() || ip.is_unicast_link_local(),
            Err(_) => {
                let ends = [".local", ".internal", ".lan", ".home.arpa"];
                !host.contains('.') || ends.iter().any(|end| host.ends_with(end))
            }
        }
    }

    /// The path with a `/` behind it, so that parts of it can be found.
    pub(in crate::client) fn path(&self) -> String {
        format!("{}/", self.path)
    }

    /// The values of the query that may be keys, to be left out of what a server quotes.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let parameters = self.query.iter().flat_map(|query| query.split('&'));
        let pairs = parameters.filter_map(|parameter| parameter.split_once('='));
        // A version of an API is quoted to help.
        let secret = pairs.filter(|(name, _)| !name.to_ascii_lowercase().ends_with("version"));
        secret.map(|(_, value)| value)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BaseUrl").field(&self.shown()).finish()
    }
}

/// The host of an authority, without a port or the brackets of IPv6.
fn bare(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// Whether a host is a name or an address of this machine.
fn is_this_machine(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let address = host.parse().map(|ip: IpAddr| ip.to_canonical());
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|ip| ip.is_loopback())
}

/// Whether this may be an address without its scheme: `api.openai.com/v1`, `localhost:8000`.
fn names_a_host(url: &str) -> bool {
    let host = url.split('/').next().unwrap_or_default();
    let name = bare(host);
    !name.is_empty()
        && !name.eq_ignore_ascii_case("http")
        && !name.eq_ignore_ascii_case("https")
        && (host.contains('.') || is_this_machine(name) || host.contains(':'))
}

/// Whether what stands behind the host's colon is a port.
fn has_port_of_numbers(authority: &str) -> bool {
    let after = authority.rsplit(']').next().unwrap_or_default();
    match after.split_once(':') {
        Some((_, port)) => port.parse::<u16>().is_ok_and(|port| port > 0),
        None => true,
    }
}

/// A `v` and a number begin it: `v1`, `v1beta`, `v4`.
fn is_version(segment: &str) -> bool {
    let number = segment.strip_prefix('v');
    number.is_some_and(|number| number.starts_with(|digit: char| digit.is_ascii_digit()))
}

/// A base URL's path without the endpoint at its end, if there is one.
fn without_endpoint(path: &str) -> Option<&str> {
    let mut before = ENDPOINTS.iter().filter_map(|end| path.strip_suffix(end));
    // A deployment may be named like an endpoint.
    before.find(|before| !before.ends_with("/deployments"))
}

/// What may be printed of an address. A query can hold a key, as some gateways have it.
pub(in crate::client) fn without_query(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Whether this is a whole URL, without a user name or password in it.
pub(super) fn is_url(url: &str) -> bool {
    Uri::try_from(url).is_ok_and(|uri| {
        uri.authority()
            .is_some_and(|host| !host.as_str().contains('@') && !host.host().is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> BaseUrl {
        BaseUrl::parse(url).unwrap_or_else(|message| panic!("{url}: {message}"))
    }

    #[test]
    fn a_base_url_with_a_path_replaces_the_v1_of_a_request_and_one_without_keeps_it() {
        let whole = [
            "/v1",
            "/v1beta/openai",
            "/api/paas/v4",
            "/api/v3",
            "/v1/openai",
            "/inference",
            "/openai",
            "/openai/v1",
            "/openai/deployments/chat",
            "/openai/deployments/embeddings",
            "/v1/v1",
        ];
        for path in whole {
            for end in ["", "/", "//"] {
                let base = base(&format!("http://h:8080{path}{end}"));
                for asked in [
                    "/v1/chat/completions",
                    "chat/completions",
                    "//v1/chat/completions",
                ] {
                    let expected = format!("http://h:8080{path}/chat/completions");
                    assert_eq!(base.join(asked), expected, "{path}{end} and {asked}");
                }
            }
        }
        for bare in ["http://h", "http://h/", " http://h// ", "HTTP://H"] {
            let base = base(bare);
            assert_eq!(
                base.join("/v1/embeddings"),
                "http://h/v1/embeddings",
                "{bare}"
            );
            assert_eq!(base.join("embeddings"), "http://h/embeddings", "{bare}");
        }
    }

    #[test]
    fn what_is_said_twice_is_meant_once() {
        let table = [
            ("http://h/v2", "/v2/x", "http://h/v2/x"),
            ("http://h/api/v3", "/api/v3/x", "http://h/api/v3/x"),
            ("http://h/api/v3", "/v3/x", "http://h/api/v3/x"),
            (
                "http://h/v1beta/openai",
                "/v1beta/x",
                "http://h/v1beta/openai/v1beta/x",
            ),
            ("http://h/v1", "/v12/x", "http://h/v1/v12/x"),
            ("http://h/v1", "/v1/v1/x", "http://h/v1/v1/x"),
            (
                "http://h/chat",
                "/chat/completions",
                "http://h/chat/chat/completions",
            ),
        ];
        for (base_url, path, url) in table {
            assert_eq!(base(base_url).join(path), url, "{base_url} and {path}");
        }
    }

    #[test]
    fn an_endpoint_in_place_of_the_base_url_is_understood() {
        let azure = "https://x.openai.azure.com/openai/deployments/d";
        let table = [
            ("http://h/v1/chat/completions", "http://h/v1/x"),
            ("http://h/v1/responses/", "http://h/v1/x"),
            ("http://h/inference/embeddings", "http://h/inference/x"),
            ("http://h/chat/completions", "http://h/x"),
            (
                &format!("{azure}/chat/completions?api-version=1"),
                &format!("{azure}/x?api-version=1"),
            ),
            (
                "http://h/deployments/completions",
                "http://h/deployments/completions/x",
            ),
        ];
        for (given, url) in table {
            assert_eq!(base(given).join("/v1/x"), url, "{given}");
        }
    }

    #[test]
    fn queries_are_kept_and_merged_and_shown_to_nobody() {
        let base = base("https://h/d?api-version=2024-10-21&key=s3cret-s3cret");
        let table = [
            (
                "/x",
                "https://h/d/x?api-version=2024-10-21&key=s3cret-s3cret",
            ),
            (
                "/x?a=b",
                "https://h/d/x?api-version=2024-10-21&key=s3cret-s3cret&a=b",
            ),
            (
                "/x?key=own#f",
                "https://h/d/x?api-version=2024-10-21&key=own",
            ),
            (
                "/x?",
                "https://h/d/x?api-version=2024-10-21&key=s3cret-s3cret",
            ),
        ];
        for (path, url) in table {
            assert_eq!(base.join(path), url, "{path}");
        }
        assert_eq!(base.shown(), "https://h/d");
        assert_eq!(format!("{base:?}"), "BaseUrl(\"https://h/d\")");
        assert_eq!(base.secrets().collect::<Vec<_>>(), ["s3cret-s3cret"]);
        assert_eq!(
            without_query("http://h/v1/x?api-key=s3cret#f"),
            "http://h/v1/x"
        );
    }

    #[test]
    fn what_is_around_an_address_is_no_part_of_it() {
        let table = [
            "\"http://h/v1\"",
            " 'http://h/v1' ",
            "“http://h/v1”\n",
            "http://h/v1#top",
        ];
        for given in table {
            assert_eq!(base(given), base("http://h/v1"), "{given}");
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused_with_what_to_write() {
        let table = [
            ("api.openai.com/v1", "put https:// before it"),
            ("localhost:8000/v1", "put http:// before it"),
            ("127.0.0.1:8000", "put http:// before it"),
            ("[::1]:8000", "put http:// before it"),
            ("llm:8000/v1", "put https:// before it"),
            ("ftp://h/v1", "an address such as"),
            ("https:/api.openai.com/v1", "an address such as"),
            ("https//api.openai.com/v1", "an address such as"),
            ("v1", "an address such as"),
            ("", "an address such as"),
            ("http://", "an address such as"),
            ("http:///v1", "an address such as"),
            ("http://h:port/v1", "an address such as"),
            ("http://h:99999/v1", "an address such as"),
            ("http://h:/v1", "an address such as"),
            ("http://[::1/v1", "an address such as"),
            ("http://h/a b", "an address such as"),
            ("http://h/v1 http://h/v1", "an address such as"),
        ];
        for (given, expected) in table {
            let message = BaseUrl::parse(given).unwrap_err();
            assert!(message.contains(expected), "{given}: {message}");
            assert!(message.starts_with("base URL"), "{given}: {message}");
        }
        for secret in ["http://u:s3cret@h/v1", "u:s3cret@h/v1", "h/v1?key=s3cret"] {
            let message = BaseUrl::parse(secret).unwrap_err();
            assert!(!message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn hosts_and_ports_are_found() {
        let table = [
            ("http://h/v1", "h", 80),
            ("https://h", "h", 443),
            ("https://h:8443/v1", "h", 8443),
            ("http://[::1]:81/v1", "::1", 81),
            ("https://[2001:db8::1]", "2001:db8::1", 443),
        ];
        for (given, host, port) in table {
            let base = base(given);
            assert_eq!((base.host(), base.port()), (host, port), "{given}");
        }
    }

    #[test]
    fn this_machine_is_known_by_its_names_and_addresses() {
        let table = [
            ("http://127.0.0.1:8080/v1", true),
            ("http://127.9.9.9", true),
            ("https://[::1]:8080/v1", true),
            ("https://[::ffff:127.0.0.1]:8080/v1", true),
            ("http://LocalHost/v1", true),
            ("http://localhost.:80/v1", true),
            ("http://llm.localhost/v1", true),
            ("https://api.openai.com/v1", false),
            ("http://192.168.0.1/v1", false),
            ("http://0.0.0.0/v1", false),
            ("http://localhost.example/v1", false),
            ("http://127.0.0.1.example/v1", false),
        ];
        for (given, expected) in table {
            assert_eq!(base(given).is_loopback(), expected, "{given}");
        }
    }
}
