//! Errors that may pass.

use std::thread;
use std::time::Instant;

use paceline::{AcquireOptions, CancelToken, Error, Limits};
use serde_json::json;

use super::scripted::{Scripted, Step};
use super::support::{MILLISECOND, SECOND, SOON, builder, client};

const BODY: &str = "rate_limit_exceeded";

#[test]
fn errors_that_may_pass_are_sent_again() {
    let cut = |length| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{\"choices\":[{{\"message\"")
    };
    let table = [
        Step::error(429, BODY, &["retry-after-ms: 1"]),
        Step::error(408, "", &[]),
        Step::error(409, "", &[]),
        Step::error(500, "", &[]),
        Step::error(503, "", &[]),
        // The server's advice goes before the rule.
        Step::error(400, "", &["x-should-retry: true"]),
        // Whole by its length, and no JSON.
        Step::Answer(cut(22)),
        // Cut off before its length.
        Step::Last(cut(500)),
        // Cut off in its head.
        Step::Last("HTTP/1.1 200 OK\r\nContent-Le".to_owned()),
        Step::hang_up(),
    ];
    // All at once, because each waits half a second.
    thread::scope(|scope| {
        for (step, first) in table.into_iter().enumerate() {
            scope.spawn(move || {
                let server = Scripted::start([first, Step::chat(1, 1)]);
                let client = client(server.base_url());
                let answer = client.chat("a").unwrap_or_else(|error| {
                    panic!("step {step}: {error}");
                });
                assert_eq!(answer.text(), "fine", "step {step}");
                assert_eq!(answer.response().attempts, 2, "step {step}");
                let stats = client.stats();
                assert_eq!((stats.sent, stats.retries), (2, 1), "step {step}");
                let [first, second] = &server.requests()[..] else {
                    panic!("step {step}: two requests were expected");
                };
                assert_eq!(first.body, second.body, "step {step}");
            });
        }
    });
}

#[test]
fn a_429_holds_back_its_own_request_and_every_sharer_of_its_limit() {
    let wait = 400 * MILLISECOND;
    let refusal = Step::error(429, BODY, &["retry-after-ms: 400"]);
    let server = Scripted::start([refusal.clone(), Step::chat(1, 1), refusal, Step::chat(1, 1)]);
    let client = client(server.base_url());
    let start = Instant::now();
    let answer = client.chat("a").unwrap();
    assert!(start.elapsed() >= wait);
    assert_eq!(answer.response().attempts, 2);

    let sharer = || builder(server.base_url()).registry(client.registry().clone());
    let refused = sharer().max_retries(0).build().unwrap();
    let start = Instant::now();
    assert!(refused.chat("a").is_err());
    let sharer = sharer().build().unwrap();
    let answer = sharer.chat("b").unwrap();
    assert!(start.elapsed() >= wait);
    assert_eq!(answer.response().attempts, 1);
    let rate_limited = [&client, &refused, &sharer].map(|it| it.stats().rate_limited);
    assert_eq!(rate_limited, [1, 1, 0]);
}

#[test]
fn each_try_is_told_when_it_has_ended() {
    let refusal = Step::error(429, BODY, &["retry-after-ms: 1"]);
    let server = Scripted::start([refusal, Step::error(500, "", &[]), Step::chat(1, 1)]);
    let client = client(server.base_url());
    let request = client.prepare("/chat/completions", &json!({"model": "m"}));
    let admitted = request.unwrap().admit(AcquireOptions::new()).unwrap();
    assert_eq!(admitted.model(), "m");
    assert!(admitted.cost().tokens > 0);
    let mut told = Vec::new();
    let answer = admitted.send_with(AcquireOptions::new(), |tried| {
        let status = match tried.error {
            None => 200,
            Some(Error::Api(api)) => api.status,
            Some(error) => panic!("{error}"),
        };
        told.push((tried.number, status));
    });
    assert_eq!(answer.unwrap().attempts, 3);
    assert_eq!(told, [(1, 429), (2, 500), (3, 200)]);
    let stats = client.stats();
    assert_eq!((stats.retries, stats.rate_limited), (2, 1));
}

#[test]
fn a_429_pauses_the_sharers_even_when_its_own_request_gives_up() {
    let server = Scripted::start([Step::error(429, BODY, &["retry-after: 600"])]);
    let client = builder(server.base_url()).max_retries(0).build().unwrap();
    let error = client.chat("a").unwrap_err();
    assert_eq!(error.retry_after(), Some(600 * SECOND));
    let left = client
        .registry()
        .limiter_for(client.model())
        .snapshot()
        .paused_for;
    assert!(left > 600 * SECOND - SOON, "{left:?}");
}

#[test]
fn the_exact_wait_of_a_message_goes_before_the_rounded_one() {
    let body = r#"{"error":{"type":"tokens","code":"rate_limit_exceeded","message":"Rate limit reached for m in organization o on tokens per min (TPM): Limit 30000, Used 29900, Requested 160. Please try again in 120ms."}}"#;
    let server = Scripted::start([Step::json(429, &["retry-after: 1"], body)]);
    let client = builder(server.base_url()).max_retries(0).build().unwrap();
    assert!(client.chat("a").is_err());
    let limiter = client.registry().limiter_for(client.model());
    let left = limiter.snapshot().paused_for;
    assert!(left < SECOND / 2, "{left:?}");
}

#[test]
fn retries_are_bounded_in_number() {
    // A refusal weighs a quarter of a failure.
    let table = [(429, 5, 5), (500, 2, 0)];
    for (step, (status, sent, rate_limited)) in table.into_iter().enumerate() {
        let refusal = Step::error(status, BODY, &["retry-after-ms: 1"]);
        let server = Scripted::start(vec![refusal; 9]);
        let client = builder(server.base_url()).max_retries(1).build().unwrap();
        assert!(matches!(client.chat("a"), Err(Error::Api(_))));
        let stats = client.stats();
        let expected = (sent, sent - 1, rate_limited);
        let found = (stats.sent, stats.retries, stats.rate_limited);
        assert_eq!(found, expected, "step {step}: {stats:?}");
        assert_eq!(server.requests().len() as u64, sent, "step {step}");
    }
}

#[test]
fn what_creates_something_is_not_sent_again_when_nobody_knows_what_became_of_it() {
    let lost = || [Step::error(500, "", &[]), Step::chat(1, 1)];
    let table = [("/chat/completions", true), ("/batches", false)];
    for (step, (path, again)) in table.into_iter().enumerate() {
        let server = Scripted::start(lost());
        let answer = client(server.base_url()).post(path, &json!({"input": "a"}));
        assert_eq!(answer.is_ok(), again, "step {step}: {answer:?}");
        let sent = server.requests().len();
        assert_eq!(sent, 1 + usize::from(again), "step {step}");
    }
}

#[test]
fn a_wait_that_the_server_names_is_waited_out_however_long_retries_may_last() {
    thread::scope(|scope| {
        for (step, status) in [429, 503, 529].into_iter().enumerate() {
            scope.spawn(move || {
                let refusal = Step::error(status, BODY, &["retry-after: 4"]);
                let server = Scripted::start([refusal, Step::chat(1, 1)]);
                let client = builder(server.base_url()).retry_for(3 * SECOND);
                let start = Instant::now();
                let answer = client.build().unwrap().chat("a");
                assert_eq!(answer.unwrap().text(), "fine", "step {step}");
                assert!(start.elapsed() >= 4 * SECOND, "step {step}");
            });
        }
    });
}

#[test]
fn time_in_line_is_not_counted() {
    let server = Scripted::start([Step::error(503, "", &[])]);
    let client = builder(server.base_url()).retry_for(10 * SECOND);
    let client = client.build().unwrap();
    let request = client
        .prepare("/embeddings", &json!({"input": "a"}))
        .unwrap();
    let limiter = request.limiter().clone();
    let admitted = request.admit(AcquireOptions::new()).unwrap();
    limiter.pause_until(Instant::now() + 90 * SECOND);
    let token = CancelToken::new();
    let start = Instant::now();
    thread::scope(|scope| {
        let sending = scope.spawn(|| admitted.send(AcquireOptions::new().cancel(&token)));
        while limiter.snapshot().waiters == 0 && start.elapsed() < SOON {
            thread::yield_now();
        }
        let waits = limiter.snapshot().waiters;
        token.cancel();
        assert!(matches!(sending.join().unwrap(), Err(Error::Cancelled)));
        assert_eq!(waits, 1);
    });
}

#[test]
fn a_token_and_a_deadline_end_the_wait_between_tries() {
    // In the line, where a 429 waits, and outside of it.
    for (step, status) in [429, 503].into_iter().enumerate() {
        let refusal = Step::error(status, BODY, &["retry-after: 90"]);
        let server = Scripted::start([refusal.clone(), refusal]);
        let ask = |wait: AcquireOptions<'_>| {
            // A client for each, because the first 429 pauses the limiter of the first.
            let client = client(server.base_url());
            let request = client.prepare("/embeddings", &json!({"input": "a"}));
            let admitted = request.unwrap().admit(AcquireOptions::new()).unwrap();
            let answer = admitted.send(wait);
            assert_eq!(client.stats().retries, 0, "step {step}");
            answer
        };
        let start = Instant::now();
        let token = CancelToken::new();
        thread::scope(|scope| {
            let asking = scope.spawn(|| ask(AcquireOptions::new().cancel(&token)));
            server.wait_for(1);
            token.cancel();
            let answer = asking.join().unwrap();
            assert!(
                matches!(answer, Err(Error::Cancelled)),
                "step {step}: {answer:?}"
            );
        });
        let answer = ask(AcquireOptions::new().deadline(Instant::now() + 45 * SECOND));
        assert!(
            matches!(answer, Err(Error::DeadlineExceeded { .. })),
            "step {step}: {answer:?}"
        );
        assert!(start.elapsed() < SOON, "step {step}");
    }
}

#[test]
fn a_request_that_rests_between_two_tries_is_not_in_flight() {
    let rest = Step::error(503, "", &["retry-after: 600"]);
    let server = Scripted::start([rest]);
    let limits = Limits::builder().tokens_per_minute(1_000_000).in_flight(1);
    let client = builder(server.base_url()).limits(limits.build().unwrap());
    let client = client.retry_for(3_600 * SECOND).build().unwrap();
    let limiter = client.registry().limiter_for(client.model());
    let token = CancelToken::new();
    let start = Instant::now();
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let body = json!({"model": client.model(), "input": "a"});
            let request = client.prepare("/embeddings", &body).unwrap();
            let admitted = request.admit(AcquireOptions::new()).unwrap();
            admitted.send(AcquireOptions::new().cancel(&token))
        });
        server.wait_for(1);
        while limiter.snapshot().in_flight > 0 && start.elapsed() < SOON {
            thread::yield_now();
        }
        let in_flight = limiter.snapshot().in_flight;
        let rests = !asking.is_finished();
        token.cancel();
        assert!(matches!(asking.join().unwrap(), Err(Error::Cancelled)));
        assert!(rests, "it is to come again");
        assert_eq!(in_flight, 0);
    });
}
