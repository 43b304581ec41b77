//! Connections that break, and servers that do not answer.

use std::time::{Duration, Instant};

use paceline::Error;

use super::scripted::{Scripted, Step};
use super::support::{KEY, MILLISECOND, SOON, builder, client, left_by, level, still};

#[test]
fn nobody_listens_and_the_charge_comes_back() {
    // A port below those that the system gives out, of a service that is long forgotten.
    let base_url = "http://127.0.0.1:1/v1";
    let registry = still();
    let client = builder(base_url).registry(registry.clone()).max_retries(0);
    let client = client.build().unwrap();
    let error = client.chat("a").unwrap_err();
    let Error::Transport { url, unsent, .. } = &error else {
        panic!("{error}");
    };
    assert!(unsent, "{error}");
    assert_eq!(*url, format!("{base_url}/chat/completions"));
    let limiter = registry.limiter_for(client.model());
    assert_eq!(level(&limiter), left_by(paceline::Cost::default()));
}

#[test]
fn a_failure_after_sending_keeps_the_charge() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{";
    let table = [
        Step::hang_up(),
        Step::Last(cut.to_owned()),
        Step::Stall,
        Step::Answer(cut.to_owned()),
    ];
    for (step, fault) in table.into_iter().enumerate() {
        let server = Scripted::start([fault]);
        let registry = still();
        let client = builder(server.base_url()).registry(registry.clone());
        let client = client.max_retries(0).timeout(300 * MILLISECOND);
        let client = client.build().unwrap();
        let start = Instant::now();
        let error = client.chat("a").unwrap_err();
        assert!(start.elapsed() < SOON, "step {step}");
        assert!(
            matches!(error, Error::Transport { unsent: false, .. }),
            "step {step}: {error:?}"
        );
        let reserved = paceline::Cost::sized(8, 1_000);
        let limiter = registry.limiter_for(client.model());
        assert_eq!(level(&limiter), left_by(reserved), "step {step}");
    }
}

#[test]
fn endless_timeouts_are_no_timeouts() {
    let server = Scripted::start([Step::chat(1, 1)]);
    let client = builder(server.base_url())
        .timeout(Duration::MAX)
        .connect_timeout(Duration::MAX)
        .retry_for(Duration::MAX);
    assert_eq!(client.build().unwrap().chat("a").unwrap().text(), "fine");
}

#[test]
fn a_server_that_is_none_of_the_api_s_is_quoted_and_not_trusted() {
    let page = "<html>sign in</html>";
    let server = Scripted::start([Step::json(404, &[], page)]);
    let error = client(server.base_url()).chat("a").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the server answered 404: {page}")
    );
    assert!(!error.to_string().contains(KEY));
}
