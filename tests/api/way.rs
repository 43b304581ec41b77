//! The way to the server: what fails on it is named by its step and in plain words, and whether
//! anything of the request has left is known.

use std::env;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use paceline::{Error, TransportKind};

use super::scripted::{Scripted, Step};
use super::support::{KEY, MILLISECOND, builder};

/// What one try without retries fails with: kind, message, and whether nothing has left.
fn failure(base_url: &str) -> (TransportKind, String, bool) {
    let client = builder(base_url).max_retries(0).timeout(500 * MILLISECOND);
    match client.build().unwrap().chat("a").unwrap_err() {
        Error::Transport {
            kind,
            message,
            unsent,
            ..
        } => (kind, message, unsent),
        other => panic!("{base_url}: {other}"),
    }
}

#[test]
fn what_fails_on_the_way_is_named_by_its_step() {
    use TransportKind::{Connect, Disconnected, Dns, Other, Timeout, Tls};
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{";
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\"";
    let bad_chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n";
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let secure = format!("https://{}/v1", plain.local_addr().unwrap());
    thread::spawn(move || {
        let (mut client, _) = plain.accept().unwrap();
        let _ = client.read(&mut [0; 1_000]);
        let _ = client.write_all(b"HTTP/1.1 400 Bad\r\n\r\n");
        let _ = client.read_to_end(&mut Vec::new());
    });
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("https://{}/v1", silent.local_addr().unwrap());
    let scripted: Vec<(Scripted, _, _)> = [
        (Step::hang_up(), Disconnected, "connection closed before"),
        (
            Step::Last(cut.to_owned()),
            Disconnected,
            "connection closed before",
        ),
        (
            Step::Last(chunk.to_owned()),
            Disconnected,
            "connection closed before",
        ),
        (
            Step::Last(bad_chunk.to_owned()),
            Disconnected,
            "broken in the middle",
        ),
        (
            Step::Last("\x15\x03\x01\x00\x02\x02\x16".to_owned()),
            Other,
            "is it https://?",
        ),
        (Step::Stall, Timeout, "no whole response within 500.0 ms"),
    ]
    .map(|(step, kind, said)| (Scripted::start([step]), kind, said))
    .into();
    let mut table = vec![
        // A port below those that the system gives out, of a service that is long forgotten.
        (
            "http://127.0.0.1:1/v1".to_owned(),
            Connect,
            "connection refused",
            true,
        ),
        (
            "http://no-such-host.invalid/v1".to_owned(),
            Dns,
            "cannot resolve host no-such-host.invalid",
            true,
        ),
        (secure, Tls, "is it http://?", true),
        (silent, Connect, "no TLS handshake within 500.0 ms", true),
    ];
    for (server, kind, said) in &scripted {
        table.push((server.base_url(), *kind, said, false));
    }
    for (step, (base_url, kind, said, unsent)) in table.into_iter().enumerate() {
        let found = failure(&base_url);
        assert_eq!((found.0, found.2), (kind, unsent), "step {step}: {found:?}");
        assert!(found.1.contains(said), "step {step}: {found:?}");
        assert!(!found.1.contains("os error"), "step {step}: {found:?}");
    }
}

#[test]
fn a_response_that_is_packed_or_a_redirect_is_read_or_told() {
    let moved = "Location: https://u:p@other.test/llm/chat/completions?key=s3cret";
    let server = Scripted::start([
        Step::json(308, &[moved], "<html>moved</html>"),
        Step::json(200, &["Content-Encoding: br"], "\u{0}\u{1}\u{2}"),
        Step::json(
            200,
            &["Content-Encoding: gzip"],
            "{\"unpacked\": \"on its way\"}",
        ),
    ]);
    let client = builder(server.base_url()).max_retries(0).build().unwrap();
    let asked = || client.post("/v1/chat/completions", &serde_json::json!({"messages": []}));
    let redirected = asked().unwrap_err().to_string();
    let advice = "redirected to https://other.test/llm/chat/completions, which is not followed; if \
                  that is right, make the base URL https://other.test/llm";
    assert!(redirected.contains(advice), "{redirected}");
    assert!(!redirected.contains("s3cret"), "{redirected}");
    let foreign = asked().unwrap_err();
    assert!(
        foreign.to_string().contains("compressed with br"),
        "{foreign}"
    );
    assert!(
        matches!(foreign, Error::InvalidResponse { .. }),
        "{foreign:?}"
    );
    drop(asked());
    let requests = server.requests();
    assert_eq!(requests.len(), 3, "a redirect is not followed");
    let plain = "accept-encoding: identity".to_owned();
    for request in requests {
        let headers: Vec<String> = request.headers.iter().map(|it| it.to_lowercase()).collect();
        assert!(headers.contains(&plain), "{headers:?}");
    }
}

/// Runs one of the tests below as a process of its own, whose standard output is returned.
fn child(name: &str, script: &str, environment: &[(&str, &str)]) -> String {
    let executable = env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{script} exec \"$@\""), "sh"])
        .arg(executable)
        .args([
            "--exact",
            name,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .stdin(Stdio::null());
    for (name, value) in environment {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

const ASKED: &str = "PACELINE_TEST_ASKED";

#[test]
#[ignore = "run by the tests below, with an environment of its own"]
fn a_caller_in_an_environment() {
    let Ok(base_url) = env::var(ASKED) else {
        return; // somebody runs all ignored tests
    };
    let client = builder(base_url)
        .max_retries(0)
        .timeout(5 * Duration::from_secs(1));
    match client.build().map(|client| client.chat("a")) {
        Ok(Ok(answer)) => println!("\nfound: {}", answer.text()),
        Ok(Err(error)) => println!("\nfound: {error:?}"),
        Err(error) => println!("\nfound: {error:?}"),
    }
}

fn asked(base_url: &str, environment: &[(&str, &str)]) -> String {
    let environment = [&[(ASKED, base_url)], environment].concat();
    child("way::a_caller_in_an_environment", "", &environment)
}

#[test]
fn failures_of_a_proxy_name_it_without_its_password() {
    let refused = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    let forbidden = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let servers = [
        Scripted::start([Step::Last(refused.to_owned())]),
        Scripted::start([Step::Last(forbidden.to_owned())]),
        Scripted::start([Step::hang_up()]),
    ];
    let at = |server: &Scripted| server.base_url().replace("/v1", "").replace("http://", "");
    let [wants, forbids, silent] = servers.each_ref().map(at);
    let table = [
        (
            "http://u:s3cret@127.0.0.1:1",
            "proxy http://127.0.0.1:1: connection refused",
        ),
        (
            "socks5://u:s3cret@127.0.0.1:1",
            "proxy socks5://127.0.0.1:1: connection refused",
        ),
        (
            "http://u:s3cret@no-such-proxy.invalid:3128",
            "proxy http://no-such-proxy.invalid:3128: cannot resolve host no-such-proxy.invalid",
        ),
        (
            &format!("http://u:s3cret@{wants}"),
            &format!("proxy http://{wants}: it answers 407"),
        ),
        (
            &format!("http://u:s3cret@{forbids}"),
            &format!("proxy http://{forbids}: it answers 403"),
        ),
        (
            &format!("http://u:s3cret@{silent}"),
            &format!("proxy http://{silent}: "),
        ),
    ];
    for (proxy, expected) in table {
        let found = asked("http://192.0.2.1/v1", &[("http_proxy", proxy)]);
        assert!(found.contains(expected), "{proxy}: {found}");
        assert!(found.contains("kind: Proxy"), "{proxy}: {found}");
        assert!(found.contains("unsent: true"), "{proxy}: {found}");
        assert!(
            !found.contains("s3cret") && !found.contains(KEY),
            "{proxy}: {found}"
        );
    }
    let refused = asked(
        "http://api.test/v1",
        &[("ALL_PROXY", "ftp://u:s3cret@p:21")],
    );
    assert!(
        refused.contains("ALL_PROXY: ") && refused.contains("ftp://p:21"),
        "{refused}"
    );
    assert!(!refused.contains("s3cret"), "{refused}");
}

#[test]
fn a_socks_proxy_is_spoken_to_and_resolves_the_host() {
    let server = Scripted::start([Step::chat(1, 1)]);
    let port: u16 = server.base_url().rsplit(':').next().unwrap()[..]
        .trim_end_matches("/v1")
        .parse()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("socks5h://{}", listener.local_addr().unwrap());
    let asked_for = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut greeting = [0; 3];
        client.read_exact(&mut greeting).unwrap();
        client.write_all(&[5, 0]).unwrap();
        let mut head = [0; 5];
        client.read_exact(&mut head).unwrap();
        let mut rest = vec![0; usize::from(head[4]) + 2];
        client.read_exact(&mut rest).unwrap();
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        let mut up = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), up.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut up, &mut client);
        String::from_utf8_lossy(&rest[..rest.len() - 2]).into_owned()
    });
    let found = asked("http://api.invalid/v1", &[("all_proxy", &proxy)]);
    assert!(found.contains("found: fine"), "{found}");
    drop(server);
    assert_eq!(asked_for.join().unwrap(), "api.invalid");
}

#[test]
fn certificates_that_are_named_and_not_there_are_refused_before_anything_is_sent() {
    let found = asked(
        "https://api.test/v1",
        &[("SSL_CERT_FILE", "/no/such/file.pem")],
    );
    assert!(
        found.contains("message: \"SSL_CERT_FILE: /no/such/file.pem: "),
        "{found}"
    );
    // Where none is needed none is read.
    let found = asked(
        "http://127.0.0.1:1/v1",
        &[("SSL_CERT_FILE", "/no/such/file.pem")],
    );
    assert!(found.contains("connection refused"), "{found}");
}

#[cfg(unix)]
#[test]
fn exhaustion_on_this_side_is_called_so() {
    let found = child("way::a_caller_without_descriptors", "ulimit -n 40;", &[]);
    assert_eq!(found.matches("kind: Resources").count(), 2, "{found}");
}

#[test]
#[ignore = "run by the test above, with few descriptors"]
fn a_caller_without_descriptors() {
    // Set up, so that what fails is the connection.
    let clients = ["http://127.0.0.1:1/v1", "http://localhost:1/v1"];
    let clients = clients.map(|url| builder(url).max_retries(0).build().unwrap());
    let mut held = Vec::new();
    // Again and again: what other threads of the process held for a moment is free then.
    for _ in 0..1_000 {
        match File::open("/dev/null") {
            Ok(file) if held.len() < 100 => held.push(file),
            Ok(_) => break,
            Err(_) => thread::yield_now(),
        }
    }
    if held.len() == 100 {
        return; // somebody runs all ignored tests
    }
    let found = clients.map(|client| format!("{:?}", client.chat("a").unwrap_err()));
    drop(held);
    println!("\n{found:?}");
}

#[test]
fn what_the_system_said_is_the_source() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = builder(format!("http://{closed}/v1"))
        .max_retries(0)
        .build()
        .unwrap();
    let error = client.chat("a").unwrap_err();
    let source =
        std::error::Error::source(&error).and_then(|it| it.downcast_ref::<std::io::Error>());
    assert_eq!(
        source.map(std::io::Error::kind),
        Some(std::io::ErrorKind::ConnectionRefused)
    );
}
