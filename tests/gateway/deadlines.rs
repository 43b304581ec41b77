//! Waits that make no sense are refused at once.

use paceline::{Limits, Unit};

use crate::harness::*;

/// One request a day.
fn once() -> Limits {
    Limits::builder()
        .per_day(Unit::Requests, 1)
        .build()
        .unwrap()
}

#[test]
fn a_wait_beyond_the_caller_s_time_out_is_refused_with_the_prediction() {
    let simulator = free_simulator();
    let gateway = builder(upstream(&simulator.base_url(), once()))
        .start()
        .unwrap();
    let mut client = Client::new(gateway.local_addr());
    assert_eq!(client.post(CHAT, "", &chat(1).to_string()).status, 200);
    for header in [
        "x-stainless-read-timeout: 5\r\n",
        "x-paceline-deadline: 5\r\n",
    ] {
        let answer = client.post(CHAT, header, &chat(1).to_string());
        assert_eq!(answer.status, 429);
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!(wait > 80_000, "{wait}");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        let error = &answer.json()["error"];
        assert_eq!(error["code"], "deadline_before_turn");
        assert!(
            error["predicted_wait_seconds"].as_f64().unwrap() > 80_000.0,
            "{error}"
        );
        assert!(
            error["limit"].as_str().unwrap().contains("per day"),
            "{error}"
        );
    }
    let anthropic = client.post(
        "/v1/messages",
        "x-paceline-deadline: 5\r\n",
        &chat(1).to_string(),
    );
    assert_eq!(anthropic.json()["error"]["type"], "rate_limit_error");
    let wrong = client.post(CHAT, "x-paceline-deadline: soon\r\n", &chat(1).to_string());
    assert_eq!(wrong.status, 400);
    assert_eq!(simulator.report().received, 1);
}
