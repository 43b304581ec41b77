//! What a run may take, and what that costs.

pub(super) mod bounds; // what still fits
pub(super) mod earlier; // what earlier runs have cost
pub(super) mod gate; //   only what fits goes to its limiter
pub(super) mod prices; // what tokens cost
