//! Who may ask, by the names that a request comes with: pure.
//!
//! A page in a browser can send requests to this machine, and by a name of its own that resolves to
//! 127.0.0.1 (DNS rebinding) it can read the responses, too. It would spend the key. So a gateway that
//! listens for this machine takes requests for this machine's names alone, and none from foreign pages.

use std::net::IpAddr;

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    NoHost,
    Host,
    Origin,
}

impl Denied {
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::NoHost => "the request has no Host header",
            Self::Host => {
                "the Host header names another machine: this gateway takes requests for 127.0.0.1, \
                 localhost and [::1] alone"
            }
            Self::Origin => "the request comes from a page of another origin",
        }
    }
}

/// Judges a request by its `Host` and `Origin`. `names` are further names of this machine.
pub(super) fn judge(
    host: Option<&str>,
    origin: Option<&str>,
    names: &[String],
) -> Result<(), Denied> {
    let host = host.ok_or(Denied::NoHost)?;
    if !is_own(host, names) {
        return Err(Denied::Host);
    }
    match origin {
        None => Ok(()),
        Some(origin) => {
            // `null` is the origin of pages without one: anybody's.
            let host = origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"));
            match host.is_some_and(|host| is_own(host, names)) {
                true => Ok(()),
                false => Err(Denied::Origin),
            }
        }
    }
}

/// Whether a name, perhaps with a port, is this machine's.
fn is_own(host: &str, names: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if port.is_empty() || is_port(port) => name,
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if is_port(&format!(":{port}")) => name,
            Some(_) => return false,
            None => host,
        },
    };
    let is_loopback = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_loopback
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_s_names_are_taken_and_no_others() {
        let names = ["gateway.example".to_owned()];
        type Row = (
            Option<&'static str>,
            Option<&'static str>,
            Result<(), Denied>,
        );
        let table: [Row; 17] = [
            (Some("127.0.0.1:8317"), None, Ok(())),
            (Some("127.0.0.1"), None, Ok(())),
            (Some("LocalHost:1"), None, Ok(())),
            (Some("[::1]:8317"), None, Ok(())),
            (Some("gateway.example:80"), None, Ok(())),
            (Some("localhost"), Some("http://localhost:3000"), Ok(())),
            (Some("localhost"), Some("https://127.0.0.1"), Ok(())),
            (None, None, Err(Denied::NoHost)),
            (Some(""), None, Err(Denied::Host)),
            (Some("evil.example:8317"), None, Err(Denied::Host)),
            (Some("127.0.0.1.evil.example"), None, Err(Denied::Host)),
            (Some("localhost:evil"), None, Err(Denied::Host)),
            (Some("[::1]evil"), None, Err(Denied::Host)),
            (Some("10.0.0.1"), None, Err(Denied::Host)),
            (
                Some("localhost"),
                Some("https://evil.example"),
                Err(Denied::Origin),
            ),
            (Some("localhost"), Some("null"), Err(Denied::Origin)),
            (
                Some("localhost"),
                Some("http://localhost@evil.example"),
                Err(Denied::Origin),
            ),
        ];
        for (host, origin, expected) in table {
            assert_eq!(judge(host, origin, &names), expected, "{host:?} {origin:?}");
        }
    }
}
