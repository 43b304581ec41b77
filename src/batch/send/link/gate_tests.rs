use std::sync::mpsc;
use std::thread;

use super::*;
use crate::batch::events::listener::Listener;
use crate::batch::events::notice::Notices;

const LONG: Duration = Duration::from_secs(3_600);

fn gate(patience: Duration, stop: &CancelToken) -> (Arc<LinkGate>, mpsc::Receiver<Notice>) {
    let client = RateLimitedClient::builder()
        .api_key("k")
        .base_url("http://127.0.0.1:9/v1")
        .build()
        .unwrap();
    let (told, tells) = mpsc::channel();
    let notices = Notices::new(move |notice| told.send(notice.clone()).unwrap());
    let gate = LinkGate::new(
        &client,
        patience,
        &Events::of_test(Listener::default(), notices, stop),
        stop,
    );
    (gate, tells)
}

fn refused() -> String {
    "connection refused".to_owned()
}

#[test]
fn one_probes_and_the_others_go_when_it_has_reached_the_server() {
    let stop = CancelToken::new();
    let (gate, tells) = gate(LONG, &stop);
    let mut prober = gate.pass();
    let mut others = [gate.pass(), gate.pass()];
    prober.begun();
    prober.unreached(Duration::from_secs(10), refused()); // its first probe is at once
    assert!(prober.probes);
    let told = tells.try_recv().unwrap();
    let expected = Notice::Unreachable {
        base_url: "http://127.0.0.1:9/v1".to_owned(),
        reason: refused(),
        was_reached: false,
    };
    assert_eq!(told, expected);
    thread::scope(|scope| {
        let (passed, passes) = mpsc::channel();
        let [first, second] = &mut others;
        for other in [first, second] {
            let passed = passed.clone();
            scope.spawn(move || {
                other.unreached(Duration::from_secs(10), refused()); // begun before the link was back
                passed.send(other.probes).unwrap();
            });
        }
        let passing = Arc::clone(&gate);
        scope.spawn(move || passed.send(passing.pass().probes).unwrap());
        assert!(passes.try_recv().is_err());
        gate.connected();
        let probes: Vec<bool> = passes.iter().take(3).collect();
        assert_eq!(probes, [false; 3]);
    });
    assert!(matches!(tells.recv(), Ok(Notice::Reached { .. })));
}

#[test]
fn another_one_probes_when_the_prober_has_left() {
    let stop = CancelToken::new();
    let (gate, _tells) = gate(LONG, &stop);
    let mut prober = gate.pass();
    prober.begun();
    prober.unreached(Duration::ZERO, refused());
    thread::scope(|scope| {
        let held = scope.spawn(|| gate.pass().probes);
        drop(prober);
        assert!(held.join().unwrap());
    });
}

#[test]
fn a_run_that_is_stopped_holds_nobody() {
    let stop = CancelToken::new();
    let (gate, _tells) = gate(LONG, &stop);
    let mut prober = gate.pass();
    prober.begun();
    prober.unreached(Duration::ZERO, refused());
    thread::scope(|scope| {
        let held = scope.spawn(|| drop(gate.pass()));
        stop.cancel();
        held.join().unwrap();
    });
    prober.unreached(Duration::ZERO, refused());
    prober.unreached(Duration::ZERO, refused());
}

#[test]
fn patience_ends_a_run_that_has_reached_nothing_and_no_other() {
    let stop = CancelToken::new();
    let (never, _tells) = gate(Duration::ZERO, &stop);
    let (told, tells) = mpsc::channel();
    let timer = never.start_timer(move |reason| told.send(reason).unwrap());
    let pass = never.pass();
    pass.begun();
    let reason = tells.recv().unwrap();
    assert_eq!(
        reason,
        "http://127.0.0.1:9/v1: no connection was established"
    );
    drop(timer);
    let (reached, _tells) = gate(Duration::ZERO, &stop);
    reached.connected();
    let (told, tells) = mpsc::channel();
    let _timer = reached.start_timer(move |reason| told.send(reason).unwrap());
    reached.pass().begun();
    assert_eq!(tells.recv(), Err(mpsc::RecvError), "its thread has ended");
}
