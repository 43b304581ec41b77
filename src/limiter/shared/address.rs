//! The address of the store, and the credentials. No name and no password is ever shown.

use std::fmt;

use redis::{ConnectionInfo, IntoConnectionInfo};

use crate::{ConfigError, Error, Result};

/// Where the store is.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) nodes: Vec<ConnectionInfo>,
    pub(super) is_cluster: bool,
    /// What may be shown of it: scheme, hosts and ports.
    shown: String,
}

impl Address {
    /// Reads `redis://host:6379/0`, `rediss://…`, `unix:///path`, with `?cluster=1` or several hosts
    /// for a cluster.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it is no URL"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (is_cluster, query) = cluster_of(query)?;
        if scheme.ends_with("unix") {
            let url = match query.is_empty() {
                true => format!("{scheme}://{rest}"),
                false => format!("{scheme}://{rest}?{query}"),
            };
            return Ok(Self {
                nodes: vec![node(&url)?],
                is_cluster: false,
                shown: format!("{scheme}://{rest}"),
            });
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (secret, hosts) = match authority.rsplit_once('@') {
            Some((secret, hosts)) => (format!("{secret}@"), hosts),
            None => (String::new(), authority),
        };
        let query = match query.is_empty() {
            true => query,
            false => format!("?{query}"),
        };
        let nodes: Vec<ConnectionInfo> = hosts
            .split(',')
            .map(|host| node(&format!("{scheme}://{secret}{host}/{path}{query}")))
            .collect::<Result<_>>()?;
        Ok(Self {
            is_cluster: is_cluster || nodes.len() > 1,
            nodes,
            shown: format!("{scheme}://{hosts}/{path}"),
        })
    }

    /// Sets the credentials, in place of those of the URL.
    pub(super) fn sign(&mut self, username: Option<&str>, password: Option<&str>) {
        for node in &mut self.nodes {
            let mut settings = node.redis_settings().clone();
            if let Some(username) = username {
                settings = settings.set_username(username);
            }
            if let Some(password) = password {
                settings = settings.set_password(password);
            }
            *node = node.clone().set_redis_settings(settings);
        }
    }

    /// Whether it holds a password.
    pub(super) fn has_password(&self) -> bool {
        let mut nodes = self.nodes.iter();
        nodes.any(|node| node.redis_settings().password().is_some())
    }
}

/// Whether it says that the store is a cluster, and the rest of what it says.
fn cluster_of(query: &str) -> Result<(bool, String)> {
    let mut is_cluster = false;
    let mut rest = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=').unwrap_or((part, "")) {
            ("cluster", "1" | "true" | "") => is_cluster = true,
            ("cluster", "0" | "false") => is_cluster = false,
            ("cluster", _) => return Err(wrong("cluster is 0 or 1")),
            _ => rest.push(part),
        }
    }
    Ok((is_cluster, rest.join("&")))
}

fn node(url: &str) -> Result<ConnectionInfo> {
    let parsed = redis::parse_redis_url(url);
    let parsed = parsed.ok_or_else(|| wrong("it is no URL of a kind that is known"))?;
    // What is wrong is said without the URL, which may hold a password.
    let node = parsed.into_connection_info();
    node.map_err(|error| wrong(&error.to_string()))
}

fn wrong(reason: &str) -> Error {
    let message = format!(
        "the address of the store cannot be used: {reason}; it looks like redis://host:6379/0, \
         rediss://host:6379 for TLS, unix:///path, or redis://host:7000?cluster=1"
    );
    // Not its value, which may hold a password.
    ConfigError::new("store URL", message).into()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_clusters_are_read() {
        let table = [
            ("redis://h", 1, false, "redis://h/"),
            ("redis://h:7000/2", 1, false, "redis://h:7000/2"),
            ("rediss://h?cluster=1", 1, true, "rediss://h/"),
            ("redis://a:1,b:2", 2, true, "redis://a:1,b:2/"),
            ("valkey://h?cluster=0", 1, false, "valkey://h/"),
            (
                "unix:///run/redis.sock?db=3",
                1,
                false,
                "unix:///run/redis.sock",
            ),
        ];
        for (url, nodes, is_cluster, shown) in table {
            let address = Address::parse(url).unwrap();
            let seen = (address.nodes.len(), address.is_cluster, address.to_string());
            assert_eq!(seen, (nodes, is_cluster, shown.to_owned()), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_an_example() {
        for url in [
            "",
            "h:6379",
            "http://h",
            "redis://",
            "redis://h/x",
            "redis://h?cluster=2",
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains("redis://host:6379"), "{url}: {error}");
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let good = [
            "redis://otto:hunter2@h/0",
            "redis://otto:hunter2@a,b",
            "unix:///s?user=otto&pass=hunter2",
        ];
        for url in good {
            let mut address = Address::parse(url).unwrap();
            assert!(address.has_password(), "{url}");
            address.sign(Some("emma"), Some("swordfish"));
            let shown = format!("{address} {address:?}");
            for secret in ["otto", "hunter2", "emma", "swordfish"] {
                assert!(!shown.contains(secret), "{url}: {shown}");
            }
        }
        for url in [
            "http://otto:hunter2@h",
            "redis://otto:hunter2@h/x",
            "redis://otto:hunter2@",
        ] {
            let error = format!("{:?}", Address::parse(url).unwrap_err());
            assert!(
                !error.contains("hunter2") && !error.contains("otto"),
                "{error}"
            );
        }
        assert!(!Address::parse("redis://h").unwrap().has_password());
    }
}
