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

/// Keeps the draws of faults apart from those of answers and latencies: "faults" in ASCII.
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
        is_flex: bool,
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
        let fault = fault.filter(|fault| is_flex || *fault != Fault::NoCapacity);
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
        // Only the draw of a fault reads the counts of bodies; without faults they would only fill memory.
        if !config.faults.is_empty() {
            *self.seen.entry(key).or_default() += 1;
        }
        if let Some(fault) = fault {
            *self.happened.entry(fault).or_default() += 1;
        }
    }
}

/// The fault of a body that came `turn` times before.
fn draw_fault(config: &SimConfig, body: &[u8], turn: u64) -> Option<Fault> {
    let seed = Draw::new(config.seed ^ FAULTS, body).next();
    let drawn = Draw::new(seed, &turn.to_le_bytes()).between(0, WHOLE - 1);
    config.faults.pick(drawn)
}

#[cfg(test)]
mod tests {
    use super::super::Counted;
    use super::*;

    fn decision(verdict: Verdict) -> Decision {
        Decision {
            verdict,
            standings: [(Counted::Requests, None), (Counted::Tokens, None)],
            at: 0,
        }
    }

    const REFUSED: Verdict = Verdict::TooLarge {
        by: Counted::Tokens,
        limit: 1,
        requested: 2,
    };

    /// The faults of 40 admissions, each after this number of refusals.
    fn faults(refusals: usize) -> Vec<Option<Fault>> {
        let config = SimConfig::new()
            .fault(Fault::ServerError, 0.3)
            .fault(Fault::Drop, 0.3);
        let gate = Gate::default();
        let mut found = Vec::new();
        while found.len() < 40 {
            let refused = std::iter::repeat_n(REFUSED, refusals);
            for verdict in refused.chain([Verdict::Admitted]) {
                match gate.pass(&config, b"body", false, || decision(verdict)) {
                    Passage::Broken(fault) => found.push(Some(fault)),
                    Passage::Judged(it, fault) if it.verdict == Verdict::Admitted => {
                        found.push(fault);
                    }
                    Passage::Judged(_, fault) => assert_eq!(fault, None, "refused and broken"),
                    Passage::OutOfMoney => panic!("there is money"),
                }
            }
        }
        let mut report = SimReport::default();
        gate.add_to(&mut report);
        let happened: u64 = report.faults.values().sum();
        assert_eq!(happened, found.iter().flatten().count() as u64);
        found.truncate(40);
        found
    }

    #[test]
    fn a_refusal_is_no_turn_so_faults_do_not_hang_on_the_time() {
        let found = faults(0);
        assert_eq!(found, faults(1));
        assert_eq!(found, faults(3));
        for expected in [None, Some(Fault::ServerError), Some(Fault::Drop)] {
            assert!(found.contains(&expected), "{expected:?} is not there");
        }
    }

    #[test]
    fn bodies_are_remembered_only_where_something_goes_wrong() {
        let config = SimConfig::new().out_of_money_after(3);
        let gate = Gate::default();
        let passes = [0, 1, 2, 3, 4].map(|byte| {
            let passage = gate.pass(&config, &[byte], false, || decision(Verdict::Admitted));
            matches!(passage, Passage::Judged(..))
        });
        assert_eq!(passes, [true, true, true, false, false]);
        assert!(gate.0.lock().seen.is_empty());
    }
}
