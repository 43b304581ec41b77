//! Requests that are not JSON, or are not answered with it.

use paceline::{ApiRequest, CallOptions, Cost, Error, Form};
use serde_json::{Value, json};

use crate::scripted::{Scripted, Step};
use crate::support::{builder, client, free_simulator, level, still};

#[test]
fn a_list_is_got_and_takes_nothing() {
    let simulator = free_simulator();
    let registry = still();
    let client = builder(simulator.base_url()).registry(registry.clone());
    let client = client.build().unwrap();
    client.chat("a").unwrap();
    let before = level(&registry.limiter_for(client.model()));
    let models = client.send(ApiRequest::get("/models"), &CallOptions::new());
    let models: Value = models.unwrap().json().unwrap();
    assert_eq!(models["data"][0]["id"], client.model());
    assert_eq!(level(&registry.limiter_for(client.model())), before);
    let gone = client.send(ApiRequest::get("/none"), &CallOptions::new());
    assert!(matches!(gone, Err(Error::Api(error)) if error.status == 404));
}

#[test]
fn bytes_come_back_as_they_are_and_a_get_is_sent_again() {
    let mut sound =
        b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 3\r\n\r\n".to_vec();
    sound.extend_from_slice(b"\xff\x00\xfe");
    let lost = || Step::error(500, "", &[]);
    let server = Scripted::start([
        Step::Bytes(sound),
        lost(),
        Step::json(200, &[], "[]"),
        lost(),
    ]);
    let client = client(server.base_url());
    let options = CallOptions::new();
    let request = ApiRequest::post("/audio/speech").json(&json!({"model": "tts", "input": "a"}));
    let heard = client.send(request.unwrap(), &options).unwrap();
    assert_eq!(heard.bytes(), b"\xff\x00\xfe");
    assert_eq!(heard.headers.get("content-type"), Some("audio/mpeg"));
    let listed = client
        .send(ApiRequest::get("/files?limit=2"), &options)
        .unwrap();
    assert_eq!((listed.attempts, listed.text().as_str()), (2, "[]"));
    let upload = ApiRequest::post("/files").bytes("text/plain", "a");
    client.send(upload, &options).unwrap_err();
    let requests = server.requests();
    let lines: Vec<&str> = requests.iter().map(|it| it.line.as_str()).collect();
    let expected = [
        "POST /v1/audio/speech HTTP/1.1",
        "GET /v1/files?limit=2 HTTP/1.1",
        "GET /v1/files?limit=2 HTTP/1.1",
        "POST /v1/files HTTP/1.1",
    ];
    assert_eq!(lines, expected, "what may have been done is not done twice");
}

#[test]
fn a_form_passes_the_limiter_of_its_model() {
    let server = Scripted::start([Step::json(200, &[], r#"{"text": "hello"}"#)]);
    let registry = still();
    let client = builder(server.base_url()).registry(registry.clone());
    let client = client.build().unwrap();
    let limiter = registry.limiter_for("whisper-1");
    let before = level(&limiter);
    let form = Form::new()
        .text("model", "whisper-1")
        .file("file", "a.wav", &b"RIFF"[..]);
    let request = ApiRequest::post("/audio/transcriptions")
        .form(form)
        .cost(Cost::tokens(40));
    let heard = client.send(request, &CallOptions::new()).unwrap();
    assert_eq!(heard.json::<Value>().unwrap()["text"], "hello");
    assert_eq!(level(&limiter), before - 40);
    let request = &server.requests()[0];
    let kind = "content-type: multipart/form-data; boundary=paceline-";
    assert!(
        request.headers.iter().any(|it| it.starts_with(kind)),
        "{:?}",
        request.headers
    );
    assert!(request.body.contains("filename=\"a.wav\"") && request.body.contains("RIFF"));
}
