//! What stands before the limits: faults, and whether there is money left.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

use super::SimConfig;
use super::config::Fault;
use super::draw::{Draw, fingerprint};
use super::fraction::WHOLE;
use super::ledger::Verdict;
use super::models::Decision;
use super::report::SimReport;

/// Keeps the draws of faults apart from those of answers and latencies.
const FAULTS: u64 = 0x6661_756C_7473;

#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    admitted: u64,
    out_of_money: u64,
    happened: BTreeMap<Fault, u64>,
    /// How often each body came, by its fingerprint, and did not end in a 429.
    seen: HashMap<u64, u64>,
}

/// How far a request got.
#[derive(Debug)]
pub(super) enum Passage {
    /// Not to the limits: something went wrong before.
    Broken(Fault),
    /// Not to the limits: the account is out of money.
    OutOfMoney,
    /// To the limits; and what goes wrong after that, if they let it in.
    Judged(Decision, Option<Fault>),
}

impl Gate {
    /// Lets a request through to `admit`, or not.
    pub(super) fn pass(
        &self,
        config: &SimConfig,
        body: &[u8],
        admit: impl FnOnce() -> Decision,
    ) -> Passage {
        if config.faults.is_empty() && config.limiting.money.is_none() {
            return Passage::Judged(admit(), None);
        }
        let key = fingerprint(body);
        // Held through the admission, so that neither the last money nor a body's turn goes to
        // two requests.
        let mut state = self.0.lock();
        let turn = state.seen.get(&key).copied().unwrap_or(0);
        let fault = draw_fault(config, body, turn);
        if let Some(fault) = fault.filter(|fault| fault.comes_before_admission()) {
            state.note(config, key, Some(fault));
            return Passage::Broken(fault);
        }
        if config
            .limiting
            .money
            .is_some_and(|most| state.admitted >= most)
        {
            state.out_of_money += 1;
            return Passage::OutOfMoney;
        }
        let decision = admit();
        let admitted = decision.verdict == Verdict::Admitted;
        let fault = fault.filter(|_| admitted);
        if admitted {
            state.admitted += 1;
            state.note(config, key, fault);
        }
        Passage::Judged(decision, fault)
    }

    pub(super) fn add_to(&self, report: &mut SimReport) {
        let state = self.0.lock();
        report.out_of_money = state.out_of_money;
        report.faults = state.happened.clone();
    }
}

impl State {
    fn note(&mut self, config: &SimConfig, key: u64, fault: Option<Fault>) {
        // Nobody asks for turns where nothing goes wrong, and they would fill memory.
        if !config.faults.is_empty() {
            *self.seen.entry(key).or_default() += 1;
        }
        if let Some(fault) = fault {
            *self.happened.entry(fault).or_default() += 1;
        }
    }
}

/// What goes wrong with a body that comes for so many times before.
fn draw_fault(config: &SimConfig, body: &[u8], turn: u64) -> Option<Fault> {
    let seed = Draw::new(config.seed ^ FAULTS, body).next();
    let drawn = Draw::new(seed, &turn.to_le_bytes()).between(0, WHOLE - 1);
    config.faults.pick(drawn)
}
