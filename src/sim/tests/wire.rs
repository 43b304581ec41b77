//! HTTP, well and badly spoken.

use std::net::Shutdown;

use super::*;

const KEY: &str = "Authorization: Bearer key\r\n";

#[test]
fn one_connection_serves_many_requests_also_pipelined() {
    let simulator = start(SimConfig::new());
    let mut client = Client::new(&simulator);
    for step in 0..5 {
        assert_eq!(client.post(CHAT, &chat(1, 1)).status, 200, "step {step}");
    }
    let body = chat(1, 1).to_string();
    let length = body.len();
    let one = format!("POST {CHAT} HTTP/1.1\r\n{KEY}Content-Length: {length}\r\n\r\n{body}");
    client.send(one.repeat(3));
    for step in 0..3 {
        let answer = client.answer();
        assert_eq!(answer.status, 200, "step {step}");
        assert_eq!(
            answer.header("connection"),
            Some("keep-alive"),
            "step {step}"
        );
    }
    let report = simulator.report();
    assert_eq!((report.received, report.most_connections), (8, 1));
}

#[test]
fn a_connection_closes_when_it_should() {
    let simulator = start(SimConfig::new());
    // version, header, closes
    let table = [
        ("HTTP/1.1", "Connection: close\r\n", true),
        ("HTTP/1.1", "Connection: TE, Close\r\n", true),
        ("HTTP/1.1", "Connection: keep-alive\r\n", false),
        ("HTTP/1.0", "", true),
        ("HTTP/1.0", "Connection: keep-alive\r\n", false),
    ];
    for (step, (version, header, closes)) in table.into_iter().enumerate() {
        let mut client = Client::new(&simulator);
        client.send(format!("GET /v1/models {version}\r\n{KEY}{header}\r\n"));
        let answer = client.answer();
        assert_eq!(answer.status, 200, "step {step}");
        let said = answer.header("connection") == Some("close");
        assert_eq!(said, closes, "step {step}");
        if closes {
            assert!(client.is_closed(), "step {step}");
        } else {
            assert_eq!(client.get("GET", "/v1/models").status, 200, "step {step}");
        }
    }
}

#[test]
fn bodies_may_come_in_chunks_and_bytes_one_by_one() {
    let simulator = start(SimConfig::new());
    let mut client = Client::new(&simulator);
    let body = chat(10, 1).to_string();
    let (front, back) = body.split_at(20);
    let head = format!("POST {CHAT} HTTP/1.1\r\n{KEY}Transfer-Encoding: chunked\r\n\r\n");
    let request = format!(
        "{head}{:x};ext=1\r\n{front}\r\n{:X}\r\n{back}\r\n0\r\nTrailer: x\r\n\r\n",
        front.len(),
        back.len()
    );
    client.send(&request);
    assert_eq!(client.answer().json()["usage"]["prompt_tokens"], 10);
    for byte in request.bytes() {
        client.send([byte]);
    }
    assert_eq!(client.answer().json()["usage"]["prompt_tokens"], 10);
}

#[test]
fn leave_to_send_the_body_is_given_but_not_for_one_that_is_too_large() {
    let simulator = start(SimConfig::new());
    let mut client = Client::new(&simulator);
    let body = chat(1, 1).to_string();
    let head = |length| {
        format!(
            "POST {CHAT} HTTP/1.1\r\n{KEY}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    client.send(head(body.len()));
    assert_eq!(client.answer().status, 100);
    client.send(&body);
    assert_eq!(client.answer().status, 200);
    client.send(head(33 << 20));
    assert_eq!(client.answer().status, 413);
    assert!(client.is_closed());
}

#[test]
fn a_client_that_is_still_sending_too_much_hears_why() {
    let simulator = start(SimConfig::new());
    let mut client = Client::new(&simulator);
    let mut body = vec![b' '; 33 << 20];
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    body.splice(0..0, head.into_bytes());
    client.send(body);
    assert_eq!(client.answer().status, 413);
}

#[test]
fn other_paths_and_methods_are_refused_and_the_connection_goes_on() {
    let simulator = start(SimConfig::new());
    let mut client = Client::new(&simulator);
    // method, path, status, allowed
    let table = [
        ("GET", "/", 404, None),
        ("GET", "/v1", 404, None),
        ("POST", "/v1/images/generations", 404, None),
        ("GET", CHAT, 405, Some("POST")),
        ("DELETE", "/v1/models", 405, Some("GET")),
        ("GET", "/v1/models", 200, None),
    ];
    for (step, (method, path, status, allowed)) in table.into_iter().enumerate() {
        let answer = client.get(method, path);
        assert_eq!(answer.status, status, "step {step}");
        assert_eq!(answer.header("allow"), allowed, "step {step}");
        if status >= 400 {
            assert!(answer.error("message").is_string(), "step {step}");
        }
    }
    client.send(format!("HEAD {CHAT} HTTP/1.1\r\n\r\n"));
    client.stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    io::Read::read_to_string(&mut client.stream, &mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 405"), "{text}");
    assert!(text.ends_with("\r\n\r\n"), "no body: {text}");
}

#[test]
fn what_is_not_http_is_refused_and_the_server_lives() {
    let simulator = start(SimConfig::new());
    let post = format!("POST {CHAT} HTTP/1.1\r\n{KEY}");
    let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
    let table: [(Vec<u8>, u16); 13] = [
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            400,
        ), // TLS
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 400),
        (b"hello\r\n\r\n".to_vec(), 400),
        (b"GET  HTTP/1.1\r\n\r\n".to_vec(), 400),
        (format!("{post}No colon\r\n\r\n").into_bytes(), 400),
        (format!("{post}Content-Length: x\r\n\r\n").into_bytes(), 400),
        (
            format!("{post}Transfer-Encoding: gzip\r\n\r\n").into_bytes(),
            501,
        ),
        (format!("{chunked}zz\r\n").into_bytes(), 400),
        (format!("{chunked}2\r\nabcd\r\n").into_bytes(), 400),
        (format!("{chunked}ffffffffffffffff\r\n").into_bytes(), 413),
        (
            format!("{chunked}1;{}", "x".repeat(5_000)).into_bytes(),
            400,
        ),
        (
            format!("{post}{}\r\n", "A: b\r\n".repeat(101)).into_bytes(),
            431,
        ),
        (format!("{post}A: {}", "b".repeat(70_000)).into_bytes(), 431),
    ];
    let tried = table.len() as u64;
    for (step, (bytes, status)) in table.into_iter().enumerate() {
        let mut client = Client::new(&simulator);
        client.send(bytes);
        let answer = client.answer();
        assert_eq!(answer.status, status, "step {step}");
        assert!(answer.error("message").is_string(), "step {step}");
        assert!(client.is_closed(), "step {step}");
    }
    // Closed in the middle of a request: there is no client to answer.
    for bytes in [
        "",
        "POST /v1",
        &format!("{post}Content-Length: 9\r\n\r\n{{"),
    ] {
        let mut client = Client::new(&simulator);
        client.send(bytes);
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert!(client.is_closed(), "{bytes}");
    }
    let mut client = Client::new(&simulator);
    assert_eq!(client.post(CHAT, &chat(1, 1)).status, 200);
    assert_eq!(simulator.report().bad_requests, tried);
}
