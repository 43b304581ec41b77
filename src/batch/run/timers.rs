//! What stops a run at a time, or when it has looked at it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Result;
use crate::batch::budget::bounds::Bound;
use crate::batch::events::standstill::Standstill;
use crate::batch::events::{Events, RunEvent};
use crate::batch::send::link_gate::{LinkGate, LinkTimer};
use crate::batch::shutdown::Shutdown;
use crate::batch::summary::StopReason;
use crate::batch::wait::timers::{LookOut, Timer};

/// The threads that see to times, until this is dropped. They hold no stage: stages end when they are done.
pub(super) struct Timers {
    _deadline: Option<Timer>,
    _link: LinkTimer,
    _look_out: Option<LookOut>,
}

/// Starts them. `deadline` is for how long the run may last, and until when.
pub(super) fn start(
    link: &Arc<LinkGate>,
    events: &Arc<Events>,
    shutdown: &Arc<Shutdown>,
    deadline: Option<(Duration, Instant)>,
) -> Result<Timers> {
    let deadline = deadline.map(|(after, end)| {
        let shutdown = Arc::clone(shutdown);
        Timer::start(end, move || shutdown.stop_at(Bound::Deadline { after }))
    });
    let unreachable = Arc::clone(shutdown);
    let link = link.start_timer(move |reason| {
        unreachable.stop_first_for(StopReason::Unreachable(reason));
    })?;
    Ok(Timers {
        _deadline: deadline.transpose()?,
        _link: link,
        // Without a thread for it waits are not said, and nothing else is lost.
        _look_out: look_out(events, shutdown).ok(),
    })
}

/// Looks for waits that are to be said, and stops the run when all that is left waits for more than a day.
fn look_out(events: &Arc<Events>, shutdown: &Arc<Shutdown>) -> Result<LookOut> {
    let (events, shutdown) = (Arc::clone(events), Arc::clone(shutdown));
    let mut standstill = Standstill::default();
    LookOut::start(move || {
        let seen = standstill.look(&events.watch().facts());
        for notice in &seen.notices {
            events.emit(RunEvent::Notice(notice));
        }
        if let Some(reason) = seen.end {
            shutdown.stop_first_for(StopReason::LongWait(reason));
        }
    })
}
