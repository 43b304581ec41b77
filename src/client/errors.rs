//! Errors of responses: their bodies read, then judged by what is known of their provider.

use super::answer::{Fault, value};
use crate::error::ApiError;
use crate::providers::{Inside, Reading};

/// The error that a response with an error status is.
pub(super) fn api_error(status: u16, reading: &Reading, body: &[u8]) -> ApiError {
    let text = String::from_utf8_lossy(body);
    reading.error(status, &text, value(&text).ok())
}

/// The error that a response with a status of success is.
pub(super) fn error_inside(status: u16, reading: &Reading, body: &str, fault: Fault) -> ApiError {
    let inside = Inside {
        in_choice: fault == Fault::ErrorInChoice,
        fault: &fault,
    };
    reading.error_inside(status, body, value(body).ok(), inside)
}
