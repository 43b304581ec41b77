//! A transport of the caller's in place of the crate's own.

use std::sync::{Arc, Mutex};

use paceline::{
    ApiError, CallOptions, CancelToken, Error, ErrorKind, HttpRequest, HttpResponse,
    RateLimitedClient, Result, TransportKind,
};
use serde_json::{Value, json};

use crate::support::{KEY, MILLISECOND, builder};

const BASE: &str = "http://api.test/v1";

fn client(
    transport: impl Fn(&HttpRequest<'_>) -> Result<HttpResponse> + Send + Sync + 'static,
) -> RateLimitedClient {
    builder(BASE).transport(transport).build().unwrap()
}

fn fine() -> HttpResponse {
    let body = json!({
        "choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8},
    });
    HttpResponse::json(200, &body).header("x-request-id", "req_1")
}

#[test]
fn it_gets_what_would_be_sent_and_its_response_is_read() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&seen);
    let client = client(move |request| {
        assert!(!format!("{request:?}").contains(KEY));
        assert!(request.connect_deadline() <= request.deadline());
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let header = |name| request.header(name).unwrap_or_default().to_owned();
        list.lock().unwrap().push((
            request.method().to_owned(),
            request.url().to_owned(),
            [
                header("authorization"),
                header("x-b"),
                header("content-type"),
            ],
            body["messages"][0]["content"].clone(),
        ));
        Ok(fine())
    });
    let options = CallOptions::new().header("x-b", "2");
    let answer = client.chat_with("a", &options).unwrap();
    assert_eq!(answer.text(), "fine");
    assert_eq!(answer.response().request_id.as_deref(), Some("req_1"));
    assert_eq!(answer.response().usage.unwrap().input_tokens, 7);
    let expected = (
        "POST".to_owned(),
        format!("{BASE}/chat/completions"),
        [
            format!("Bearer {KEY}"),
            "2".to_owned(),
            "application/json".to_owned(),
        ],
        json!("a"),
    );
    assert_eq!(*seen.lock().unwrap(), [expected]);
}

#[test]
fn its_errors_are_treated_as_the_crate_s_own() {
    let calls = Arc::new(Mutex::new(0));
    let count = Arc::clone(&calls);
    let client = client(move |request| {
        let mut count = count.lock().unwrap();
        *count += 1;
        match *count {
            1 => Err(Error::transport(
                request.url(),
                TransportKind::Disconnected,
                "lost",
            )),
            2 => Ok(HttpResponse::new(429, &b"{}"[..]).header("retry-after-ms", "1")),
            3 => Ok(HttpResponse::new(200, &b"{\"choices\": [{"[..])),
            _ => Ok(fine()),
        }
    });
    assert_eq!(client.chat("a").unwrap().response().attempts, 4);
    assert_eq!(client.stats().rate_limited, 1);
}

#[test]
fn a_stream_comes_as_it_is_read_and_a_token_is_passed_on() {
    let events = concat!(
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\ndata: [DONE]\n\n",
    );
    let client = client(move |request| {
        if request
            .cancel_token()
            .is_some_and(CancelToken::is_cancelled)
        {
            let message = "the token was cancelled";
            return Err(Error::transport(
                request.url(),
                TransportKind::Other,
                message,
            ));
        }
        Ok(HttpResponse::new(200, events.as_bytes()).header("content-type", "text/event-stream"))
    });
    let text: String = client
        .chat_stream("a")
        .unwrap()
        .map(|piece| piece.unwrap().text().to_owned())
        .collect();
    assert_eq!(text, "ab");

    let request = client.prepare_chat("a").unwrap();
    let admitted = request.admit(paceline::AcquireOptions::new()).unwrap();
    let token = CancelToken::new();
    token.cancel();
    let ended = admitted.send(&CallOptions::new().cancel(&token));
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
}

#[test]
fn errors_can_be_made() {
    let table = [
        (429, ErrorKind::RateLimited),
        (401, ErrorKind::Account),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::Request),
        (409, ErrorKind::Conflict),
        (502, ErrorKind::Server),
        (529, ErrorKind::Overloaded),
    ];
    for (status, kind) in table {
        let error = ApiError::new(status, "as told");
        assert_eq!((error.kind, error.status), (kind, status));
    }
    let mut error = ApiError::new(429, "as told");
    error.retry_after = Some(MILLISECOND);
    assert_eq!(
        Error::from(Box::new(error)).retry_after(),
        Some(MILLISECOND)
    );
}
