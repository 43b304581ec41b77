//! What refusals for want of room leave of a window, and how it opens again.
//!
//! A server that refuses has just said how many it takes: those that it has kept. So the window
//! closes to them at once and not by half. One more is tried after four turnovers, then two more,
//! then four; a refusal ends that, and doubles the time until the next.

/// Turnovers before the first probe, and at most.
const FIRST_WAIT: f64 = 4.0;
const LONGEST_WAIT: f64 = 256.0;
/// The part of a window that an overloaded server may refuse before the window closes.
const OVERLOADED: f64 = 0.2;
/// The fewest and the most requests over which that is counted.
const COUNTED: (f64, f64) = (5.0, 64.0);

/// What is known of the room that a server has.
#[derive(Debug, Clone, Default)]
pub(super) struct Probe {
    /// How many it has room for, if it has ever refused.
    room: Option<Room>,
    /// The part of the last window that it refused as overloaded.
    overloads: f64,
}

#[derive(Debug, Clone, Copy)]
struct Room {
    most: f64,
    /// What the next probe adds.
    step: f64,
    /// Turnovers before the next probe.
    wait: f64,
    /// Answers since the last change, while the window was full.
    admitted: f64,
    /// Whether the last change was a probe that no refusal has answered yet.
    is_probing: bool,
}

impl Probe {
    pub(super) fn is_closed(&self) -> bool {
        self.room.is_some()
    }

    /// A window within the room that there is.
    pub(super) fn bound(&self, limit: f64) -> f64 {
        self.room.map_or(limit, |room| limit.min(room.most))
    }

    /// A request was refused with `left` others in flight. Returns the window.
    pub(super) fn refused(&mut self, limit: f64, left: u64) -> f64 {
        let most = limit.min(left as f64).max(1.0);
        let before = self.room;
        let wait = match before {
            // Those that were on their way when it was closed say nothing new.
            Some(room) if !room.is_probing => room.wait,
            Some(room) => (room.wait * 2.0).min(LONGEST_WAIT),
            None => FIRST_WAIT,
        };
        self.room = Some(Room {
            most,
            step: 1.0,
            wait,
            admitted: 0.0,
            is_probing: false,
        });
        most
    }

    /// An overloaded server has refused a request. Returns whether its refusals show that the window is
    /// too large.
    pub(super) fn overloaded(&mut self, limit: f64) -> bool {
        self.overloads += (1.0 - self.overloads) / counted(limit);
        self.overloads > OVERLOADED
    }

    /// A request was taken on. Returns the window after a probe, if there is one now.
    pub(super) fn admitted(&mut self, limit: f64, is_bound: bool) -> Option<f64> {
        self.overloads -= self.overloads / counted(limit);
        let room = self.room.as_mut()?;
        // No request needs more room than there is.
        if !is_bound || limit < room.most {
            return None;
        }
        room.admitted += 1.0;
        let turnovers = match room.is_probing {
            true => 1.0,
            false => room.wait,
        };
        if room.admitted < turnovers * room.most {
            return None;
        }
        room.admitted = 0.0;
        room.most += room.step;
        if room.is_probing {
            room.step *= 2.0;
        }
        room.is_probing = true;
        Some(room.most)
    }
}

fn counted(limit: f64) -> f64 {
    limit.clamp(COUNTED.0, COUNTED.1)
}
