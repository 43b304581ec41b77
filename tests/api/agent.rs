//! An agent of ureq behind a limiter.

use paceline::ureq::{Deadline, RateLimit, Reserved};
use paceline::{
    AcquireError, AcquireOptions, CallOptions, CancelToken, Clock, Cost, Error, Limits,
    ManualClock, RateLimiter,
};
use ureq::Agent;

use crate::scripted::{Scripted, Step};
use crate::support::{KEY, MILLISECOND, SECOND, SOON, TOKENS, builder, level};

/// An agent, the limiter before it, and the clock by which it goes.
fn limited(status_as_error: bool) -> (Agent, RateLimiter, ManualClock) {
    let clock = ManualClock::new();
    let limits = Limits::tokens_per_minute(TOKENS).unwrap();
    let limiter = RateLimiter::builder(limits).clock(&clock).build();
    let agent = Agent::config_builder()
        .middleware(RateLimit::new(limiter.clone()))
        .http_status_as_error(status_as_error)
        .build();
    (agent.into(), limiter, clock)
}

#[test]
fn a_request_pays_what_its_extensions_say_and_is_settled() {
    let server = Scripted::start([Step::chat(1, 1), Step::chat(1, 1)]);
    let (agent, limiter, _) = limited(true);
    let full = level(&limiter);
    let send = || {
        let request = agent.post(server.base_url()).extension(Cost::tokens(100));
        request.send("{}").unwrap()
    };
    let response = send();
    let reserved = response.extensions().get::<Reserved>().unwrap().clone();
    assert_eq!(reserved.cost(), Some(Cost::tokens(100)));
    assert_eq!(level(&limiter), full - 100);
    let text = response.into_body().read_to_string().unwrap();
    assert!(text.contains("fine"), "{text}");
    reserved.settle(Cost::tokens(10));
    reserved.settle(Cost::tokens(0));
    assert_eq!((reserved.cost(), level(&limiter)), (None, full - 10));
    drop(send());
    assert_eq!(level(&limiter), full - 110, "dropped, it keeps its charge");
}

#[test]
fn a_refusal_holds_back_all_who_share_the_limit_and_its_body_stays() {
    let body = r#"{"error":{"code":"rate_limit_exceeded","message":"Please try again in 7s."}}"#;
    let refusal = Step::json(429, &[], body);
    let server = Scripted::start([refusal.clone(), refusal]);
    let (agent, limiter, clock) = limited(false);
    let response = agent.post(server.base_url()).send("{}").unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.into_body().read_to_string().unwrap(), body);
    assert_eq!(limiter.snapshot().paused_for, 7 * SECOND);
    clock.advance(7 * SECOND);

    // Where a status is an error only that is known.
    let (agent, limiter, _) = limited(true);
    let error = agent.post(server.base_url()).send("{}").unwrap_err();
    assert!(matches!(error, ureq::Error::StatusCode(429)), "{error}");
    assert_eq!(limiter.snapshot().in_flight, 0);
}

#[test]
fn a_deadline_and_a_token_end_the_wait_before_anything_is_sent() {
    let server = Scripted::start([]);
    let (agent, limiter, clock) = limited(true);
    drop(limiter.acquire(Cost::tokens(TOKENS)).unwrap());
    let token = CancelToken::new();
    token.cancel();
    let late = agent
        .post(server.base_url())
        .extension(Cost::tokens(100))
        .extension(Deadline::at(clock.now()))
        .send("{}");
    let cancelled = agent
        .post(server.base_url())
        .extension(Cost::tokens(100))
        .extension(token)
        .send("{}");
    let inside = |ended: Result<_, ureq::Error>| match ended {
        Err(ureq::Error::Other(error)) => *error.downcast::<AcquireError>().unwrap(),
        other => panic!("{:?}", other.map(drop)),
    };
    assert!(matches!(
        inside(late),
        AcquireError::DeadlineExceeded { .. }
    ));
    assert!(matches!(inside(cancelled), AcquireError::Cancelled));
    assert!(server.requests().is_empty());
}

#[test]
fn what_was_not_sent_is_given_back() {
    let server = Scripted::start([]);
    let url = server.base_url();
    drop(server); // nobody listens there any more
    let (agent, limiter, _) = limited(true);
    let full = level(&limiter);
    let ended = agent.post(url).extension(Cost::tokens(100)).send("{}");
    ended.unwrap_err();
    assert_eq!(level(&limiter), full);
}

#[test]
fn an_agent_is_a_transport_of_a_client() {
    let redirect = "HTTP/1.1 302 Found\r\nlocation: /v1/other\r\ncontent-length: 0\r\n\r\n";
    let server = Scripted::start([
        Step::error(503, "", &["retry-after-ms: 1"]),
        Step::chat(9, 1),
        Step::Answer(redirect.to_owned()),
    ]);
    let over = |url: String| {
        builder(url)
            .transport(Agent::new_with_defaults())
            .max_retries(1)
    };
    let client = over(server.base_url()).build().unwrap();
    let answer = client.chat("a").unwrap();
    assert_eq!((answer.text(), answer.response().attempts), ("fine", 2));
    let request = &server.requests()[0];
    assert_eq!(request.line, "POST /v1/chat/completions HTTP/1.1");
    let bearer = format!("authorization: Bearer {KEY}");
    assert!(request.headers.contains(&bearer), "{:?}", request.headers);
    let moved = client.chat("a").unwrap_err();
    assert!(
        matches!(&moved, Error::Api(api) if api.status == 302),
        "{moved}"
    );
    assert_eq!(server.requests().len(), 3, "no redirect is followed");

    let url = server.base_url();
    drop(server); // nobody listens there any more
    let client = over(url).max_retries(0).build().unwrap();
    let refused = client.chat("a").unwrap_err();
    assert!(
        matches!(refused, Error::Transport { unsent: true, .. }),
        "{refused}"
    );
}

#[test]
fn a_deadline_ends_what_an_agent_sends() {
    let server = Scripted::start([Step::Stall]);
    let agent = Agent::new_with_defaults();
    let client = builder(server.base_url()).transport(agent).build().unwrap();
    let admitted = client
        .prepare_chat("a")
        .unwrap()
        .admit(AcquireOptions::new());
    let deadline = Clock::real().now() + 100 * MILLISECOND;
    let options = CallOptions::new().deadline(deadline);
    let ended = admitted.unwrap().send(&options).unwrap_err();
    assert!(matches!(ended, Error::DeadlineExceeded { .. }), "{ended}");
    assert!(Clock::real().now() >= deadline && deadline.elapsed() < SOON);
}
