#![doc = include_str!("../docs/guide/index.md")]

#[doc = include_str!("../docs/guide/deadlines.md")]
pub mod deadlines {}
#[doc = include_str!("../docs/guide/rayon.md")]
pub mod rayon {}
#[doc = include_str!("../docs/guide/structured_output.md")]
pub mod structured_output {}
#[doc = include_str!("../docs/guide/tools.md")]
pub mod tools {}
#[doc = include_str!("../docs/guide/testing.md")]
pub mod testing {}
#[doc = include_str!("../docs/guide/other_clients.md")]
pub mod other_clients {}
#[doc = include_str!("../docs/guide/sharing.md")]
#[doc = ""]
#[doc = include_str!("../docs/sharing.md")]
pub mod sharing {}
#[doc = include_str!("../docs/guide/tuning.md")]
pub mod tuning {}
