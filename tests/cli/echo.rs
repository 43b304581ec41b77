//! A server whose answer to a request of chat or of responses is that request's body.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

use crate::server::read_body;

/// Serves on a port of its own until the tests end. Returns its base URL.
pub(crate) fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    format!("http://{address}/v1")
}

fn answer(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let body = read_body(&mut reader)?;
    let body = String::from_utf8(body).ok()?;
    let message = json!({"role": "assistant", "content": &body, "refusal": null});
    let answer = json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    });
    let is_response =
        serde_json::from_str::<Value>(&body).is_ok_and(|body| body["input"].is_array());
    let answer = match is_response {
        true => json!({
            "object": "response",
            "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": body}]}],
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
        }),
        false => answer,
    };
    let answer = answer.to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    )
    .ok()
}
