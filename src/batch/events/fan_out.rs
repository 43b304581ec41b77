//! Each event of a run, passed to all that follow it.

use std::sync::Arc;

use parking_lot::Mutex;

use super::event::RunEvent;
use super::history::History;
use super::listener::Listener;
use super::notice::Notices;
use super::outcome::Outcome;
use super::watch::Watch;
use crate::limiter::CancelToken;

/// The followers of a run: its watch, its history, and the callbacks of the caller.
pub(in crate::batch) struct Events {
    watch: Watch,
    history: History,
    listener: Mutex<Listener>,
    notices: Notices,
    stop: CancelToken,
}

impl Events {
    /// Events of a run that `stop` stops.
    pub(in crate::batch) fn new(
        watch: Watch,
        history: History,
        listener: Listener,
        notices: Notices,
        stop: &CancelToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            watch,
            history,
            listener: Mutex::new(listener),
            notices,
            stop: stop.clone(),
        })
    }

    /// Passes an event to each follower that it concerns, on this thread. A listener that panics stops
    /// the run.
    pub(in crate::batch) fn emit(&self, event: RunEvent<'_>) {
        self.watch.follow(event);
        self.history.follow(event);
        match event {
            RunEvent::Notice(notice) => self.notices.tell(notice),
            RunEvent::Written(outcome) => self.tell(outcome),
            _ => {}
        }
    }

    fn tell(&self, outcome: &Outcome) {
        if !self.listener.lock().tell(&outcome.finished()) {
            self.stop.cancel();
        }
    }

    /// Where the run stands.
    pub(in crate::batch) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Ends the run for all followers. Resumes the panic of the listener, if there was one.
    pub(in crate::batch) fn end(&self) {
        self.emit(RunEvent::Over);
        let listener = std::mem::take(&mut *self.listener.lock());
        listener.end();
    }
}

#[cfg(test)]
impl Events {
    /// Events that only these callbacks follow, for a test of one stage.
    pub(in crate::batch) fn of_test(
        listener: Listener,
        notices: Notices,
        stop: &CancelToken,
    ) -> Arc<Self> {
        let client = crate::RateLimitedClient::builder()
            .api_key("k")
            .base_url("http://127.0.0.1:9/v1")
            .build();
        #[allow(clippy::unwrap_used, reason = "a helper of tests")]
        let watch = Watch::new(&client.unwrap(), None);
        Self::new(watch, History::none(), listener, notices, stop)
    }
}
