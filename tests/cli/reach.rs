//! The way out as the command has it: base URLs, headers, keys, certificates.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::harness::{Folder, KEY, chats};

const ANSWER: &str = r#"{"choices":[{"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;

/// A server that answers every request well, and keeps their heads.
struct Recording {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Recording {
    fn start() -> Self {
        Self::serving(|stream| Box::new(stream))
    }

    fn serving(wrap: impl Fn(TcpStream) -> Box<dyn Both> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = Arc::default();
        let (kept, wrap) = (Arc::clone(&heads), Arc::new(wrap));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, wrap) = (Arc::clone(&kept), Arc::clone(&wrap));
                thread::spawn(move || answer(wrap(stream), &kept));
            }
        });
        Self { address, heads }
    }

    /// The heads so far, in lower case, which are forgotten.
    fn heads(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().unwrap())
    }
}

trait Both: Read + Write {}

impl<T: Read + Write> Both for T {}

fn answer(stream: Box<dyn Both>, kept: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut line) = (String::new(), String::new());
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            head.push_str(&line.to_ascii_lowercase());
        }
        let length = head.split("content-length: ").nth(1)?;
        let length = length.split('\r').next()?.parse().ok()?;
        reader.read_exact(&mut vec![0; length]).ok()?;
        kept.lock().unwrap().push(head);
        let length = ANSWER.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        let stream = reader.get_mut();
        stream
            .write_all(format!("{head}{ANSWER}").as_bytes())
            .ok()?;
        stream.flush().ok()?;
    }
}

fn bare(folder: &Folder, url: &str) -> super::harness::Cmd {
    let run = folder.paceline(["run", "in.jsonl", "--fresh", "--base-url", url]);
    [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "OPENAI_ORG_ID",
        "OPENAI_PROJECT_ID",
    ]
    .into_iter()
    .fold(run, |run, name| {
        run.env_remove(name).env_remove(&name.to_ascii_lowercase())
    })
}

#[test]
fn a_base_url_is_taken_as_its_provider_writes_it_by_each_command() {
    let server = Recording::start();
    let folder = Folder::with_input(chats(1));
    folder.write("t.csv", "text\nhi\n");
    let table = [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/v1beta/openai", "/v1beta/openai/chat/completions"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        (
            "/openai/deployments/d/?api-version=2024-10-21&key=s3cret-s3cret",
            "/openai/deployments/d/chat/completions?api-version=2024-10-21&key=s3cret-s3cret",
        ),
    ];
    for (base, path) in table {
        let url = format!("http://{}{base}", server.address);
        bare(&folder, &url).ends_with(0);
        let prompts = [
            "run", "t.csv", "--fresh", "--prompt", "{text}", "--model", "m",
        ];
        folder
            .paceline(prompts)
            .args(["--base-url", &url])
            .ends_with(0);
        // It says nothing of limits, so there are none to print.
        let limits = folder.paceline(["limits", "m", "--base-url", &url]);
        let limits = limits.ends_with(1);
        assert!(!limits.stderr.contains("s3cret"), "{}", limits.stderr);
        let heads = server.heads();
        assert_eq!(heads.len(), 3, "{base}");
        for head in heads {
            assert!(
                head.starts_with(&format!("post {path} http/1.1\r\n")),
                "{base}: {head}"
            );
        }
    }
    for name in folder.files() {
        let text = folder.read(&name);
        assert!(!text.contains("s3cret"), "{name}: {text}");
    }
}

#[test]
fn headers_are_sent_and_one_with_a_key_stands_in_for_the_key() {
    let server = Recording::start();
    let url = format!("http://{}/v1", server.address);
    let folder = Folder::with_input(chats(1));
    let run = bare(&folder, &url)
        .args([
            "--header",
            "X-Title=a = b",
            "--header-env",
            "api-key=AZURE_KEY",
        ])
        .env("AZURE_KEY", "azure-s3cret\n")
        .env("OPENAI_ORG_ID", "org-1")
        .env("OPENAI_PROJECT_ID", " ");
    let output = run.ends_with(0);
    assert!(!output.stderr.contains("s3cret"), "{}", output.stderr);
    let head = server.heads().concat();
    for line in [
        "x-title: a = b",
        "api-key: azure-s3cret",
        "openai-organization: org-1",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    for name in ["authorization", "openai-project"] {
        assert!(!head.contains(name), "{name}: {head}");
    }

    let both = bare(&folder, &url)
        .args([
            "--header-env",
            "api-key=AZURE_KEY",
            "--api-key-env",
            "OTHER",
        ])
        .env("AZURE_KEY", "azure-s3cret")
        .env("OTHER", "other-s3cret");
    both.ends_with(0);
    let head = server.heads().concat();
    assert!(
        head.contains("\r\nauthorization: bearer other-s3cret\r\n"),
        "{head}"
    );

    let limits = ["limits", "m", "--base-url", &url, "--header", "x-title=t"];
    folder.paceline(limits).ends_with(1);
    assert!(server.heads().concat().contains("\r\nx-title: t\r\n"));
}

#[test]
fn headers_that_cannot_be_used_are_refused_before_anything_is_sent() {
    let server = Recording::start();
    let url = format!("http://{}/v1", server.address);
    let folder = Folder::with_input(chats(1));
    let table = [
        (
            ["--header", "Authorization=Bearer s3cret"],
            "--header-env authorization=VARIABLE",
        ),
        (
            ["--header", "x-api-key: s3cret"],
            "--header-env x-api-key=VARIABLE",
        ),
        (["--header", "s3cret"], "NAME=VALUE"),
        (["--header", "content-length=7"], "content-length"),
        (
            ["--header-env", "api-key=NO_SUCH_VARIABLE"],
            "NO_SUCH_VARIABLE is not set",
        ),
        (
            ["--header-env", "api-key=sk-s3cret"],
            "not the secret itself",
        ),
        (
            ["--api-key-env", "NO_SUCH_VARIABLE"],
            "NO_SUCH_VARIABLE is not set",
        ),
        (["--api-key-env", "sk-proj-s3cret"], "--api-key-env"),
    ];
    for (flags, expected) in table {
        let run = bare(&folder, &url).args(flags).ends_with(2);
        let limits = folder.paceline(["limits", "m", "--base-url", &url]);
        let limits = limits.args(flags).ends_with(2);
        for output in [run, limits] {
            output.says(&[expected]);
            assert!(!output.stderr.contains("s3cret"), "{}", output.stderr);
        }
    }
    let simulate = folder.paceline(["simulate", "--api-key-env", "sk-proj-s3cret"]);
    let simulate = simulate.ends_with(2);
    simulate.says(&["--api-key-env"]);
    assert!(!simulate.stderr.contains("s3cret"), "{}", simulate.stderr);
    assert!(server.heads().is_empty());
    assert_eq!(folder.files(), ["in.jsonl"]);
}

#[test]
fn this_machine_needs_no_key_and_gets_none() {
    let server = Recording::start();
    let folder = Folder::with_input(chats(1));
    let url = format!("http://{}/v1", server.address);
    for key in [None, Some(""), Some(" ")] {
        let run = bare(&folder, &url);
        let run = match key {
            None => run.env_remove("OPENAI_API_KEY"),
            Some(key) => run.env("OPENAI_API_KEY", key),
        };
        run.ends_with(0);
        let head = server.heads().concat();
        assert!(
            head.starts_with("post") && !head.contains("authorization"),
            "{head}"
        );
    }
    bare(&folder, &url).ends_with(0);
    let bearer = format!("authorization: bearer {}", KEY.to_ascii_lowercase());
    assert!(server.heads().concat().contains(&bearer));
}

/// A server with TLS, whose certificate an authority of our own has signed, and its certificate.
fn secure(folder: &Folder) -> Option<(Recording, String)> {
    let file = |name: &str| folder.path(name).to_string_lossy().into_owned();
    let [ca, ca_key, key, request, crt, names] =
        ["ca.crt", "ca.key", "key", "csr", "crt", "names"].map(file);
    folder.write(
        "names",
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
    );
    let sign = format!(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout {ca_key} -out {ca} -subj /CN=ours -days 2 &&
         openssl req -newkey rsa:2048 -nodes -keyout {key} -out {request} -subj /CN=127.0.0.1 &&
         openssl x509 -req -in {request} -CA {ca} -CAkey {ca_key} -CAcreateserial -out {crt} -days 2 -extfile {names}"
    );
    let signed = Command::new("sh").args(["-c", &sign]).output().unwrap();
    if !signed.status.success() {
        eprintln!("skipped: {}", String::from_utf8_lossy(&signed.stderr));
        return None;
    }
    let chain = CertificateDer::pem_file_iter(crt).unwrap();
    let chain: Vec<CertificateDer<'static>> = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let server = Recording::serving(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        Box::new(StreamOwned::new(connection, stream))
    });
    Some((server, ca))
}

#[test]
fn an_authority_is_trusted_when_ssl_cert_file_names_it() {
    let folder = Folder::with_input(chats(1));
    let Some((server, ca)) = secure(&folder) else {
        return;
    };
    let url = format!("https://{}/v1", server.address);
    let trusting = bare(&folder, &url)
        .env("SSL_CERT_FILE", &ca)
        .env_remove("SSL_CERT_DIR");
    trusting.ends_with(0);
    assert_eq!(server.heads().len(), 1);
    let stranger = bare(&folder, &url)
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR");
    let output = stranger
        .args(["--max-retries", "0"])
        .start()
        .ends_in([1, 3]);
    let files = folder
        .files()
        .into_iter()
        .filter(|name| name.ends_with(".jsonl"));
    let said = files.fold(output.stderr, |said, name| said + &folder.read(&name));
    for words in ["certificate of an unknown authority", "SSL_CERT_FILE"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(server.heads().is_empty());
    let unreadable = bare(&folder, &url).env("SSL_CERT_FILE", "no-such.pem");
    unreadable
        .ends_with(2)
        .says(&["SSL_CERT_FILE: no-such.pem: "]);
}
