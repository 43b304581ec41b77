//! paceline
mod cost;
mod error;
mod quota;
#[cfg(feature = "sim")]
pub mod sim;

pub use cost::{Charge, Cost, Usage};
pub use error::{ApiError, Error, ErrorKind, Result};
pub use quota::{
    LimitTable, Limits, LimitsBuilder, MAX_AMOUNT, MAX_PERIOD, PRESETS_DATED, Quota, Tier, Unit,
    base_model,
};
