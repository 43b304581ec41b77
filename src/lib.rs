//! paceline
mod cost;
mod error;
mod limiter;
mod quota;
mod sync;

pub use cost::{Charge, Cost, Usage};
pub use error::{ApiError, Error, ErrorKind, Result};
pub use limiter::{
    CancelToken, Clock, DEFAULT_JITTER, ManualClock, Permit, QuotaSnapshot, RateLimiter,
    RateLimiterBuilder, Registry, Snapshot, Wait, limiter_for,
};
pub use quota::{
    LimitTable, Limits, LimitsBuilder, MAX_AMOUNT, MAX_PERIOD, PRESETS_DATED, Quota, Tier, Unit,
    base_model,
};
