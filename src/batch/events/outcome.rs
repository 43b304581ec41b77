//! A finished line on its way to the output files.

use std::time::Duration;

use super::listener::Finished;
use crate::Usage;
use crate::batch::money::Money;
use crate::batch::record::Record;

/// A finished line on its way to the journal.
#[derive(Debug, PartialEq)]
pub(in crate::batch) struct Outcome {
    pub(in crate::batch) record: Record,
    pub(in crate::batch) usage: Option<Usage>,
    pub(in crate::batch) effort: Effort,
}

/// What it took to finish a line.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::batch) struct Effort {
    pub(in crate::batch) cost: Option<Money>,
    pub(in crate::batch) attempts: Option<u32>,
    pub(in crate::batch) waited: Duration,
}

impl Outcome {
    /// A line that was not answered.
    pub(in crate::batch) fn failed(record: Record) -> Self {
        Self {
            record,
            usage: None,
            effort: Effort::default(),
        }
    }

    pub(in crate::batch) fn finished(&self) -> Finished<'_> {
        let Effort {
            cost,
            attempts,
            waited,
        } = self.effort;
        Finished {
            custom_id: self.record.custom_id.as_deref(),
            succeeded: self.record.succeeded,
            usage: self.usage,
            cost,
            attempts,
            completion: self.record.completion,
            waited,
        }
    }
}
