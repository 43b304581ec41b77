//! How a run ended. Pure.

use crate::batch::events::progress::Progress;
use crate::batch::send::common_cause::{ALIKE, Cause};
use crate::batch::shutdown::Causes;
use crate::batch::summary::StopReason;

/// Why a run ended: what stopped it, or else what all its failures have in common.
pub(super) fn stop_reason(
    causes: Causes,
    progress: &Progress,
    is_stopped: bool,
    of_all: Option<Cause>,
) -> StopReason {
    let Causes { cause, bound, .. } = causes;
    // A bound or a cancel that came with the last line stopped nothing.
    let is_open = progress.total.is_none_or(|total| progress.done() < total);
    let is_interrupted = bound.is_none() && is_stopped && is_open;
    let bound = bound.filter(|_| is_open);
    // Of so few lines that all had to fail to show it, nothing was spared.
    let is_short = !is_open && progress.done() <= ALIKE;
    let cause = cause.filter(|it| !is_short || !matches!(it, StopReason::SameFailure(_)));
    match (cause, bound) {
        (Some(cause), _) => cause,
        (None, Some(bound)) => StopReason::Bound(bound),
        (None, None) if is_interrupted => StopReason::Interrupted,
        (None, None) => of_all.map_or(StopReason::Finished, StopReason::from),
    }
}
