//! What kind of request a path is for.

/// The kinds of request that are counted in different ways.
///
/// ```
/// use paceline::tokens::Endpoint;
///
/// assert_eq!(Endpoint::from_path("/v1/chat/completions"), Endpoint::Chat);
/// assert_eq!(Endpoint::from_path("/files"), Endpoint::Other);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/responses`.
    Responses,
    /// `/v1/completions`, the older one with a `prompt`.
    Completions,
    /// `/v1/messages`, Anthropic's.
    Messages,
    /// `/v1/embeddings`.
    Embeddings,
    /// `/v1/moderations`.
    Moderations,
    /// Anything else. It is estimated from its characters.
    Other,
}

impl Endpoint {
    /// The endpoint that a path, or a whole URL, ends in. What stands in front (`/v1`, a
    /// gateway's prefix, a deployment) makes no difference, nor does a query.
    ///
    /// ```
    /// use paceline::tokens::Endpoint;
    ///
    /// assert_eq!(Endpoint::from_path("/v1/chat/completions"), Endpoint::Chat);
    /// assert_eq!(Endpoint::from_path("/v1/files"), Endpoint::Other);
    /// ```
    #[must_use]
    pub fn from_path(path: &str) -> Self {
        let path = path.trim();
        let end = path.find(['?', '#']).unwrap_or(path.len());
        let mut segments = path[..end].trim_end_matches('/').rsplit('/');
        match (segments.next(), segments.next()) {
            (Some("completions"), Some("chat")) => Self::Chat,
            (Some("completions"), _) => Self::Completions,
            (Some("responses"), _) => Self::Responses,
            // In a thread a message is something that is kept.
            (Some("messages"), None | Some("" | "v1")) => Self::Messages,
            (Some("embeddings"), _) => Self::Embeddings,
            (Some("moderations"), _) => Self::Moderations,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_their_endpoints() {
        let table = [
            ("/v1/chat/completions", Endpoint::Chat),
            ("/chat/completions", Endpoint::Chat),
            ("chat/completions", Endpoint::Chat),
            ("/v1/chat/completions/", Endpoint::Chat),
            (
                "https://gateway.example/a/v1/chat/completions?x=/embeddings",
                Endpoint::Chat,
            ),
            (
                "/openai/deployments/d/chat/completions?api-version=1",
                Endpoint::Chat,
            ),
            ("/v1/responses", Endpoint::Responses),
            ("/v1/responses/resp_1/cancel", Endpoint::Other),
            ("/v1/completions", Endpoint::Completions),
            ("completions", Endpoint::Completions),
            ("/v1/embeddings#top", Endpoint::Embeddings),
            ("/v1/moderations", Endpoint::Moderations),
            ("/v1/messages", Endpoint::Messages),
            ("messages", Endpoint::Messages),
            (
                "https://api.anthropic.com/v1/messages?beta=true",
                Endpoint::Messages,
            ),
            ("/v1/messages/count_tokens", Endpoint::Other),
            ("/v1/threads/t1/messages", Endpoint::Other),
            ("/v1/images/generations", Endpoint::Other),
            ("/v1/my-embeddings", Endpoint::Other),
            ("/", Endpoint::Other),
            ("", Endpoint::Other),
            ("é?é", Endpoint::Other),
        ];
        for (step, (path, endpoint)) in table.into_iter().enumerate() {
            assert_eq!(Endpoint::from_path(path), endpoint, "step {step}: {path}");
        }
    }
}
