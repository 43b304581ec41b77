//! What goes wrong, as clients see it.

use std::io::Read;

use super::*;

const KEY: &str = "Authorization: Bearer key\r\n";

fn always(fault: Fault) -> Simulator {
    start(SimConfig::new().fault(fault, 1.0))
}

/// Everything that comes until the connection ends.
fn rest(client: &mut Client) -> String {
    let mut text = String::new();
    client.stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn faults_before_the_limits_charge_nothing() {
    // fault, status, retry-after
    let table = [
        (Fault::ServerError, 500, None),
        (Fault::Overloaded, 503, None),
        (Fault::OverloadedForASecond, 503, Some("1")),
    ];
    for (step, (fault, status, retry_after)) in table.into_iter().enumerate() {
        let simulator = start(SimConfig::new().fault(fault, 1.0).retry_after(false));
        let mut client = Client::new(&simulator);
        for _ in 0..2 {
            let answer = client.post(CHAT, &chat(1, 1));
            assert_eq!(answer.status, status, "step {step}");
            assert_eq!(answer.header("retry-after"), retry_after, "step {step}");
            assert_eq!(answer.error("type"), "server_error", "step {step}");
        }
        let report = simulator.report();
        assert_eq!((report.received, report.admitted), (2, 0), "step {step}");
        assert_eq!(report.tokens_charged, 0, "step {step}");
        assert_eq!(report.bad_requests, 0, "step {step}");
        assert_eq!(report.faults, [(fault, 2)].into(), "step {step}");
        assert_eq!(client.get("GET", "/v1/models").status, 200, "step {step}");
    }
}

#[test]
fn a_connection_drops_before_and_in_the_middle_of_an_answer() {
    for fault in [Fault::Drop, Fault::DropMidway] {
        for stream in [false, true] {
            let simulator = always(fault);
            let mut client = Client::new(&simulator);
            let mut body = chat(10, 200);
            body["stream"] = json!(stream);
            client.send_post(CHAT, KEY, &body.to_string());
            let text = rest(&mut client);
            let case = format!("{fault:?}, stream {stream}: {text}");
            if fault == Fault::Drop {
                assert_eq!(text, "", "{case}");
            } else {
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                assert!(head.starts_with("HTTP/1.1 200"), "{case}");
                let length = head
                    .lines()
                    .find_map(|it| it.strip_prefix("Content-Length: "));
                let length = length.map_or(usize::MAX, |it| it.parse().unwrap());
                assert!((1..length).contains(&body.len()), "{case}");
                assert!(!body.ends_with("0\r\n\r\n"), "{case}");
            }
            let report = simulator.report();
            assert_eq!((report.admitted, report.tokens_charged), (1, 210), "{case}");
            assert_eq!(report.faults, [(fault, 1)].into(), "{case}");
        }
    }
}

#[test]
fn truncated_json_is_well_framed_and_the_connection_goes_on() {
    let simulator = always(Fault::TruncatedJson);
    let mut client = Client::new(&simulator);
    for stream in [false, true, false] {
        let mut body = chat(10, 20);
        body["stream"] = json!(stream);
        let answer = client.post(CHAT, &body);
        assert_eq!(answer.status, 200, "stream {stream}");
        let text = String::from_utf8(answer.body).unwrap();
        let last = text.trim_end().rsplit("data: ").next().unwrap();
        assert!(last.starts_with('{'), "stream {stream}: {text}");
        let read: Result<Value, _> = serde_json::from_str(last);
        assert!(read.is_err(), "stream {stream}: {text}");
    }
    let report = simulator.report();
    assert_eq!((report.admitted, report.most_connections), (3, 1));
}

#[test]
fn a_request_hangs_until_the_client_gives_up_or_the_simulator_stops() {
    let simulator = always(Fault::Hang);
    let mut gives_up = Client::new(&simulator);
    gives_up.send_post(CHAT, KEY, &chat(1, 1).to_string());
    let mut waits = Client::new(&simulator);
    waits.send_post(CHAT, KEY, &chat(2, 1).to_string());
    until(|| simulator.report().faults == [(Fault::Hang, 2)].into());
    // Every thread of the simulator holds this, and lets go of it when it ends.
    let both = Arc::strong_count(&simulator.shared);
    drop(gives_up);
    until(|| Arc::strong_count(&simulator.shared) < both);
    assert_eq!(simulator.report().admitted, 2);
    drop(simulator);
    assert_eq!(rest(&mut waits), "");
}

/// The statuses that each of some bodies gets, sent round after round in this order.
fn statuses(seed: u64, order: &[usize]) -> Vec<Vec<u16>> {
    let config = SimConfig::new()
        .default_limits(limits(None, None))
        .seed(seed)
        .fault(Fault::ServerError, 0.3)
        .fault(Fault::Overloaded, 0.2);
    let simulator = start(config);
    let mut client = Client::new(&simulator);
    let mut found = vec![Vec::new(); order.len()];
    for _ in 0..20 {
        for prompt in order {
            found[*prompt].push(client.post(CHAT, &chat(prompt + 1, 1)).status);
        }
    }
    found
}

#[test]
fn the_seed_the_body_and_its_turn_decide_and_the_order_does_not() {
    let found = statuses(1, &[0, 1, 2, 3, 4, 5]);
    assert_eq!(found, statuses(1, &[3, 5, 1, 0, 2, 4]));
    assert_ne!(found, statuses(2, &[0, 1, 2, 3, 4, 5]));
    assert_ne!(found[0], found[1]);
    // A retry can succeed, and fail.
    for (step, statuses) in found.iter().enumerate() {
        for status in [200, 500] {
            assert!(statuses.contains(&status), "body {step}: no {status}");
        }
    }
    let count = |status| found.iter().flatten().filter(|it| **it == status).count();
    let counts = [200, 500, 503].map(count);
    assert_eq!(counts.iter().sum::<usize>(), 120);
    // 60, 36 and 24 on average; the seed keeps them the same for ever.
    let near = |found: usize, mean: usize| found.abs_diff(mean) <= 20;
    assert!(near(counts[0], 60) && near(counts[1], 36), "{counts:?}");
    assert!(near(counts[2], 24), "{counts:?}");
}
