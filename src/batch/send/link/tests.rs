use super::*;
use crate::limiter::Clock;

const PATIENCE: Duration = Duration::from_secs(30);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn start() -> Instant {
    Clock::real().now()
}

fn refused() -> String {
    "connection refused".to_owned()
}

#[test]
fn a_port_that_nobody_listens_on_is_told_of_within_3_s_and_given_up_after_30() {
    let (start, mut link) = (start(), Link::new(PATIENCE, false));
    assert!(link.begun(start));
    let (mut now, mut told, mut attempts) = (start, Vec::new(), 0);
    loop {
        attempts += 1;
        match link.failed(now, now, refused(), true) {
            Failed::Hold { probes: true, tell } => {
                if tell {
                    told.push(now - start);
                }
            }
            other => panic!("{other:?}"),
        }
        let Passage::Probe(next) = link.passage(true) else {
            panic!("it probes")
        };
        if next > start + PATIENCE {
            break;
        }
        now = next;
    }
    assert_eq!(told, [ms(1_750)]);
    assert_eq!(attempts, 11, "0, 0, .25, .75, 1.75, 3.75, 8.75 … 28.75 s");
    let end = start + PATIENCE;
    assert_eq!(link.due(end - ms(1)), Due::Nothing(Some(end)));
    assert_eq!(link.due(end), Due::GiveUp(Some(refused())));
}

#[test]
fn one_probes_and_all_others_wait() {
    let (start, mut link) = (start(), Link::new(PATIENCE, true));
    let hold = |probes| Failed::Hold {
        probes,
        tell: false,
    };
    assert_eq!(link.failed(start, start, refused(), false), hold(true));
    assert_eq!(link.failed(start, start, refused(), false), hold(false));
    assert_eq!(link.passage(false), Passage::Wait);
    assert_eq!(link.passage(true), Passage::Probe(start));
    link.prober_left();
    assert_eq!(link.passage(false), Passage::Probe(start));
    assert_eq!(link.passage(false), Passage::Wait);
    link.prober_left();
    assert_eq!(link.failed(start, start, refused(), false), hold(true));
    assert_eq!(link.reached(start + ms(1), start + ms(2)), None);
    assert_eq!(link.passage(false), Passage::Free);
}

#[test]
fn what_left_before_the_link_changed_says_nothing_of_it_since() {
    let (start, mut link) = (start(), Link::new(PATIENCE, true));
    let at = |millis| start + ms(millis);
    link.failed(at(10), at(20), refused(), false);
    // It was sent over a connection that is still there, or was answered before.
    assert_eq!(link.reached(at(0), at(30)), None);
    assert!(!link.is_up());
    assert_eq!(link.reached(at(25), at(40)), None);
    assert!(link.is_up());
    // Its connect had begun while the link was down.
    assert_eq!(link.failed(at(30), at(50), refused(), false), Failed::Again);
    assert!(link.is_up());
    assert!(matches!(
        link.failed(at(45), at(60), refused(), false),
        Failed::Hold { probes: true, .. }
    ));
    assert_eq!(link.outage(), Some((at(45), "connection refused")));
    // A new connection ends the outage, whichever request opened it.
    link.connected(at(70));
    assert!(link.is_up());
}

#[test]
fn an_outage_that_was_told_of_has_an_end_that_is() {
    let (start, mut link) = (start(), Link::new(PATIENCE, true));
    let at = |millis| start + ms(millis);
    // A connect that timed out.
    let failed = link.failed(at(0), at(10_000), refused(), false);
    let told = Failed::Hold {
        probes: true,
        tell: true,
    };
    assert_eq!(failed, told);
    let again = Failed::Hold {
        probes: true,
        tell: false,
    };
    assert_eq!(link.failed(at(10_000), at(20_000), refused(), true), again);
    assert_eq!(link.reached(at(20_250), at(21_000)), Some(ms(21_000)));
    // The server was reached: patience is without end.
    assert_eq!(link.due(at(100_000)), Due::Nothing(None));
}

#[test]
fn a_connect_that_hangs_is_told_of_once_and_only_while_nothing_else_is_known() {
    let (start, mut link) = (start(), Link::new(PATIENCE, false));
    let at = |millis| start + ms(millis);
    assert_eq!(link.due(start), Due::Nothing(None), "nothing is sent yet");
    link.begun(start);
    assert!(!link.begun(at(1)));
    assert_eq!(link.due(at(2_499)), Due::Nothing(Some(at(2_500))));
    assert_eq!(link.due(at(2_500)), Due::Silence);
    assert_eq!(link.due(at(2_500)), Due::Nothing(Some(start + PATIENCE)));
    assert_eq!(link.due(start + PATIENCE), Due::GiveUp(None));
    link.connected(at(2_600));
    assert_eq!(link.due(start + PATIENCE), Due::Nothing(None));
    // A server that answers slowly is connected.
    let mut link = Link::new(PATIENCE, false);
    link.begun(start);
    link.connected(at(5));
    assert_eq!(link.due(at(9_000)), Due::Nothing(None));
    // For ever, if that is wanted.
    let mut link = Link::new(Duration::MAX, false);
    link.begun(start);
    assert_eq!(link.due(start), Due::Nothing(Some(at(2_500))));
    assert_eq!(link.due(at(2_500)), Due::Silence);
    assert_eq!(link.due(at(2_501)), Due::Nothing(None));
}
