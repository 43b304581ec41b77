//! What differs between the providers: the headers that tell the limits, and the shape of errors.

mod errors; //  the envelope of an error
mod headers; // how the limits stand
mod refusal; // the 429 of a limit

pub(super) use errors::{Error, envelope};
pub(super) use headers::rate_limit_headers;
pub(super) use refusal::over_limit;
