//! What a store answers, as inputs of a fuzzer.

use super::connection::reply;

/// The bytes of an answer to the script, in the store's protocol.
pub(crate) fn answers(bytes: &[u8]) {
    if let Ok(value) = redis::parse_redis_value(bytes) {
        let _ = reply(value);
    }
}
