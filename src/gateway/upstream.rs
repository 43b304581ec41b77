//! Clients of the provider, by key.
//!
//! Where the gateway has a key, all requests go with it. Where it has none, each caller's is sent with its request, and
//! the limits are those of the key: each key has a client and a registry of its own.

use std::collections::HashMap;
use std::fmt;

use parking_lot::Mutex;
use ring::digest::{SHA256, digest};

use crate::{ClientBuilder, RateLimitedClient, Result};

/// Keys of callers that are remembered. One more forgets the one that was not used for longest, and what is
/// known of its limits.
const MOST_KEYS: usize = 256;

/// The hash of a key.
pub(super) type KeyHash = [u8; 32];

/// The SHA-256 of a text.
pub(super) fn hash(text: &[u8]) -> KeyHash {
    let mut hash = KeyHash::default();
    hash.copy_from_slice(digest(&SHA256, text).as_ref());
    hash
}

/// Eight digits of a hash: enough to tell keys apart, and too few to find one.
fn short(hash: &KeyHash) -> String {
    hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A provider, and how to reach it.
pub(super) struct Upstream {
    settings: ClientBuilder,
    /// The client with the gateway's key.
    own: Option<RateLimitedClient>,
    /// The one for requests without a key, where the server may want none.
    keyless: Option<RateLimitedClient>,
    by_key: Mutex<ByKey>,
}

#[derive(Default)]
struct ByKey {
    uses: u64,
    clients: HashMap<KeyHash, (u64, RateLimitedClient)>,
}

impl Upstream {
    pub(super) fn new(settings: ClientBuilder) -> Result<Self> {
        let (own, keyless) = match settings.clone().build() {
            Ok(client) if client.has_credentials() => (Some(client), None),
            Ok(client) => (None, Some(client)),
            // A missing key is the callers' to bring. Anything else is wrong with another key, too.
            Err(_) => {
                settings.clone().api_key("not-given").build()?;
                (None, None)
            }
        };
        Ok(Self {
            settings,
            own,
            keyless,
            by_key: Mutex::default(),
        })
    }

    /// Whether callers bring the provider's key.
    pub(super) fn takes_keys(&self) -> bool {
        self.own.is_none()
    }

    /// The name of the provider, where it is known.
    pub(super) fn provider(&self) -> Option<&str> {
        let client = self.own.as_ref().or(self.keyless.as_ref())?;
        client.provider().map(crate::providers::Provider::name)
    }

    /// The client for a request that came with these headers of keys. `None` where one is needed.
    pub(super) fn client_for(
        &self,
        keys: &[(String, String)],
    ) -> Result<Option<RateLimitedClient>> {
        if let Some(own) = &self.own {
            return Ok(Some(own.clone()));
        }
        if keys.iter().all(|(_, value)| value.is_empty()) {
            return Ok(self.keyless.clone());
        }
        let text: Vec<String> = keys
            .iter()
            .map(|(name, value)| format!("{name}\0{value}\0"))
            .collect();
        let hash = hash(text.concat().as_bytes());
        let mut by_key = self.by_key.lock();
        by_key.uses += 1;
        let now = by_key.uses;
        if let Some((used, client)) = by_key.clients.get_mut(&hash) {
            *used = now;
            return Ok(Some(client.clone()));
        }
        let client = self.settings.of_key(keys, &short(&hash)).build()?;
        if by_key.clients.len() >= MOST_KEYS {
            let oldest = by_key.clients.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(hash, _)| *hash) {
                by_key.clients.remove(&oldest);
            }
        }
        by_key.clients.insert(hash, (now, client.clone()));
        Ok(Some(client))
    }

    /// All its clients, those of callers' keys with what tells them apart.
    pub(super) fn clients(&self) -> Vec<(Option<String>, RateLimitedClient)> {
        let by_key = self.by_key.lock();
        let of_keys = by_key.clients.iter();
        let of_keys = of_keys.map(|(hash, (_, client))| (Some(short(hash)), client.clone()));
        let fixed = self.own.iter().chain(&self.keyless);
        fixed
            .map(|client| (None, client.clone()))
            .chain(of_keys)
            .collect()
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("takes_keys", &self.takes_keys())
            .finish_non_exhaustive()
    }
}
