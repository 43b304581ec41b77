//! What the gateway says of itself.

use paceline::{Limits, Unit};

use crate::harness::*;

#[test]
fn levels_waiters_and_refusals_are_seen_and_no_key_is() {
    let simulator = free_simulator();
    let limits = Limits::builder()
        .per_day(Unit::Requests, 1)
        .build()
        .unwrap();
    let registry = registry(limits.clone());
    let upstream = upstream(&simulator.base_url(), limits).registry(registry.clone());
    let gateway = builder(upstream).start().unwrap();
    let addr = gateway.local_addr();
    let mut body = chat(1);
    body["model"] = "<b>\"model\"".into();
    let body = body.to_string();
    assert_eq!(Client::new(addr).post(CHAT, "", &body).status, 200);
    let refused = Client::new(addr).post(CHAT, "x-paceline-deadline: 1\r\n", &body);
    assert_eq!(refused.status, 429);
    let mut waits = Client::new(addr);
    waits.send_post(CHAT, "", &body);
    let limiter = registry.limiter_for("<b>\"model\"");
    until(|| limiter.snapshot().waiters == 1);

    let mut client = Client::new(addr);
    let status = client.get("/status", "").json();
    assert_eq!(
        (status["open"].as_u64(), status["refused"].as_u64()),
        (Some(2), Some(1))
    );
    let limiter = &status["limiters"][0];
    assert_eq!(limiter["model"], "<b>\"model\"");
    assert_eq!(limiter["waiters"][0]["priority"], "interactive");
    assert!(
        limiter["limits"]["quotas"][0]["level"].is_i64(),
        "{limiter}"
    );
    assert_eq!(status["last_refusals"][0]["code"], "deadline_before_turn");
    let page = client.get("/status", "Accept: text/html\r\n");
    let text = String::from_utf8(page.body).unwrap();
    assert!(
        text.contains("&lt;b&gt;") && !text.contains("<b>"),
        "{text}"
    );
    let metrics = String::from_utf8(client.get("/metrics", "").body).unwrap();
    let label = "model=\"<b>\\\"model\\\"\"} 1";
    assert!(metrics.contains(label), "{metrics}");
    assert!(metrics.contains("paceline_refused_total 1\n"), "{metrics}");
    for said in [status.to_string(), text, metrics] {
        assert!(!said.contains(KEY), "{said}");
    }
}
