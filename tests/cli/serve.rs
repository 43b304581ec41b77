//! `serve`: a gateway as a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use paceline::sim::{SimConfig, SimLimits, Simulator};

use crate::harness::{Folder, KEY, chat, simulator};

/// A gateway before an API, and where it listens.
fn serve(base_url: &str, flags: &[&str]) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_paceline"))
        .args(["serve", "--listen", "127.0.0.1:0", "--base-url", base_url])
        .args(flags)
        .env("OPENAI_API_KEY", KEY)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("http://").unwrap();
    let address = address.strip_suffix("/v1").unwrap().to_owned();
    (child, address)
}

fn post(address: &str) -> TcpStream {
    let line: serde_json::Value = serde_json::from_str(&chat("a", "gpt-4o-mini")).unwrap();
    let body = line["body"].to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_signal_drains_it_and_it_says_no_key() {
    let config = SimConfig::new().default_limits(SimLimits::default());
    let slow = Simulator::start(config.latency(Duration::from_millis(500))).unwrap();
    let (child, address) = serve(&slow.base_url(), &["-v"]);
    let stream = post(&address);
    while slow.report().most_in_flight == 0 {
        std::thread::yield_now();
    }
    signal(&child, "-TERM");
    let said = answer(stream);
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("draining") && !said.contains(KEY), "{said}");
}

#[test]
fn a_server_that_hangs_holds_up_no_end() {
    let config = SimConfig::new().fault(paceline::sim::Fault::Hang, 1.0);
    let hangs = Simulator::start(config).unwrap();
    let (child, address) = serve(&hangs.base_url(), &["--grace", "0.1"]);
    let stream = post(&address);
    while hangs.report().most_in_flight == 0 {
        std::thread::yield_now();
    }
    signal(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!answer(stream).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_port_that_is_taken_and_an_address_that_others_reach_are_wrong_usage() {
    let api = simulator();
    let taken = api.addr().to_string();
    for (listen, expected) in [
        (taken.as_str(), taken.as_str()),
        ("0.0.0.0:0", "spend the key"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_paceline"))
            .args(["serve", "--listen", listen, "--base-url", &api.base_url()])
            .env("OPENAI_API_KEY", KEY)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{listen}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn clients_stand_in_the_configuration_and_mistakes_are_named_with_their_place() {
    let api = simulator();
    let folder = Folder::new();
    folder.write("key.txt", "clients-key-77\n");
    let sha = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";
    let good = format!(
        "[serve]\nmax-body = \"1M\"\n[[client]]\nname = \"a\"\nkey_file = \"key.txt\"\n\
         [[client]]\nname = \"b\"\nkey_sha256 = \"{sha}\"\npriority = \"batch\"\n"
    );
    folder.write("good.toml", good);
    let config = folder.path("good.toml").display().to_string();
    let (mut child, address) = serve(&api.base_url(), &["--config", &config]);
    assert!(answer(post(&address)).starts_with("HTTP/1.1 401"));
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    for (text, expected) in [
        (
            "[[client]]\nname = \"a\"\n",
            "bad.toml:1: a client needs key_sha256 or key_file",
        ),
        (
            "[[client]]\nname = \"a\"\nkey_sha256 = \"12\"\n",
            "bad.toml:3: client a: key_sha256",
        ),
        (
            "[[client]]\nname = \"a\"\nkey = \"s3cret\"\n",
            "bad.toml:3: a client has no \"key\"",
        ),
        (
            "[[client]]\nname = \"a\"\nkey_file = \"none\"\n",
            "bad.toml:3: key_file",
        ),
        ("client = 1\n", "bad.toml:1: clients stand in tables"),
    ] {
        folder.write("bad.toml", text);
        let run = folder
            .paceline([
                "serve",
                "--config",
                "bad.toml",
                "--base-url",
                &api.base_url(),
            ])
            .ends_with(2);
        run.says(&[expected]);
    }
}
