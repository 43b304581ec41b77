//! A proxy that the environment names. A test cannot change its own environment safely, so the
//! caller is a process of its own.

use std::env;
use std::process::Command;

use super::scripted::{Scripted, Step};
use super::support::builder;

const DIRECT: &str = "PACELINE_TEST_DIRECT";
const CHILD: &str = "proxies::a_caller_with_a_proxy_in_its_environment";

#[test]
fn a_proxy_of_the_environment_is_used_but_not_for_this_machine() {
    let established = "HTTP/1.1 200 Connection established\r\n\r\n";
    let proxy = Scripted::start([Step::Answer(established.to_owned()), Step::chat(1, 1)]);
    let direct = Scripted::start([Step::chat(1, 1)]);
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored"])
        .env("ALL_PROXY", proxy.base_url())
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env(DIRECT, direct.base_url())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(output.contains("1 passed"), "{output}");
    let lines = |server: &Scripted| -> Vec<String> {
        let requests = server.requests().into_iter();
        requests.map(|request| request.line).collect()
    };
    let post = "POST /v1/chat/completions HTTP/1.1";
    assert_eq!(lines(&proxy), ["CONNECT api.test:80 HTTP/1.1", post]);
    assert_eq!(lines(&direct), [post]);
}

#[test]
#[ignore = "run by the test above, with a proxy in its environment"]
fn a_caller_with_a_proxy_in_its_environment() {
    let Ok(direct) = env::var(DIRECT) else {
        return; // somebody runs all ignored tests
    };
    for base_url in [direct.as_str(), "http://api.test/v1"] {
        let client = builder(base_url).max_retries(0).build().unwrap();
        assert_eq!(client.chat("a").unwrap().text(), "fine", "{base_url}");
    }
}
