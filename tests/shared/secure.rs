//! Passwords, users, TLS: they work, and nobody sees them.

use std::process::Command;
use std::sync::Mutex;

use paceline::{Cost, OnStoreOutage, RateLimiter, SharedStore};
use tempfile::TempDir;

use super::server::{Server, free_port, skip};
use super::support::tokens;

const SECRET: &str = "Zq81xT0p-hunter2";
const USER: &str = "otto-the-user";

#[test]
fn passwords_and_users_are_honoured_and_never_shown() {
    let word = format!(">{SECRET}");
    let user = ["--user", USER, "on", &word, "~p:*", "+@all"];
    let Some(server) = Server::with(&[&["--requirepass", SECRET], &user[..]].concat()) else {
        return;
    };
    let log = Mutex::new(String::new());
    let check = |builder: paceline::SharedStoreBuilder| {
        let builder = builder.on_outage(OnStoreOutage::Fail).prefix("p:");
        let shown = format!("{builder:?}");
        let store = builder.build().unwrap();
        let limiter = RateLimiter::builder(tokens(1_000)).share(&store, "m");
        let shown = format!("{shown} {store:?} {limiter:?}");
        let checked = store.check().map_err(|error| format!("{error} {error:?}"));
        let granted = limiter.build().acquire(Cost::tokens(1)).map(drop);
        let granted = granted.map_err(|error| format!("{error} {error:?}"));
        log.lock()
            .unwrap()
            .push_str(&format!("{shown} {checked:?} {granted:?}\n"));
        (checked.is_ok(), granted.is_ok())
    };
    let port = server.port();
    let bare = SharedStore::builder(&format!("redis://127.0.0.1:{port}"));
    assert_eq!(check(bare.clone()), (false, false), "no password");
    assert_eq!(
        check(bare.clone().password("wrong-swordfish")),
        (false, false)
    );
    assert_eq!(check(bare.clone().password(SECRET)), (true, true));
    assert_eq!(check(bare.username(USER).password(SECRET)), (true, true));
    let url = format!("redis://{USER}:{SECRET}@127.0.0.1:{port}");
    assert_eq!(check(SharedStore::builder(&url)), (true, true));
    let log = log.into_inner().unwrap();
    for secret in [SECRET, USER, "swordfish"] {
        assert!(!log.contains(secret), "{secret} is shown: {log}");
    }
}

/// A certificate of an authority of our own for 127.0.0.1, if there is an `openssl` to make it.
fn certificates(folder: &TempDir) -> Option<[String; 3]> {
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let [ca, ca_key, key, request, certificate, names] =
        ["ca.crt", "ca.key", "key", "csr", "crt", "names"].map(file);
    std::fs::write(
        &names,
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
    )
    .unwrap();
    let run = |words: &[&str]| Command::new("openssl").args(words).output();
    if run(&["version"]).is_err() {
        skip("openssl");
        return None;
    }
    let steps: [&[&str]; 3] = [
        &[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &ca_key, "-out", &ca,
            "-subj", "/CN=ours", "-days", "2",
        ],
        &[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &request,
            "-subj",
            "/CN=127.0.0.1",
        ],
        &[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-CAcreateserial",
            "-out",
            &certificate,
            "-days",
            "2",
            "-extfile",
            &names,
        ],
    ];
    for step in steps {
        let output = run(step).unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Some([ca, certificate, key])
}

/// Whether a store at this URL can be used, by another process: what certificates are trusted is
/// said in its environment.
const TRIES: &str = "PACELINE_TEST_TRIES";

#[test]
fn tries() {
    if let Ok(url) = std::env::var(TRIES) {
        let store = SharedStore::builder(&url)
            .on_outage(OnStoreOutage::Fail)
            .build()
            .unwrap();
        let limiter = RateLimiter::builder(tokens(1_000))
            .share(&store, "m")
            .build();
        println!("\nrefused: {:?}", store.refusal());
        println!("checked: {:?}", store.check());
        println!("granted: {:?}", limiter.acquire(Cost::tokens(1)).map(drop));
    }
}

#[test]
fn tls_is_used_and_strangers_are_not_trusted() {
    let folder = TempDir::new().unwrap();
    let Some([ca, certificate, key]) = certificates(&folder) else {
        return;
    };
    let port = free_port().to_string();
    let tls = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ];
    let Some(_server) = Server::with(&tls) else {
        return;
    };
    let tries = |trusts: &str, scheme: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "secure::tries", "--nocapture"])
            .env(TRIES, format!("{scheme}://127.0.0.1:{port}"))
            .env("SSL_CERT_FILE", trusts)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let trusted = tries(&ca, "rediss");
    assert!(
        trusted.contains("refused: None")
            && trusted.contains("checked: Ok")
            && trusted.contains("granted: Ok"),
        "{trusted}"
    );
    // Its own certificate is no authority's.
    let strange = tries(&certificate, "rediss");
    assert!(
        strange.contains("cannot be used") && strange.contains("StoreDown"),
        "{strange}"
    );
    let is_final = strange.contains("refused: Some");
    assert!(is_final, "no waiting helps: {strange}");
    let plain = tries(&ca, "redis");
    assert!(
        plain.contains("cannot be used") && plain.contains("StoreDown"),
        "{plain}"
    );
}
