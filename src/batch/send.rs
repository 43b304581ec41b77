//! Sending one request, and what becomes of it.

use super::record::Record;
use super::run::{Outcome, Shared};
use crate::Admitted;

pub(super) fn send(shared: &Shared, custom_id: String, admitted: Admitted) {
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
            record: Record::success(custom_id, response),
        }),
        Err(error) => shared.refused(custom_id, &error),
    }
}
