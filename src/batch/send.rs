//! Sending one request, and what becomes of it.

use super::fingerprint::Fingerprint;
use super::record::Record;
use super::run::{Outcome, Shared};
use crate::Admitted;

pub(super) fn send(
    shared: &Shared,
    custom_id: String,
    fingerprint: Fingerprint,
    admitted: Admitted,
) {
    if shared.stop.is_cancelled() {
        // It was admitted just then: it stays undone.
        return admitted.withdraw();
    }
    shared.watch.begun();
    let result = admitted.send(shared.wait());
    shared.watch.ended();
    match result {
        Ok(response) => shared.finish(Outcome {
            usage: response.usage,
            record: Record::success(custom_id, fingerprint, response),
        }),
        Err(error) => shared.refused(custom_id, fingerprint, &error),
    }
}
