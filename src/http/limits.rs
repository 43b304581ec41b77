//! What a connection may take.

use std::time::Duration;

/// Bounds of a server: of sizes, of time and of the number of connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpLimits {
    /// Most bytes of a body.
    pub(crate) max_body: u64,
    /// Most connections at once; more get a 503.
    pub(crate) max_connections: usize,
    /// Longest time between two requests on a connection.
    pub(crate) idle: Duration,
    /// Longest time for a request to arrive, and for a response to leave. Each 16 KiB earn one more
    /// second.
    pub(crate) transfer: Duration,
    /// The stack of each connection's thread, in bytes.
    pub(crate) stack: usize,
    /// What the names of its threads begin with.
    pub(crate) name: &'static str,
}

/// Most bytes of request line and headers.
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// Most headers of a request.
pub(super) const MAX_HEADERS: usize = 100;
/// Most bytes of the line before a chunk, and of each line of a trailer.
pub(super) const MAX_LINE: usize = 4 * 1024;
/// Most lines of a trailer.
pub(super) const MAX_TRAILER_LINES: usize = 100;

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_body: 32 * 1024 * 1024,
            max_connections: usize::MAX,
            idle: Duration::from_secs(75),
            transfer: Duration::from_secs(75),
            // Enough for parsing JSON at `serde_json`'s greatest depth, and small enough for thousands.
            stack: 512 * 1024,
            name: "http",
        }
    }
}
