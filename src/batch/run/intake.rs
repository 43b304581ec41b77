//! What comes of each line that was counted: a request goes to its lane, and a bad line to the errors file.

use std::sync::Arc;

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use super::options::RunOptions;
use crate::Prepared;
use crate::batch::count::Event;
use crate::batch::dispatch::Entrance;
use crate::batch::events::{Events, Outcome, RunEvent};
use crate::batch::input::BadLine;
use crate::batch::read::bad_lines::BadLines;
use crate::batch::record::Record;
use crate::batch::shutdown::Shutdown;
use crate::batch::write::ResultWriter;
use crate::batch::write::backpressure::WriteBackpressure;
use crate::batch::write::journal::Journal;

/// Takes lines from the counting threads.
pub(super) struct Intake {
    /// What messages call the input.
    pub(super) input: String,
    pub(super) options: RunOptions,
    pub(super) events: Arc<Events>,
    pub(super) shutdown: Arc<Shutdown>,
    pub(super) backpressure: WriteBackpressure,
    pub(super) bad_lines: Arc<Mutex<BadLines>>,
    pub(super) result_writer: Arc<ResultWriter<Journal>>,
    pub(super) lanes: Entrance,
    /// Disconnected when no stage is left.
    pub(super) _running: Sender<()>,
}

impl Intake {
    pub(super) fn hear(&self, event: Event) {
        self.events.emit(RunEvent::LineRead);
        match event {
            Event::Finished => self.events.emit(RunEvent::Resumed),
            Event::Failed => self.events.emit(RunEvent::KeptFailed),
            Event::Bad(line) => self.refuse(line),
            // What was read before is still run.
            Event::Broken(error) => self.shutdown.fail(error),
            Event::Counted(counted) => {
                if let Some(message) = self.objection(&counted.request) {
                    self.refuse(counted.refused(&self.input, &message));
                } else if let Err(error) = self.lanes.put(counted) {
                    self.shutdown.fail_now(error);
                }
            }
        }
    }

    /// Why a request is not sent although it is one.
    fn objection(&self, request: &Prepared) -> Option<String> {
        if request.lacks_model() {
            return Some("body.model: the name of a model is needed".to_owned());
        }
        self.options.objection(request.model(), request.tier())
    }

    /// Ends a line that is not sent, when it can be written: there may be any number of them.
    fn refuse(&self, line: BadLine) {
        self.bad_lines.lock().add(&line);
        self.backpressure.pass();
        let outcome = Outcome::failed(Record::bad_line(line));
        self.result_writer.take(outcome);
    }
}
