//! Threads and connections end.

use super::*;

const HOUR: Duration = Duration::from_secs(60 * 60);
const KEY: &str = "Authorization: Bearer key\r\n";

#[test]
fn dropping_ends_every_thread_whatever_it_is_doing() {
    let simulator = start(SimConfig::new().latency(HOUR));
    let shared = Arc::downgrade(&simulator.shared);

    let mut idle = Client::new(&simulator);
    assert_eq!(idle.get("GET", "/v1/models").status, 200);
    let mut sending = Client::new(&simulator);
    sending.send("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 9\r\n\r\n{");
    let mut waiting = Client::new(&simulator);
    waiting.send_post(CHAT, KEY, &chat(1, 1).to_string());
    // From here on the request sleeps out its hour.
    until(|| simulator.report().admitted == 1);

    let before = clock::now();
    drop(simulator);
    // Left alone, the connections would end by themselves after 75 s.
    assert!(before.elapsed() < Duration::from_secs(60), "not at once");
    // Every thread of the simulator holds this, and lets go of it when it ends.
    assert!(shared.upgrade().is_none(), "a thread is still there");
    assert!(idle.is_closed() && sending.is_closed() && waiting.is_closed());
}

#[test]
fn stopping_wakes_who_waits_keeps_the_report_and_may_be_repeated() {
    let simulator = start(SimConfig::new());
    let mut client = Client::new(&simulator);
    assert_eq!(client.post(CHAT, &chat(1, 1)).status, 200);
    thread::scope(|scope| {
        let waits = scope.spawn(|| simulator.wait());
        scope.spawn(|| simulator.stop());
        simulator.stop();
        waits.join().unwrap();
    });
    simulator.wait();
    assert_eq!(simulator.report().admitted, 1);
    assert!(client.is_closed());
}

#[test]
fn a_port_can_be_asked_for_and_be_taken() {
    let simulator = start(SimConfig::new());
    let port = simulator.addr().port();
    assert_eq!(simulator.base_url(), format!("http://127.0.0.1:{port}/v1"));
    let error = Simulator::start(SimConfig::new().port(port)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    drop(simulator);
    // A port that was just closed is free, unless another test was faster to take it.
    let again = (0..10).any(|_| {
        let port = start(SimConfig::new()).addr().port();
        Simulator::start(SimConfig::new().port(port)).is_ok_and(|it| it.addr().port() == port)
    });
    assert!(again, "no port can be used again");
}

#[test]
fn many_connections_are_open_and_many_requests_in_flight_at_once() {
    // Both sides are in this process, which may have as few as 1,024 file descriptors.
    const CLIENTS: usize = 300;
    let config = SimConfig::new()
        .default_limits(limits(None, None))
        .latency(HOUR);
    let simulator = start(config);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::new(&simulator)).collect();
    for client in &mut clients {
        client.send_post(CHAT, KEY, &chat(1, 1).to_string());
    }
    until(|| simulator.report().admitted == CLIENTS as u64);
    let report = simulator.report();
    assert_eq!(report.most_connections, CLIENTS as u64);
    assert_eq!(report.most_in_flight, CLIENTS as u64);
    simulator.stop();
    assert!(clients.iter_mut().all(Client::is_closed));
}

#[test]
fn closed_connections_are_forgotten() {
    let simulator = start(SimConfig::new());
    for _ in 0..50 {
        let mut client = Client::new(&simulator);
        client.send("GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n");
        assert_eq!(client.answer().status, 401);
    }
    // What is left belongs to the simulator and the thread that starts connections.
    until(|| Arc::strong_count(&simulator.shared) == 2);
    assert_eq!(simulator.report().unauthorized, 50);
}
