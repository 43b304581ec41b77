//! Options of one call: what ends it early, and how often it is retried.

use std::error::Error as _;
use std::panic::{RefUnwindSafe, UnwindSafe};

use paceline::{
    CallOptions, CancelToken, Clock, Cost, Error, Permit, RateLimitedClient, RateLimiter,
};
use serde_json::{Value, json};

use crate::scripted::{Scripted, Step};
use crate::support::{KEY, SECOND, SOON, builder, client, level, still};

#[test]
fn a_deadline_that_has_passed_sends_nothing_and_takes_nothing() {
    let server = Scripted::start([]);
    let client = builder(server.base_url())
        .registry(still())
        .build()
        .unwrap();
    let limiter = client.registry().limiter_for(client.model());
    let before = level(&limiter);
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
        let last = error
            .source()
            .and_then(|last| last.downcast_ref::<Box<Error>>());
        assert!(
            matches!(last.map(|last| &**last), Some(Error::Api(_))),
            "{error:?}"
        );
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
