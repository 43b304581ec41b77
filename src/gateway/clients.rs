//! Who may ask, by key: clients of the gateway's own.

use std::fmt;

use super::refusal::Refusal;
use super::upstream::{KeyHash, hash};
use crate::{Error, Priority, Result};

/// A client of a gateway: a program or a team, known by a key of its own that opens the gateway and nothing else.
///
/// Where there is one, each request has to come with a client's key, in any of the headers that providers take keys in, and
/// is sent with the gateway's. Keys are kept as hashes.
///
/// ```no_run
/// use paceline::gateway::{Gateway, GatewayClient};
/// use paceline::{Priority, RateLimitedClient};
///
/// let nightly = GatewayClient::with_key("nightly", "a-long-random-key").priority(Priority::Batch);
/// let gateway = Gateway::builder(RateLimitedClient::builder()).client(nightly).start()?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct GatewayClient {
    name: String,
    key: KeyHash,
    priority: Option<Priority>,
}

impl GatewayClient {
    /// A client with this key.
    pub fn with_key(name: impl Into<String>, key: &str) -> Self {
        Self {
            name: name.into(),
            key: hash(key.trim().as_bytes()),
            priority: None,
        }
    }

    /// A client with the key of this SHA-256, in 64 hexadecimal digits: so that no file has the key.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it is no such hash.
    pub fn with_key_sha256(name: impl Into<String>, digits: &str) -> Result<Self> {
        let name = name.into();
        let digits = digits.trim();
        let mut key = KeyHash::default();
        let is_hash = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut pairs = digits.as_bytes().chunks_exact(2);
        for byte in &mut key {
            let pair = pairs.next().and_then(|pair| std::str::from_utf8(pair).ok());
            *byte = pair
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .unwrap_or(0);
        }
        match is_hash {
            true => Ok(Self {
                name,
                key,
                priority: None,
            }),
            false => Err(Error::config(
                "key_sha256",
                format!("client {name}: key_sha256 has to be 64 hexadecimal digits"),
            )),
        }
    }

    /// Sets the priority of its requests that name none, and the highest that they may name. Default: interactive.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The priority of a request that names this one, if any.
    pub(super) fn priority_of(&self, named: Option<Priority>) -> Priority {
        match (self.priority, named) {
            (Some(Priority::Batch), _) => Priority::Batch,
            (own, named) => named.or(own).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for GatewayClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayClient")
            .field("name", &self.name)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}

/// All clients of a gateway.
#[derive(Debug, Default)]
pub(super) struct Clients(Vec<GatewayClient>);

impl Clients {
    /// # Errors
    ///
    /// When two have the same name or the same key.
    pub(super) fn new(clients: Vec<GatewayClient>) -> Result<Self> {
        for (at, client) in clients.iter().enumerate() {
            let others = &clients[..at];
            if let Some(twin) = others
                .iter()
                .find(|it| it.name == client.name || it.key == client.key)
            {
                let (one, other) = (&twin.name, &client.name);
                let message =
                    format!("clients {one} and {other} have the same name or the same key");
                return Err(Error::config("client", message));
            }
        }
        Ok(Self(clients))
    }

    /// Whether requests need the key of one.
    pub(super) fn are_named(&self) -> bool {
        !self.0.is_empty()
    }

    /// The client of a request with these headers of keys; `None` where there are no clients.
    pub(super) fn of(&self, keys: &[(String, String)]) -> Result<Option<&GatewayClient>, Refusal> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let mut found = None;
        for (_, value) in keys {
            let key = match value.split_once(' ') {
                Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key,
                _ => value,
            };
            let hash = hash(key.trim().as_bytes());
            // All are compared, and each to its end: how long it takes says nothing of a key.
            for client in &self.0 {
                if is_same(&client.key, &hash) {
                    found = Some(client);
                }
            }
        }
        let message = "the API key is none of this gateway's clients";
        found
            .map(Some)
            .ok_or_else(|| Refusal::new(401, "invalid_api_key", message))
    }
}

/// Compares two hashes in a time that does not depend on them.
fn is_same(one: &KeyHash, other: &KeyHash) -> bool {
    let pairs = one.iter().zip(other);
    std::hint::black_box(pairs.fold(0, |seen, (a, b)| seen | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_its_key_in_any_header() {
        let digits = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"; // of "key"
        let clients = Clients::new(vec![
            GatewayClient::with_key_sha256("hashed", digits).unwrap(),
            GatewayClient::with_key("plain", "other").priority(Priority::Batch),
        ])
        .unwrap();
        let of = |name: &str, value: &str| {
            let keys = [(name.to_owned(), value.to_owned())];
            let found = clients.of(&keys);
            found
                .map(|client| client.unwrap().name().to_owned())
                .map_err(|it| it.status)
        };
        assert_eq!(of("authorization", "Bearer key"), Ok("hashed".to_owned()));
        assert_eq!(of("x-api-key", "other"), Ok("plain".to_owned()));
        assert_eq!(of("x-api-key", "Key"), Err(401));
        assert_eq!(clients.of(&[]).unwrap_err().status, 401);
        assert!(Clients::default().of(&[]).unwrap().is_none());
        let printed = format!("{clients:?}");
        assert!(
            !printed.contains("44, 112") && printed.contains("plain"),
            "{printed}"
        );
    }

    #[test]
    fn clients_that_cannot_be_told_apart_are_refused() {
        let twins = |a: (&str, &str), b: (&str, &str)| {
            let one = |(name, key): (&str, &str)| GatewayClient::with_key(name, key);
            Clients::new(vec![one(a), one(b)])
        };
        assert!(twins(("a", "1"), ("b", "2")).is_ok());
        assert!(twins(("a", "1"), ("a", "2")).is_err());
        assert!(twins(("a", "1"), ("b", "1")).is_err());
        assert!(GatewayClient::with_key_sha256("a", "12").is_err());
    }

    #[test]
    fn a_batch_client_stays_one() {
        let batch = GatewayClient::with_key("a", "1").priority(Priority::Batch);
        assert_eq!(
            batch.priority_of(Some(Priority::Interactive)),
            Priority::Batch
        );
        let usual = GatewayClient::with_key("a", "1");
        assert_eq!(usual.priority_of(None), Priority::Interactive);
        assert_eq!(usual.priority_of(Some(Priority::Batch)), Priority::Batch);
    }
}
