//! Requests and responses as they came.

use std::io::Write;
use std::sync::mpsc::channel;

use paceline::RateLimitedClient;
use paceline::sim::{SimConfig, SimLimits};
use serde_json::json;

use crate::harness::*;

#[test]
fn a_request_and_its_response_pass_byte_for_byte() {
    // Spaces, order and digits as no writer of JSON would have them.
    let response = "{ \"id\":\"x\",\n \"choices\": [ {\"message\":{\"content\":\"\\u00e9\"}}],\"n\":1.10,\
                    \"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10} }";
    let canned = canned(vec![says(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: r1\r\nX-Hop: 1\r\n\
         Connection: close, X-Hop\r\nContent-Length: {}\r\n\r\n{response}",
        response.len()
    ))]);
    let gateway = builder(upstream(&canned.base_url, unlimited()))
        .start()
        .unwrap();
    let body = "{\"model\" : \"gpt-4o-mini\", \"messages\":[],\"seed\":12345678901234567890.10}";
    let mut client = Client::new(gateway.local_addr());
    let headers = "Authorization: Bearer callers\r\nX-Custom: a\r\nAccept-Encoding: gzip\r\n\
                   x-paceline-deadline: 60\r\n";
    let answer = client.post("/v1/chat/completions?a=b%20c", headers, body);
    assert_eq!(answer.status, 200);
    assert_eq!(String::from_utf8(answer.body.clone()).unwrap(), response);
    assert_eq!(answer.header("x-request-id"), Some("r1"));
    assert_eq!(answer.header("x-hop"), None);
    assert_eq!(answer.header("x-paceline-waited"), Some("0.000"));
    let limits = answer.header("x-paceline-limits").unwrap();
    assert!(
        limits.starts_with("tokens=99") && limits.ends_with("/1000000000;w=60"),
        "{limits}"
    );

    let seen = String::from_utf8(canned.seen.recv_timeout(SOON).unwrap()).unwrap();
    let (head, sent) = seen.split_once("\r\n\r\n").unwrap();
    assert_eq!(sent, body);
    assert!(
        head.starts_with("POST /v1/chat/completions?a=b%20c HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nx-custom: a"), "{head}");
    assert!(head.contains("\r\naccept-encoding: identity"), "{head}");
    assert!(
        head.to_lowercase()
            .contains(&format!("authorization: bearer {}", KEY.to_lowercase())),
        "{head}"
    );
    assert!(
        !head.contains("callers") && !head.contains("paceline-"),
        "{head}"
    );
}

#[test]
fn the_charge_is_what_was_used() {
    let simulator = free_simulator();
    let registry = registry(unlimited());
    let upstream = upstream(&simulator.base_url(), unlimited()).registry(registry.clone());
    let gateway = builder(upstream).start().unwrap();
    let mut client = Client::new(gateway.local_addr());
    let answer = client.post(CHAT, "", &chat(1_000).to_string());
    let used = answer.json()["usage"]["total_tokens"].as_u64().unwrap();
    let quota = registry.limiter_for("gpt-4o-mini").snapshot().quotas[0];
    assert!(quota.granted > used, "{quota:?}");
    assert_eq!(simulator.report().admitted, 1);
    // A list passes without a permit.
    assert_eq!(client.get("/v1/models", "").status, 200);
    assert_eq!(registry.limiters().len(), 1);
    assert_eq!(
        registry.limiter_for("gpt-4o-mini").snapshot().quotas[0].granted,
        quota.granted
    );
}

#[test]
fn events_pass_as_they_arrive() {
    let (go_on, goes_on) = channel::<()>();
    let canned = canned(vec![Box::new(move |stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        for event in [
            "data: {\"a\":1}\n\n",
            "data: {\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10},\"choices\":[]}\n\ndata: [DONE]\n\n",
        ] {
            let chunk = format!("{:x}\r\n{event}\r\n", event.len());
            stream.write_all(chunk.as_bytes()).unwrap();
            goes_on.recv().unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    })]);
    let registry = registry(unlimited());
    let upstream = upstream(&canned.base_url, unlimited()).registry(registry.clone());
    let gateway = builder(upstream).start().unwrap();
    let mut client = Client::new(gateway.local_addr());
    let mut body = chat(1_000);
    body["stream"] = json!(true);
    client.send_post(CHAT, "", &body.to_string());
    let head = client.head();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    // The second event is not sent before the first has come.
    assert_eq!(client.chunk(), b"data: {\"a\":1}\n\n");
    go_on.send(()).unwrap();
    assert!(client.chunk().starts_with(b"data: {\"usage\""));
    go_on.send(()).unwrap();
    assert_eq!(client.chunk(), b"");
    let limiter = registry.limiter_for("gpt-4o-mini");
    until(|| limiter.snapshot().in_flight == 0);
}

#[test]
fn refusals_of_the_provider_are_retried_behind_the_client_s_back() {
    let config = SimConfig::new().default_limits(SimLimits::default().requests_per_minute(60));
    let simulator = simulator(config.burst(std::time::Duration::from_secs(2)));
    // The gateway is told nothing of that limit.
    let gateway = builder(upstream(&simulator.base_url(), unlimited()))
        .start()
        .unwrap();
    let addr = gateway.local_addr();
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(move || {
                let answer = Client::new(addr).post(CHAT, "", &chat(1).to_string());
                assert_eq!(answer.status, 200, "{answer:?}");
            });
        }
    });
    assert!(simulator.report().refused() > 0, "{:?}", simulator.report());
}

#[test]
fn errors_pass_as_the_provider_sent_them_but_for_the_gateway_s_key() {
    let body = format!("{{ \"error\": {{\"message\": \"Incorrect API key provided: {KEY}\"}}}}");
    let canned = canned(vec![
        says("HTTP/1.1 418 I'm a teapot\r\nX-A: b\r\nContent-Length: 5\r\n\r\n{ \"a\""),
        says(format!(
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )),
    ]);
    let gateway = builder(upstream(&canned.base_url, unlimited()))
        .start()
        .unwrap();
    let mut client = Client::new(gateway.local_addr());
    let answer = client.post(CHAT, "", &chat(1).to_string());
    assert_eq!((answer.status, answer.header("x-a")), (418, Some("b")));
    assert_eq!(answer.body, b"{ \"a\"");
    let answer = client.post(CHAT, "", &chat(1).to_string());
    assert_eq!(answer.status, 401);
    let said = String::from_utf8(answer.body).unwrap();
    assert!(
        said.contains("Incorrect API key") && !said.contains(KEY),
        "{said}"
    );
}

#[test]
fn keys_of_callers_go_on_and_each_has_limits_of_its_own() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    let canned = canned((0..4).map(|_| says(ok)).collect());
    let upstream = RateLimitedClient::builder()
        .base_url(&canned.base_url)
        .api_key_env("PACELINE_TEST_NO_SUCH_KEY")
        .registry(registry(unlimited()));
    let gateway = builder(upstream).start().unwrap();
    let mut client = Client::new(gateway.local_addr());
    for (headers, expected) in [
        (
            "Authorization: Bearer one\r\n",
            "authorization: bearer one\r\n",
        ),
        ("x-api-key: two\r\n", "x-api-key: two\r\n"),
    ] {
        client.post(CHAT, headers, &chat(1).to_string());
        let seen = String::from_utf8(canned.seen.recv_timeout(SOON).unwrap())
            .unwrap()
            .to_lowercase();
        assert!(seen.contains(expected), "{seen}");
    }
    let answer = client.post(CHAT, "", &chat(1).to_string());
    assert_eq!(answer.status, 401);
    assert!(answer.json()["error"]["message"].is_string());
}

#[test]
fn a_provider_that_cannot_be_reached_is_a_502() {
    // Nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}/v1");
    let gateway = builder(upstream(&url, unlimited())).start().unwrap();
    let answer = Client::new(gateway.local_addr()).post(CHAT, "", &chat(1).to_string());
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["error"]["code"], "upstream_failed");
}
