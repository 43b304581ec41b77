//! Who may ask.

use std::net::Ipv4Addr;

use paceline::RateLimitedClient;
use paceline::gateway::GatewayClient;

use crate::harness::*;

#[test]
fn foreign_names_and_pages_are_refused_before_anything_is_sent() {
    let simulator = free_simulator();
    let gateway = builder(upstream(&simulator.base_url(), unlimited()))
        .start()
        .unwrap();
    for (headers, status) in [
        ("Host: evil.example\r\n", 403),
        ("", 403),
        ("Host: localhost\r\nOrigin: https://evil.example\r\n", 403),
        ("Host: localhost\r\nOrigin: http://localhost:3000\r\n", 200),
        (
            "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
            501,
        ),
    ] {
        let mut client = Client::new(gateway.local_addr());
        client.send(format!("GET /v1/models HTTP/1.1\r\n{headers}\r\n"));
        let answer = client.answer();
        assert_eq!(answer.status, status, "{headers}: {answer:?}");
    }
    let mut client = Client::new(gateway.local_addr());
    assert_eq!(client.get("/elsewhere", "").status, 404);
    client.send("OPTIONS /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.answer().status, 405);
    assert_eq!(simulator.report().received, 1);
}

#[test]
fn it_does_not_start_where_others_could_spend_the_key() {
    let upstream = upstream("http://127.0.0.1:9/v1", unlimited());
    let refused = builder(upstream).listen((Ipv4Addr::UNSPECIFIED, 0)).start();
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("spend the key"), "{message}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let started = builder(upstream("http://127.0.0.1:9/v1", unlimited()))
        .listen(addr)
        .start();
    let message = started.unwrap_err().to_string();
    assert!(message.contains(&addr.to_string()), "{message}");
}

#[test]
fn no_key_is_printed() {
    let upstream = upstream("http://127.0.0.1:9/v1", unlimited());
    let settings = builder(upstream.clone());
    let gateway = settings.clone().start().unwrap();
    let printed = format!("{settings:?} {gateway:?}");
    assert!(!printed.contains(KEY), "{printed}");
}

#[test]
fn clients_are_known_by_their_keys_which_go_no_further() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    let canned = canned(vec![says(ok)]);
    let client = GatewayClient::with_key("team", "team-key-0123456789");
    // With keys it may listen for others.
    let gateway = builder(upstream(&canned.base_url, unlimited()))
        .client(client.clone())
        .listen((Ipv4Addr::UNSPECIFIED, 0))
        .start()
        .unwrap();
    let addr = (Ipv4Addr::LOCALHOST, gateway.local_addr().port()).into();
    for header in ["", "Authorization: Bearer wrong\r\n"] {
        let answer = Client::new(addr).post(CHAT, header, &chat(1).to_string());
        assert_eq!(answer.status, 401, "{header}");
        assert_eq!(answer.json()["error"]["code"], "invalid_api_key");
    }
    let header = "Authorization: Bearer team-key-0123456789\r\n";
    let answer = Client::new(addr).post(CHAT, header, &chat(1).to_string());
    assert_eq!(answer.status, 200);
    let seen = canned.seen.recv_timeout(SOON).unwrap();
    let seen = String::from_utf8(seen).unwrap();
    assert!(seen.contains(KEY) && !seen.contains("team-key"), "{seen}");

    let keyless = RateLimitedClient::builder()
        .base_url("http://127.0.0.1:9/v1")
        .api_key_env("PACELINE_TEST_NO_SUCH_KEY")
        .registry(registry(unlimited()));
    let refused = builder(keyless).client(client).start().unwrap_err();
    assert!(
        refused.to_string().contains("the provider's key"),
        "{refused}"
    );
}
