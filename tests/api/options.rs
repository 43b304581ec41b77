//! Options of one call: what ends it early, and how often it is retried.

use std::error::Error as _;
use std::panic::{RefUnwindSafe, UnwindSafe};

use paceline::{
    AcquireOptions, CallOptions, CancelToken, Clock, Cost, Error, Permit, RateLimitedClient,
    RateLimiter, TransportKind,
};
use serde_json::{Value, json};

use crate::scripted::{Scripted, Step};
use crate::support::{KEY, MILLISECOND, SECOND, SOON, builder, client, level, still};

/// A client whose time stands still, with its limiter and the limiter's level.
fn still_client(server: &Scripted) -> (RateLimitedClient, RateLimiter, i64) {
    let client = builder(server.base_url())
        .registry(still())
        .build()
        .unwrap();
    let limiter = client.registry().limiter_for(client.model());
    let before = level(&limiter);
    (client, limiter, before)
}

#[test]
fn a_deadline_that_has_passed_sends_nothing_and_takes_nothing() {
    let server = Scripted::start([]);
    let (client, limiter, before) = still_client(&server);
    let past = limiter.clock().now() - SECOND;
    let options = CallOptions::new().deadline(past);
    let calls: [(&str, Result<(), Error>); 4] = [
        ("chat", client.chat_with("a", &options).map(drop)),
        ("stream", client.chat_stream_with("a", &options).map(drop)),
        (
            "embeddings",
            client.embeddings_with("m", &["a"], &options).map(drop),
        ),
        (
            "post",
            client
                .post_with("/moderations", &json!({}), &options)
                .map(drop),
        ),
    ];
    for (call, result) in calls {
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::DeadlineExceeded { .. }),
            "{call}: {error}"
        );
        assert_eq!(error.to_string(), "the deadline has passed", "{call}");
    }
    assert_eq!(level(&limiter), before);
    assert_eq!(
        limiter.snapshot().counters.rejected,
        2,
        "embeddings and requests without a model have other limiters"
    );
    assert!(server.requests().is_empty());
}

#[test]
fn a_deadline_within_a_pause_carries_the_failure_before_it() {
    for step in [
        Step::error(503, "overloaded", &["retry-after: 3600"]),
        Step::error(429, "rate_limit_exceeded", &["retry-after: 3600"]),
    ] {
        let server = Scripted::start([step]);
        let deadline = Clock::real().now() + SECOND * 600;
        let began = Clock::real().now();
        let options = CallOptions::new().deadline(deadline);
        let error = client(server.base_url())
            .chat_with("a", &options)
            .unwrap_err();
        assert!(began.elapsed() < SOON);
        assert!(
            matches!(error, Error::DeadlineExceeded { last: Some(_), .. }),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains("to wait, after: the server answered"),
            "{error}"
        );
        let last = error.source().and_then(|last| last.downcast_ref::<Error>());
        assert!(matches!(last, Some(Error::Api(_))), "{error:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_token_ends_a_wait_for_the_limiter() {
    let server = Scripted::start([]);
    let client = builder(server.base_url())
        .registry(still())
        .build()
        .unwrap();
    let limiter = client.registry().limiter_for(client.model());
    let left = u64::try_from(level(&limiter)).unwrap();
    drop(limiter.acquire(Cost::tokens(left)).unwrap());
    let token = CancelToken::new();
    std::thread::scope(|scope| {
        let options = CallOptions::new().cancel(&token);
        let client: &RateLimitedClient = &client;
        let waiting = scope.spawn(move || client.chat_with("a", &options).map(drop));
        while limiter.snapshot().waiters == 0 {
            std::thread::yield_now();
        }
        token.cancel();
        assert!(matches!(waiting.join().unwrap(), Err(Error::Cancelled)));
    });
    assert!(server.requests().is_empty());
}

#[test]
fn retries_are_the_call_s_where_it_says_so() {
    let server = Scripted::start([Step::error(500, "", &["x-should-retry: true"])]);
    let options = CallOptions::new().max_retries(0);
    let error = client(server.base_url())
        .chat_with("a", &options)
        .unwrap_err();
    assert!(matches!(error, Error::Api(_)), "{error}");
    assert_eq!(server.requests().len(), 1);
}

/// They cross threads, and a panic may pass them.
#[test]
fn clients_limiters_and_permits_go_anywhere() {
    fn anywhere<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    anywhere::<RateLimitedClient>();
    anywhere::<RateLimiter>();
    anywhere::<Permit<'_>>();
}

#[test]
fn a_prepared_chat_has_the_client_s_defaults_and_a_typed_answer() {
    let server = Scripted::start([Step::chat(9, 1)]);
    let client = builder(server.base_url())
        .model("gpt-4o-mini")
        .max_completion_tokens(77);
    let client = client.build().unwrap();
    let prepared = client.prepare_chat("a").unwrap();
    assert_eq!(
        (prepared.model(), prepared.estimate().output),
        ("gpt-4o-mini", 77)
    );
    assert_eq!(prepared.send(&CallOptions::new()).unwrap().text(), "fine");
    let body: Value = serde_json::from_str(&server.requests()[0].body).unwrap();
    assert_eq!(body["max_completion_tokens"], 77);
    assert_eq!(body["model"], "gpt-4o-mini");
}

#[test]
fn headers_of_an_answer_are_there_without_the_key() {
    let body = r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#;
    let echo = format!("x-echo: {KEY}");
    let server = Scripted::start([Step::json(200, &["X-Plain: 1", &echo], body)]);
    let answer = client(server.base_url()).chat("a").unwrap();
    let headers = &answer.response().headers;
    assert_eq!(headers.get("x-plain"), Some("1"));
    assert!(
        headers
            .get("x-echo")
            .is_some_and(|value| !value.contains(KEY))
    );
}

/// Whether a call was ended by its deadline in an attempt.
fn is_ended_attempt(error: &Error) -> bool {
    let Error::DeadlineExceeded {
        last: Some(last), ..
    } = error
    else {
        return false;
    };
    matches!(
        **last,
        Error::Transport {
            kind: TransportKind::Timeout,
            ..
        }
    )
}

#[test]
fn a_deadline_ends_the_attempt_that_it_falls_into() {
    let begun = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_owned();
    let server = Scripted::start([Step::Stall, Step::Answer(begun)]);
    let client = client(server.base_url());
    for _ in 0..2 {
        let request = client.prepare_chat("a").unwrap();
        let admitted = request.admit(AcquireOptions::new()).unwrap();
        let deadline = Clock::real().now() + 100 * MILLISECOND;
        let error = admitted
            .send(&CallOptions::new().deadline(deadline))
            .unwrap_err();
        assert!(is_ended_attempt(&error), "{error:?}");
        let shown = error.to_string();
        assert!(shown.contains("the deadline has passed"), "{shown}");
        assert!(Clock::real().now() >= deadline && deadline.elapsed() < SOON);
    }
    assert!(server.requests().len() <= 2, "none is sent again");
}

#[test]
fn a_deadline_ends_every_kind_of_call() {
    let server = Scripted::start([Step::Stall, Step::Stall, Step::Stall]);
    let client = client(server.base_url());
    for call in ["post", "stream", "embeddings"] {
        let deadline = Clock::real().now() + 100 * MILLISECOND;
        let options = CallOptions::new().deadline(deadline);
        let ended = match call {
            "post" => client
                .post_with("/responses", &json!({}), &options)
                .map(drop),
            "stream" => client.chat_stream_with("a", &options).map(drop),
            _ => client.embeddings_with("m", &["a"], &options).map(drop),
        };
        // On a machine that stands still it passes before anything is sent.
        let error = ended.unwrap_err();
        assert!(matches!(error, Error::DeadlineExceeded { .. }), "{call}");
        assert!(deadline.elapsed() < SOON);
    }
}

#[test]
fn a_token_ends_an_attempt_in_flight() {
    let server = Scripted::start([Step::Stall]);
    let (client, token) = (client(server.base_url()), CancelToken::new());
    std::thread::scope(|scope| {
        let options = CallOptions::new().cancel(&token);
        let calling = scope.spawn(move || client.chat_with("a", &options).map(drop));
        server.wait_for(1);
        let began = Clock::real().now();
        token.cancel();
        assert!(matches!(calling.join().unwrap(), Err(Error::Cancelled)));
        assert!(began.elapsed() < SOON);
    });
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_token_and_a_deadline_end_a_stream_between_two_pieces() {
    let begun = concat!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
    );
    let server = Scripted::start([
        Step::Answer(begun.to_owned()),
        Step::Answer(begun.to_owned()),
    ]);
    let (client, token) = (client(server.base_url()), CancelToken::new());
    let options = CallOptions::new().cancel(&token);
    let mut stream = client.chat_stream_with("a", &options).unwrap();
    assert_eq!(stream.next().unwrap().unwrap().text(), "a");
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| stream.next());
        token.cancel();
        let ended = reading.join().unwrap();
        assert!(matches!(ended, Some(Err(Error::Cancelled))), "{ended:?}");
    });
    assert!(stream.next().is_none());

    let deadline = Clock::real().now() + 200 * MILLISECOND;
    let options = CallOptions::new().deadline(deadline);
    // On a machine that stands still it comes before the first piece.
    let ended = match client.chat_stream_with("a", &options) {
        Ok(stream) => stream.map(|piece| piece.map(drop)).last().unwrap(),
        Err(error) => Err(error),
    };
    assert!(
        matches!(ended, Err(Error::DeadlineExceeded { .. })),
        "{ended:?}"
    );
}

#[test]
fn time_outs_are_the_call_s_where_it_says_so() {
    let begun = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_owned();
    let server = Scripted::start([Step::Stall, Step::Answer(begun)]);
    let client = client(server.base_url());
    let once = CallOptions::new().max_retries(0);
    let table = [
        (once.clone().timeout(50 * MILLISECOND), "within 50.0 ms"),
        (
            once.read_timeout(51 * MILLISECOND),
            "no more of the response within 51.0 ms",
        ),
    ];
    for (options, expected) in table {
        let error = client.chat_with("a", &options).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Transport {
                    kind: TransportKind::Timeout,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn headers_of_a_call_go_with_it_and_with_no_other() {
    let server = Scripted::start([Step::chat(1, 1), Step::chat(1, 1)]);
    let client = builder(server.base_url()).header("X-Team", "all").build();
    let client = client.unwrap();
    let options = CallOptions::new()
        .header("x-team", "one")
        .header("X-B", "2");
    client.chat_with("a", &options).unwrap();
    client.chat("a").unwrap();
    let all: Vec<Vec<String>> = server
        .requests()
        .into_iter()
        .map(|request| {
            let headers = request.headers.into_iter();
            let lower = headers.map(|header| header.to_ascii_lowercase());
            lower.filter(|header| header.starts_with("x-")).collect()
        })
        .collect();
    assert_eq!(all, [vec!["x-team: one", "x-b: 2"], vec!["x-team: all"]]);
}

#[test]
fn an_idempotency_key_lets_a_request_come_again_that_creates_something() {
    for (options, sent) in [
        (CallOptions::new(), 1),
        (CallOptions::new().idempotency_key("k-1"), 2),
    ] {
        let server = Scripted::start([Step::error(500, "", &[]), Step::json(200, &[], "{}")]);
        let client = client(server.base_url());
        let created = client.post_with("/batches", &json!({"model": "m"}), &options);
        assert_eq!(created.is_ok(), sent == 2);
        let requests = server.requests();
        assert_eq!(requests.len(), sent);
        let carries = |headers: &[String]| headers.iter().any(|it| it == "idempotency-key: k-1");
        assert!(
            requests
                .iter()
                .all(|it| carries(&it.headers) == (sent == 2))
        );
    }
}

#[test]
fn options_that_cannot_be_sent_take_nothing() {
    let server = Scripted::start([]);
    let (client, limiter, before) = still_client(&server);
    for options in [
        CallOptions::new().header("Authorization", "Bearer other"),
        CallOptions::new().header("bad name", "s3cret"),
        CallOptions::new().header("x-a", "s3cret\r\nx-b: c"),
        CallOptions::new().header("Content-Length", "7"),
        CallOptions::new().timeout(std::time::Duration::ZERO),
    ] {
        let error = client.chat_with("a", &options).unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)), "{error}");
        let shown = format!("{error} {options:?}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("Bearer"),
            "{shown}"
        );
    }
    assert_eq!(level(&limiter), before);
    assert!(server.requests().is_empty());
}
