//! Runs in virtual time, each estimate judged by what came of it.

use paceline::{Cost, Limits, ManualClock, Permit, RateLimiter};

use super::*;

const FRAME: Duration = Duration::from_millis(200);

/// A run over requests of one model.
struct World {
    limits: Limits,
    /// Seconds that a response takes.
    latency: f64,
    most_in_flight: usize,
    /// Prompt and cap of each request; of which `used` is what the response says.
    sizes: Vec<u64>,
    used: f64,
    resumed: u64,
    /// Seconds, from when to when the server lets nothing through.
    pause: Option<(f64, f64)>,
    is_total_known: bool,
}

impl World {
    fn new(limits: Limits, sizes: Vec<u64>) -> Self {
        Self {
            limits,
            latency: 2.0,
            most_in_flight: 1_000,
            sizes,
            used: 1.0,
            resumed: 0,
            pause: None,
            is_total_known: true,
        }
    }

    /// What was said when, and how long the run took.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    fn run(&self) -> (Vec<(f64, u64, TimeLeft)>, f64) {
        let clock = ManualClock::new();
        let limiter = RateLimiter::builder(self.limits.clone())
            .clock(&clock)
            .build();
        let (mut eta, mut said) = (Eta::default(), Vec::new());
        let mut of = ModelProgress::default();
        let mut progress = Progress::default();
        of.read = self.sizes.len() as u64;
        of.tokens_read = self.sizes.iter().sum();
        progress.resumed = self.resumed;
        progress.total = Some(of.read + self.resumed).filter(|_| self.is_total_known);
        let mut flying: VecDeque<(f64, u64, Permit<'static>)> = VecDeque::new();
        let mut at = 0.0;
        while of.ended < of.read {
            while flying.front().is_some_and(|(end, ..)| *end <= at) {
                let (_, size, permit) = flying.pop_front().unwrap();
                permit.settle(Cost::tokens((size as f64 * self.used) as u64));
                of.ended += 1;
            }
            let paused = self.pause.filter(|(from, to)| (*from..*to).contains(&at));
            while flying.len() < self.most_in_flight && of.started < of.read && paused.is_none() {
                let size = self.sizes[of.started as usize];
                let Ok(permit) = limiter.try_acquire(Cost::tokens(size)) else {
                    break;
                };
                of.started += 1;
                of.tokens_started += size;
                flying.push_back((at + self.latency, size, permit.into_owned()));
            }
            of.in_flight = flying.len() as u64;
            progress.succeeded = of.ended;
            let bottleneck = match paused {
                Some((_, to)) => Bottleneck::Pause {
                    model: String::new(),
                    left: Duration::from_secs_f64(to - at),
                    reason: None,
                },
                None => Bottleneck::Nothing,
            };
            // A request that waits is in the limiter's queue. Here no thread blocks, so the test writes it in.
            let mut snapshot = limiter.snapshot();
            let next = self.sizes.get(of.started as usize).copied();
            if next.is_some() && flying.len() < self.most_in_flight {
                snapshot.waiters = 1;
                let mut quotas = snapshot.quotas.iter();
                let short = quotas.find(|it| it.level < next.unwrap_or(0).cast_signed());
                snapshot.binding = short.map(|it| it.quota);
            }
            let left = eta.look(
                clock.now(),
                &progress,
                &bottleneck,
                &[(of.clone(), snapshot)],
            );
            said.push((at, of.ended, left));
            clock.advance(FRAME);
            at += FRAME.as_secs_f64();
            assert!(at < 100_000.0, "the run does not end");
        }
        (said, at)
    }

    /// Fails unless every estimate is right within a fifth, and each comes when it is to.
    #[allow(clippy::cast_precision_loss)]
    fn holds(&self, name: &str) {
        let (said, took) = self.run();
        let mut estimates = 0;
        for (at, ended, left) in said {
            if self.pause.is_some_and(|(from, _)| at < from) {
                continue; // the pause is not announced yet
            }
            let real = took - at;
            let is_due = ended as f64 >= PART * self.sizes.len() as f64 && at >= 30.5;
            match left {
                TimeLeft::About(left) => {
                    assert!(at >= 30.0, "{name}: {left:?} after {at} s");
                    // The last few seconds are those of the last response.
                    let off = (left.as_secs_f64() - real).abs();
                    let most = (real / 5.0).max(self.latency + 1.0);
                    assert!(
                        off <= most,
                        "{name}: {left:?} after {at} s, and it took {real} s"
                    );
                    estimates += 1;
                }
                other => assert!(!is_due, "{name}: {other:?} after {at} s of {took} s"),
            }
        }
        assert!(estimates > 50, "{name}: {estimates} estimates in {took} s");
    }
}

fn tokens(per_minute: u64) -> Limits {
    Limits::tokens_per_minute(per_minute).unwrap()
}

#[test]
fn a_steady_run_is_foreseen_within_a_fifth() {
    let mut by_latency = World::new(tokens(1_000_000_000), vec![100; 4_000]);
    by_latency.most_in_flight = 40;
    by_latency.holds("as many in flight as may be");
    let requests = Limits::builder().requests_per_minute(600).build().unwrap();
    World::new(requests, vec![100; 3_000]).holds("requests per minute");
    World::new(tokens(60_000), vec![100; 3_000]).holds("tokens per minute");
}

#[test]
fn a_full_bucket_at_the_start_makes_no_estimate_too_good() {
    // A minute's worth goes at once, and then 10 a second do.
    World::new(tokens(60_000), vec![100; 6_000]).holds("a bucket that is drained at once");
    // Drained slowly: for 100 s everything goes as fast as the server is, and then as the limit.
    let limits = Limits::builder().tokens_per_minute(60_000).build().unwrap();
    let mut slow = World::new(limits, vec![100; 4_000]);
    (slow.most_in_flight, slow.latency) = (32, 2.0);
    slow.holds("a bucket that is drained slowly");
}

#[test]
fn sizes_that_change_count_by_their_tokens() {
    let small_first = [vec![50; 3_000], vec![500; 900]].concat();
    World::new(tokens(60_000), small_first).holds("small ones first");
    let large_first = [vec![500; 900], vec![50; 3_000]].concat();
    World::new(tokens(60_000), large_first).holds("large ones first");
}

#[test]
fn what_responses_give_back_is_counted() {
    let mut world = World::new(tokens(60_000), vec![400; 3_000]);
    world.used = 0.25;
    world.holds("a quarter is used");
}

#[test]
fn only_this_run_s_pace_counts() {
    let mut world = World::new(tokens(60_000), vec![100; 3_000]);
    world.resumed = 1_000_000;
    world.holds("resumed");
}

#[test]
fn a_pause_that_is_announced_is_added_and_spoils_no_pace() {
    let mut world = World::new(tokens(1_000_000_000), vec![100; 4_000]);
    (world.most_in_flight, world.pause) = (40, Some((60.0, 360.0)));
    world.holds("a pause of five minutes");
}

#[test]
fn of_an_input_of_unknown_length_nothing_is_said() {
    let mut world = World::new(tokens(60_000), vec![100; 1_000]);
    world.is_total_known = false;
    let (said, _) = world.run();
    assert!(said.iter().all(|(.., left)| *left == TimeLeft::Unknown));
}

#[test]
fn before_it_is_sure_it_is_a_guess_that_the_truth_is_in() {
    let (said, took) = World::new(tokens(60_000), vec![100; 3_000]).run();
    let mut guesses = 0;
    for (at, _, left) in said {
        if let TimeLeft::Between(low, high) = left {
            let real = Duration::from_secs_f64(took - at);
            assert!(
                low <= real && real <= high,
                "{left:?} after {at} s: {real:?}"
            );
            guesses += 1;
        }
    }
    assert!(guesses > 50, "{guesses} guesses");
}

#[test]
fn guesses_are_said_in_round_numbers() {
    let seconds = Duration::from_secs;
    let table = [
        (TimeLeft::Unknown, None),
        (TimeLeft::About(seconds(185)), Some("about 3 min 05 s left")),
        (
            TimeLeft::Between(seconds(250), seconds(530)),
            Some("about 4 to 9 min left (guess)"),
        ),
        (
            TimeLeft::Between(seconds(3), seconds(4)),
            Some("about 3 to 4 s left (guess)"),
        ),
        (
            TimeLeft::Between(seconds(0), seconds(9)),
            Some("up to 9 s left (guess)"),
        ),
        (
            TimeLeft::Between(seconds(7_300), seconds(16_000)),
            Some("about 2 to 5 h left (guess)"),
        ),
    ];
    for (left, expected) in table {
        assert_eq!(left.words().as_deref(), expected, "{left:?}");
    }
}
