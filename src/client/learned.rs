//! Learned output sizes: which requests are of one kind, and what is reserved for their answers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::transport::without_query;
use crate::observation::Refusal;
use crate::tokens::{Endpoint, OutputSizes, Quantile};
use crate::unit::Unit;

/// Kinds that are kept, 4 KiB each. With one more, all are forgotten and begin at their caps: a
/// program with this many kinds has hardly two requests of one.
const MOST_KINDS: usize = 1_024;
/// Answers for which a refusal that does not say why puts a kind back to its caps; each further one
/// for twice as many, so that few are refused in the end.
const BACK: u64 = 32;
/// So often that is doubled.
const MOST_DOUBLINGS: u32 = 10;

/// What is known of the answers to all requests of a client.
///
/// # Locking
///
/// One mutex around the map, held to look up or insert, once a request, when it is counted. One in each kind,
/// held to take note of an answer. Neither is held with another, or during a wait. What is
/// reserved is one atomic number, which is read without a lock when the request joins the line:
/// thousands may have been counted before the first answer was there.
///
/// Whether the server holds caps is one flag, set once and never cleared. No memory is published by
/// it or by the number, so `Relaxed` is enough.
pub(super) struct Learner {
    quantile: Quantile,
    caps_are_held: Arc<AtomicBool>,
    kinds: Mutex<HashMap<Kind, Arc<Sizes>>>,
}

/// Requests whose answers are of about the same size. The cap is part of it, because answers that
/// were cut at a low one say nothing of those with a higher one: by its power of two, so that there
/// are few of them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kind {
    model: String,
    endpoint: Endpoint,
    /// Where the endpoint is none of those that are known.
    path: String,
    /// The power of two that the caps of this kind are at most.
    caps: u32,
}

/// The sizes of one kind's answers.
pub(super) struct Sizes {
    /// The largest cap of the kind.
    most: u64,
    /// [`u64::MAX`] as long as too few are known.
    reserve: AtomicU64,
    seen: Mutex<Seen>,
    /// Of the [`Learner`].
    caps_are_held: Arc<AtomicBool>,
}

struct Seen {
    sizes: OutputSizes,
    /// Answers until they are gone by again, after a refusal.
    back_for: u64,
    /// What the next refusal makes of that.
    next: u64,
}

impl Learner {
    pub(super) fn new(quantile: Quantile) -> Self {
        Self {
            quantile,
            caps_are_held: Arc::default(),
            kinds: Mutex::default(),
        }
    }

    /// The kind of a request whose answer has `cap` tokens at most. None where there is no answer.
    pub(super) fn sizes(&self, path: &str, model: &str, cap: u64) -> Option<Arc<Sizes>> {
        if cap == 0 || self.caps_are_held.load(Ordering::Relaxed) {
            return None;
        }
        let endpoint = Endpoint::from_path(path);
        let kind = Kind {
            model: model.to_owned(),
            endpoint,
            path: match endpoint {
                Endpoint::Other => without_query(path),
                _ => String::new(),
            },
            caps: class(cap),
        };
        let mut kinds = self.kinds.lock();
        if let Some(sizes) = kinds.get(&kind) {
            return Some(Arc::clone(sizes));
        }
        if kinds.len() >= MOST_KINDS {
            kinds.clear();
        }
        let sizes = Sizes::new(self.quantile, kind.caps, &self.caps_are_held);
        let sizes = Arc::new(sizes);
        kinds.insert(kind, Arc::clone(&sizes));
        Some(sizes)
    }
}

impl Sizes {
    fn new(quantile: Quantile, class: u32, caps_are_held: &Arc<AtomicBool>) -> Self {
        Self {
            most: 1_u64.checked_shl(class).unwrap_or(u64::MAX),
            reserve: AtomicU64::new(u64::MAX),
            seen: Mutex::new(Seen {
                sizes: OutputSizes::new(quantile),
                back_for: 0,
                next: BACK,
            }),
            caps_are_held: Arc::clone(caps_are_held),
        }
    }

    /// What to reserve for an answer of `cap` tokens at most.
    pub(super) fn reserve(&self, cap: u64) -> u64 {
        if self.caps_are_held.load(Ordering::Relaxed) {
            return cap;
        }
        self.reserve.load(Ordering::Relaxed).min(cap)
    }

    /// Takes note of an answer of `tokens` to a request with this cap. One of none says nothing:
    /// that is how an answer looks that does not tell its output.
    pub(super) fn answered(&self, tokens: u64, cap: u64) {
        if tokens == 0 {
            return;
        }
        let size = match tokens < cap {
            true => tokens,
            // It was cut, so it is as long as any.
            false => tokens.max(self.most),
        };
        let mut seen = self.seen.lock();
        seen.sizes.answered(size);
        seen.back_for = seen.back_for.saturating_sub(1);
        let reserve = match seen.back_for {
            0 => seen.sizes.reserve().unwrap_or(u64::MAX),
            _ => u64::MAX,
        };
        // Under the lock, or an older one could be stored last.
        self.reserve.store(reserve, Ordering::Relaxed);
    }

    /// Takes note that a request was refused which had reserved `reserved` tokens, and would have
    /// reserved `whole` with its cap.
    ///
    /// A server that holds the cap until the answer is there refuses whatever reserves less, again
    /// and again. If it says that it asked for about the whole, that is known, and nothing is
    /// learned any more. If it asked for less, it refused for another reason, such as another user.
    pub(super) fn refused(&self, refusal: &Refusal, reserved: u64, whole: u64) {
        if reserved >= whole || matches!(refusal.unit, Some(Unit::Requests)) {
            return;
        }
        match refusal.requested {
            Some(requested) if requested > reserved + (whole - reserved) / 2 => {
                if !self.caps_are_held.swap(true, Ordering::Relaxed) {
                    log::warn!(
                        "the server asks for {requested} tokens where {reserved} are reserved: it \
                         holds output caps until answers are there, so from now on caps are \
                         reserved and no output sizes are learned"
                    );
                }
            }
            Some(_) => {}
            None => {
                let mut seen = self.seen.lock();
                // Those that left before it are refused as well, and say the same once more.
                if seen.back_for == 0 {
                    seen.back_for = seen.next;
                    seen.next = (seen.next * 2).min(BACK << MOST_DOUBLINGS);
                    self.reserve.store(u64::MAX, Ordering::Relaxed);
                }
            }
        }
    }
}

/// The smallest exponent of two whose power is not below `cap`.
fn class(cap: u64) -> u32 {
    u64::BITS - cap.saturating_sub(1).leading_zeros()
}

impl fmt::Debug for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sizes")
            .field("reserve", &self.reserve)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &str = "/v1/chat/completions";

    fn learner() -> Learner {
        Learner::new(Quantile::new(0.95).unwrap())
    }

    /// `times` answers of this size to requests with this cap.
    fn answers(sizes: &Sizes, times: usize, tokens: u64, cap: u64) {
        (0..times).for_each(|_| sizes.answered(tokens, cap));
    }

    #[test]
    fn caps_are_put_together_by_powers_of_two() {
        let table = [
            (1, 0),
            (2, 1),
            (3, 2),
            (4, 2),
            (4_000, 12),
            (4_096, 12),
            (4_097, 13),
            (1 << 63, 63),
            (u64::MAX, 64),
        ];
        for (step, (cap, expected)) in table.into_iter().enumerate() {
            assert_eq!(class(cap), expected, "step {step}: {cap}");
            let most = Sizes::new(Quantile::new(0.95).unwrap(), expected, &Arc::default()).most;
            assert!(most >= cap, "step {step}: {most} is below {cap}");
        }
    }

    #[test]
    fn requests_of_one_kind_learn_together_and_no_others() {
        let learner = learner();
        let of = |path, model, cap| learner.sizes(path, model, cap).unwrap();
        let first = of(CHAT, "m", 4_000);
        let same = [
            of("chat/completions", "m", 4_000),
            of("/v1/chat/completions?key=a", "m", 4_096),
            of(CHAT, "m", 2_049),
        ];
        for (step, sizes) in same.iter().enumerate() {
            assert!(Arc::ptr_eq(&first, sizes), "step {step}");
        }
        let others = [
            of(CHAT, "n", 4_000),
            of("/v1/responses", "m", 4_000),
            of(CHAT, "m", 2_048),
            of("/v1/a", "m", 4_000),
            of("/v1/b", "m", 4_000),
        ];
        for (step, sizes) in others.iter().enumerate() {
            assert!(!Arc::ptr_eq(&first, sizes), "step {step}");
        }
        assert!(Arc::ptr_eq(&others[3], &of("/v1/a?b", "m", 4_000)));
        assert!(!Arc::ptr_eq(&others[3], &others[4]));
        assert!(learner.sizes("/v1/embeddings", "m", 0).is_none());
    }

    #[test]
    fn the_reserve_is_the_cap_at_first_and_never_above_it() {
        let learner = learner();
        let sizes = learner.sizes(CHAT, "m", 4_000).unwrap();
        answers(&sizes, 18, 80, 4_000);
        answers(&sizes, 100, 0, 4_000); // say nothing
        assert_eq!(sizes.reserve(4_000), 4_000);
        answers(&sizes, 1, 80, 4_000);
        assert_eq!(sizes.reserve(4_000), 80);
        assert_eq!(sizes.reserve(70), 70);
        assert_eq!(sizes.reserve(0), 0);
        answers(&sizes, 1, u64::MAX, 4_000); // where there was no cap, and the client's was taken
        assert_eq!(sizes.reserve(4_000), 4_000);
    }

    #[test]
    fn an_answer_that_was_cut_counts_as_the_largest_of_its_kind() {
        let learner = learner();
        let sizes = learner.sizes(CHAT, "m", 2_100).unwrap();
        answers(&sizes, 50, 2_100, 2_100);
        assert_eq!(sizes.reserve(4_000), 4_000);
        answers(&sizes, 256, 2_099, 2_100); // not cut
        assert_eq!(sizes.reserve(4_000), 2_099);
    }

    #[test]
    fn a_server_that_holds_caps_is_believed() {
        let refusal = |unit, requested| Refusal {
            unit,
            requested,
            ..Refusal::default()
        };
        let tokens = Some(Unit::Tokens);
        // 100 and a cap of 4,000; 100 and 80 were reserved. What is said, and what is reserved then.
        let table = [
            (refusal(tokens, Some(4_100)), 4_000),
            (refusal(None, Some(5_000)), 4_000),
            (refusal(tokens, Some(2_141)), 4_000),
            (refusal(tokens, Some(2_140)), 80), // another user, or another idea of the prompt
            (refusal(tokens, Some(100)), 80),
            (refusal(Some(Unit::Requests), None), 80),
        ];
        for (step, (refusal, expected)) in table.into_iter().enumerate() {
            let learner = learner();
            let of = |model| learner.sizes(CHAT, model, 4_000);
            let (one, other) = (of("m").unwrap(), of("n").unwrap());
            answers(&one, 40, 80, 4_000);
            answers(&other, 40, 80, 4_000);
            one.refused(&refusal, 180, 4_100);
            answers(&other, 1_000, 80, 4_000);
            let reserved = [&one, &other].map(|sizes| sizes.reserve(4_000));
            assert_eq!(reserved, [expected; 2], "step {step}");
            assert_eq!(of("m").is_none(), expected == 4_000, "step {step}");
        }
        let sizes = learner().sizes(CHAT, "m", 4_000).unwrap();
        sizes.refused(&refusal(tokens, Some(5_000)), 4_100, 4_100);
        sizes.refused(&refusal(None, None), 4_100, 4_100);
        answers(&sizes, 19, 80, 4_000);
        assert_eq!(sizes.reserve(4_000), 80, "nothing less was reserved");
    }

    #[test]
    fn refusals_that_do_not_say_why_put_a_kind_back_for_longer_each_time() {
        let learner = learner();
        let sizes = learner.sizes(CHAT, "m", 4_000).unwrap();
        let other = learner.sizes(CHAT, "n", 4_000).unwrap();
        answers(&sizes, 19, 80, 4_000);
        answers(&other, 19, 80, 4_000);
        for back_for in [32, 64, 128] {
            // As many as were in flight.
            (0..5).for_each(|_| sizes.refused(&Refusal::default(), 180, 4_100));
            assert_eq!(sizes.reserve(4_000), 4_000, "{back_for}, at once");
            answers(&sizes, back_for - 1, 80, 4_000);
            assert_eq!(sizes.reserve(4_000), 4_000, "{back_for}");
            answers(&sizes, 1, 80, 4_000);
            assert_eq!(sizes.reserve(4_000), 80, "{back_for}");
        }
        assert_eq!(other.reserve(4_000), 80);
        for _ in 0..100 {
            sizes.refused(&Refusal::default(), 180, 4_100);
            sizes.seen.lock().back_for = 0;
        }
        assert_eq!(sizes.seen.lock().next, 32_768);
    }

    #[test]
    fn too_many_kinds_are_forgotten_and_who_holds_one_keeps_it() {
        let learner = learner();
        let held = learner.sizes(CHAT, "m", 100).unwrap();
        answers(&held, 19, 7, 100);
        for number in 0..MOST_KINDS * 3 {
            let _ = learner.sizes(CHAT, &number.to_string(), 100);
            assert!(learner.kinds.lock().len() <= MOST_KINDS);
        }
        assert_eq!(held.reserve(100), 7);
        assert_eq!(learner.sizes(CHAT, "m", 100).unwrap().reserve(100), 100);
    }

    #[test]
    fn threads_that_learn_together_end_with_what_all_of_them_saw() {
        let learner = learner();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let learner = &learner;
                scope.spawn(move || {
                    for number in 0..1_000 {
                        let sizes = learner.sizes(CHAT, "m", 4_000).unwrap();
                        sizes.answered(1 + (thread * 7 + number) % 100, 4_000);
                        assert!(sizes.reserve(4_000) <= 4_000);
                    }
                });
            }
        });
        let sizes = learner.sizes(CHAT, "m", 4_000).unwrap();
        let told = sizes.seen.lock().sizes.reserve();
        assert_eq!(Some(sizes.reserve(u64::MAX)), told);
        assert!(
            told.is_some_and(|reserve| (90..=100).contains(&reserve)),
            "{told:?}"
        );
    }
}
