//! Lines of the Batch input format, and what can be wrong with them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::ids::{Ids, Known};
use crate::tokens::Endpoint;
use crate::{Error, Result};

/// The longest line that is read: more than any request the API takes.
const MAX_LINE: u64 = 256 * 1024 * 1024;

/// Where requests come from: a file, or any reader.
pub struct Input {
    name: String,
    path: Option<PathBuf>,
    lines: Box<dyn BufRead + Send>,
    total: Option<u64>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

impl Input {
    /// Reads a file. It is gone through once now, to know how many lines it has, unless it is a
    /// pipe or the like.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be read, [`Error::Batch`] when it holds no line at all.
    pub fn file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let fail = |error| Error::io(path, error);
        let mut file = File::open(path).map_err(fail)?;
        let data = file.metadata().map_err(fail)?;
        if data.is_dir() {
            return Err(fail(io::ErrorKind::IsADirectory.into()));
        }
        // What is no file, such as a pipe, can be gone through only once.
        let total = if data.is_file() {
            let total = count_lines(BufReader::new(&file)).map_err(fail)?;
            if total == 0 {
                return Err(no_requests(&path.display().to_string()));
            }
            file.rewind().map_err(fail)?;
            Some(total)
        } else {
            None
        };
        Ok(Self {
            name: path.display().to_string(),
            path: Some(path.to_owned()),
            lines: Box::new(BufReader::with_capacity(1 << 16, file)),
            total,
        })
    }

    /// Reads any reader; `name` is what messages call it.
    pub fn reader(name: impl Into<String>, reader: impl Read + Send + 'static) -> Self {
        Self {
            name: name.into(),
            path: None,
            lines: Box::new(BufReader::with_capacity(1 << 16, reader)),
            total: None,
        }
    }

    /// The file, if it is one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// How many lines it has, if that is known.
    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Its requests, of whose ids earlier runs know this.
    pub(super) fn requests(self, ids: Ids) -> Requests {
        Requests {
            input: self,
            line: 0,
            blank: true,
            ids,
        }
    }
}

fn no_requests(name: &str) -> Error {
    Error::Batch(format!("{name}: no requests in it"))
}

/// Lines with something in them.
fn count_lines(mut reader: impl BufRead) -> io::Result<u64> {
    let mut count = 0;
    let mut filled = false;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(count + u64::from(filled));
        }
        for byte in buffer {
            match byte {
                b'\n' => {
                    count += u64::from(filled);
                    filled = false;
                }
                byte => filled |= !byte.is_ascii_whitespace(),
            }
        }
        let read = buffer.len();
        reader.consume(read);
    }
}

/// One request of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) line: u64,
    pub(super) custom_id: String,
    pub(super) url: String,
    pub(super) body: Value,
    /// What an earlier run made of its `custom_id`.
    pub(super) known: Option<Known>,
}

/// A line that is no request, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: u64,
    /// The line's own, if it has one that can be read.
    pub(super) custom_id: Option<String>,
    /// `FILE:LINE: what is wrong`, with the column where there is one.
    pub(super) message: String,
}

/// The requests of an input, one by one.
pub(super) struct Requests {
    input: Input,
    line: u64,
    /// Nothing but blank lines so far.
    blank: bool,
    ids: Ids,
}

impl Requests {
    /// What messages call the input.
    pub(super) fn name(&self) -> &str {
        &self.input.name
    }

    /// The next line: a request, or what is wrong with it. `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the input cannot be read on, [`Error::Batch`] when it ends and held
    /// nothing.
    pub(super) fn next(&mut self) -> Result<Option<Result<Request, BadLine>>> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let mut lines = (&mut self.input.lines).take(MAX_LINE);
            let read = lines.read_until(b'\n', &mut bytes);
            if read.map_err(|error| Error::io(&self.input.name, error))? == 0 {
                return match self.blank {
                    true => Err(no_requests(&self.input.name)),
                    false => Ok(None),
                };
            }
            self.line += 1;
            if self.line == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3); // a byte order mark, as some editors leave it
            }
            if !bytes.trim_ascii().is_empty() {
                self.blank = false;
                return Ok(Some(self.parse(&bytes)));
            }
        }
    }

    fn parse(&mut self, bytes: &[u8]) -> Result<Request, BadLine> {
        let bad = |custom_id: Option<&str>, message: String| BadLine {
            line: self.line,
            custom_id: custom_id.map(str::to_owned),
            message: format!("{}:{}: {message}", self.input.name, self.line),
        };
        let parsed = serde_json::from_slice(bytes).map_err(|error| {
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or(&text);
            bad(None, format!("column {}: {what}", error.column()))
        })?;
        let Value::Object(mut fields) = parsed else {
            return Err(bad(None, "a JSON object is needed".to_owned()));
        };
        let id = fields.get("custom_id").and_then(Value::as_str);
        let Some(id) = id.map(str::to_owned) else {
            return Err(bad(None, "custom_id: a string is needed".to_owned()));
        };
        let known = self.ids.meet(&id, self.line);
        if let Some(Known::Line(first)) = known {
            let message = format!("custom_id {id:?} stands in line {first} already");
            return Err(bad(Some(&id), message));
        }
        let (url, body) = check(&mut fields).map_err(|message| bad(Some(&id), message))?;
        Ok(Request {
            line: self.line,
            custom_id: id,
            url,
            body,
            known,
        })
    }
}

/// The URL and the body of a line, if they make a request.
fn check(fields: &mut Map<String, Value>) -> Result<(String, Value), String> {
    match fields.get("method") {
        None => {}
        Some(Value::String(method)) if method == "POST" => {}
        Some(other) => return Err(format!("method: \"POST\" is needed, not {other}")),
    }
    let url = match fields.get("url") {
        Some(Value::String(url)) if is_known(url) => url.clone(),
        Some(Value::String(url)) => {
            return Err(format!(
                "url: {url:?} is no endpoint such as \"/v1/chat/completions\""
            ));
        }
        _ => return Err("url: an endpoint such as \"/v1/chat/completions\" is needed".to_owned()),
    };
    let Some(Value::Object(body)) = fields.remove("body") else {
        return Err("body: an object is needed".to_owned());
    };
    match body.get("model") {
        Some(Value::String(model)) if !model.trim().is_empty() => {}
        _ => return Err("body.model: the name of a model is needed".to_owned()),
    }
    if body.get("stream") == Some(&Value::Bool(true)) {
        return Err("body.stream: a result is one line; leave it out".to_owned());
    }
    Ok((url, Value::Object(body)))
}

fn is_known(url: &str) -> bool {
    let known = Endpoint::from_path(url) != Endpoint::Other || url.starts_with("/v1/images/");
    known && url.starts_with('/') && !url.contains(['?', '#', ' '])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn requests(text: &str) -> Requests {
        let bytes = io::Cursor::new(text.as_bytes().to_vec());
        Input::reader("in.jsonl", bytes).requests(Ids::default())
    }

    fn line(change: &str) -> String {
        let good =
            r#"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"m"}}"#;
        let (from, to) = change.split_once("=>").unwrap();
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    }

    #[test]
    fn each_mistake_is_named_with_its_place() {
        let table = [
            ("{=>", "in.jsonl:1: column 12: trailing characters"),
            (
                "}}=>}",
                "in.jsonl:1: column 76: EOF while parsing an object",
            ),
            (r#""custom_id":"a",=>"#, "custom_id: a string is needed"),
            (r#":"a"=>:7"#, "custom_id: a string is needed"),
            ("POST=>GET", "method: \"POST\" is needed, not \"GET\""),
            ("embeddings=>files", "url: \"/v1/files\" is no endpoint"),
            ("/v1/embeddings=>http://h/v1/embeddings", "is no endpoint"),
            (r#""url":"/v1/embeddings",=>"#, "url: an endpoint"),
            (r#"{"model":"m"}=>[]"#, "body: an object is needed"),
            (
                r#""model":"m"=>"#,
                "body.model: the name of a model is needed",
            ),
            (r#":"m"=>:" ""#, "body.model"),
            (r#":"m"=>:"m","stream":true"#, "body.stream"),
        ];
        for (step, (change, message)) in table.into_iter().enumerate() {
            let bad = requests(&line(change))
                .next()
                .unwrap()
                .unwrap()
                .unwrap_err();
            assert!(
                bad.message.contains(message),
                "step {step}: {}",
                bad.message
            );
        }
        assert!(
            requests(&line("POST=>POST"))
                .next()
                .unwrap()
                .unwrap()
                .is_ok()
        );
        assert!(
            requests(&line(r#""method":"POST",=>"#))
                .next()
                .unwrap()
                .unwrap()
                .is_ok()
        );
    }

    #[test]
    fn a_repeated_id_names_both_lines_and_the_first_one_stands() {
        let good = line("POST=>POST");
        let text = format!("\u{feff}{good}\n\n  \n{good}\n{}", line(":\"a\"=>:\"b\""));
        let mut requests = requests(&text);
        assert!(requests.next().unwrap().unwrap().is_ok());
        let bad = requests.next().unwrap().unwrap().unwrap_err();
        assert_eq!(
            bad.message,
            "in.jsonl:4: custom_id \"a\" stands in line 1 already"
        );
        assert_eq!(bad.custom_id.as_deref(), Some("a"));
        assert_eq!(requests.next().unwrap().unwrap().unwrap().custom_id, "b");
        assert!(requests.next().unwrap().is_none());
    }

    #[test]
    fn json_that_is_no_object_is_no_request() {
        for text in ["[]", "7", "null", "\"text\""] {
            let bad = requests(text).next().unwrap().unwrap().unwrap_err();
            assert_eq!(bad.message, "in.jsonl:1: a JSON object is needed", "{text}");
        }
    }

    #[test]
    fn an_input_without_a_line_is_no_input() {
        for text in ["", "\n \n", "\u{feff}", "\u{feff}\r\n"] {
            let error = requests(text).next().unwrap_err().to_string();
            assert_eq!(error, "in.jsonl: no requests in it", "{text:?}");
        }
    }

    #[test]
    fn lines_are_counted_as_they_are_read() {
        for (text, count) in [
            ("", 0),
            ("\n \n", 0),
            ("a", 1),
            ("a\n", 1),
            ("a\n\nb\r\nc", 3),
        ] {
            assert_eq!(count_lines(text.as_bytes()).unwrap(), count, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut requests = Input::reader("x", io::Cursor::new(bytes)).requests(Ids::default());
            while let Ok(Some(_)) = requests.next() {}
        }
    }
}
