//! Answers alone: what a results file holds, without all that stands around it.

mod answer; // what a body answers
mod whole; //  files that are whole or not there

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::input::Lines;
use crate::{Error, Result};
use answer::Answer;
use whole::write_whole;

/// Writes the answers of a results file, as CSV if `to` ends in `.csv` and as JSONL otherwise.
/// Returns how many there are. The shorthand of [`Extract`].
///
/// # Errors
///
/// Those of [`Extract::write`].
pub fn extract(results: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<u64> {
    Extract::new(results.as_ref()).write(to)
}

/// The answers of a results file: each with its `custom_id`, in the order of the results, which is
/// that in which they came.
///
/// | what was asked for | its answer |
/// |---|---|
/// | chat | the content; the calls of tools where there is none; null when it was refused |
/// | responses | the output text, joined; or the calls of tools |
/// | completions | the text |
/// | embeddings, moderations | the vector, the result |
/// | anything else | the whole body |
///
/// Several choices, vectors or results are a list. In JSONL a line is an object of `custom_id` and
/// `answer`, and of two that most have not: `refusal`, which is what the model says when it
/// refuses, and `finish_reason` when it ended before its time, such as `length`. CSV has the columns
/// `custom_id` and `answer`, and what is no text stands there as JSON.
///
/// ```no_run
/// use paceline::batch::Extract;
///
/// let answers = Extract::new("in.results.jsonl").json_answers(true).write("answers.jsonl")?;
/// println!("{answers} answers");
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is extracted until it is written"]
pub struct Extract {
    results: PathBuf,
    json_answers: bool,
}

/// All that is read of a result.
#[derive(Deserialize)]
struct Line {
    custom_id: Option<String>,
    response: Option<Answered>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Answered {
    status_code: u16,
    #[serde(default)]
    body: Value,
}

impl Extract {
    /// The answers of this file, which is in the Batch output format.
    pub fn new(results: impl Into<PathBuf>) -> Self {
        Self {
            results: results.into(),
            json_answers: false,
        }
    }

    /// Sets whether texts that are JSON are put in as JSON, as those that follow a schema are. Only in
    /// JSONL: CSV knows nothing but texts. Defaults to false.
    pub fn json_answers(mut self, json: bool) -> Self {
        self.json_answers = json;
        self
    }

    /// Writes them, as CSV if the name ends in `.csv` and as JSONL otherwise, and returns how many
    /// there are. The file is there when it is whole: until then it is written beside its place, and
    /// what stood there stays. What failed has no answer and is left out, and so is a last line that
    /// a kill has cut short.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be read or written, [`Error::Batch`] when the results are no
    /// results, or would be overwritten.
    pub fn write(&self, to: impl AsRef<Path>) -> Result<u64> {
        let to = to.as_ref();
        let is_same = |a: &Path, b: &Path| {
            let real = a.canonicalize();
            real.is_ok_and(|real| b.canonicalize().is_ok_and(|b| b == real))
        };
        if is_same(&self.results, to) {
            let message = format!("{}: the results are not overwritten", to.display());
            return Err(Error::Batch(message));
        }
        let file = File::open(&self.results).map_err(|error| Error::io(&self.results, error))?;
        let lines = Lines::new(Box::new(BufReader::with_capacity(1 << 16, file)));
        let extension = to.extension();
        let is_csv = extension.is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        write_whole(to, |writer| {
            let mut sink = match is_csv {
                true => Sink::Csv(Box::new(csv::Writer::from_writer(writer))),
                false => Sink::Jsonl(writer),
            };
            let fail = |error| Error::io(to, error);
            sink.begin().map_err(fail)?;
            let count = self.each(lines, |id, answer| sink.put(id, answer).map_err(fail))?;
            sink.end().map_err(fail)?;
            Ok(count)
        })
    }

    /// Calls `put` for each answer.
    fn each(
        &self,
        mut lines: Lines,
        mut put: impl FnMut(&str, Answer) -> Result<()>,
    ) -> Result<u64> {
        let mut count = 0;
        while lines
            .advance()
            .map_err(|error| Error::io(&self.results, error))?
        {
            let place = || format!("{}:{}", self.results.display(), lines.number());
            let text = lines.text();
            let text = text.map_err(|wrong| Error::Batch(format!("{}: {wrong}", place())))?;
            let line: Line = match serde_json::from_slice(text) {
                Ok(line) => line,
                Err(_) if !text.ends_with(b"\n") => break, // cut short, so it is the last
                Err(error) => {
                    let message = format!("{}: not a line of results ({error})", place());
                    return Err(Error::Batch(message));
                }
            };
            let (Some(id), Some(response), None) = (line.custom_id, line.response, line.error)
            else {
                continue;
            };
            if (200..300).contains(&response.status_code) {
                let answer = Answer::of(response.body);
                put(
                    &id,
                    if self.json_answers {
                        answer.parsed()
                    } else {
                        answer
                    },
                )?;
                count += 1;
            }
        }
        Ok(count)
    }
}

/// The form in which answers are written.
enum Sink<'a> {
    Csv(Box<csv::Writer<&'a mut dyn Write>>),
    Jsonl(&'a mut dyn Write),
}

impl Sink<'_> {
    fn begin(&mut self) -> std::io::Result<()> {
        match self {
            Self::Csv(writer) => writer.write_record(["custom_id", "answer"]).map_err(plain),
            Self::Jsonl(_) => Ok(()),
        }
    }

    fn put(&mut self, id: &str, answer: Answer) -> std::io::Result<()> {
        match self {
            Self::Csv(writer) => {
                let text = match answer.answer {
                    Value::String(text) => text,
                    Value::Null => String::new(),
                    other => other.to_string(),
                };
                writer.write_record([id, &text]).map_err(plain)
            }
            Self::Jsonl(writer) => {
                let mut line = Map::new();
                line.insert("custom_id".to_owned(), id.into());
                line.insert("answer".to_owned(), answer.answer);
                let more = [
                    ("refusal", answer.refusal),
                    ("finish_reason", answer.finish_reason),
                ];
                for (field, value) in more.into_iter().filter(|(_, value)| !value.is_null()) {
                    line.insert(field.to_owned(), value);
                }
                serde_json::to_writer(&mut *writer, &line)?;
                writer.write_all(b"\n")
            }
        }
    }

    fn end(self) -> std::io::Result<()> {
        match self {
            Self::Csv(mut writer) => writer.flush(),
            Self::Jsonl(_) => Ok(()),
        }
    }
}

/// What the system said.
fn plain(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => std::io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    fn line(id: &str, status: u16, content: &str) -> String {
        let body = json!({"choices": [{"message": {"content": content}, "finish_reason": "stop"}]});
        let response = json!({"status_code": status, "request_id": null, "body": body});
        let line =
            json!({"id": "batch_req_1", "custom_id": id, "response": response, "error": null});
        format!("{line}\n")
    }

    struct Files {
        dir: TempDir,
    }

    impl Files {
        fn with_results(text: &str) -> Self {
            let dir = TempDir::new().unwrap();
            fs::write(dir.path().join("r.jsonl"), text).unwrap();
            Self { dir }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn extract(&self, to: &str) -> Result<(u64, String)> {
            let count = extract(self.path("r.jsonl"), self.path(to))?;
            Ok((count, fs::read_to_string(self.path(to)).unwrap()))
        }
    }

    #[test]
    fn answers_are_written_alone() {
        let text = [
            line("a", 200, "plain"),
            line("b", 500, "not this one"),
            "\n".to_owned(),
            line("c", 201, "{\"x\": \"1,\\n2\"}"),
            line("d", 200, ""),
        ];
        let files = Files::with_results(&text.concat());
        let (count, jsonl) = files.extract("a.jsonl").unwrap();
        assert_eq!(count, 3);
        assert_eq!(
            jsonl,
            "{\"custom_id\":\"a\",\"answer\":\"plain\"}\n\
             {\"custom_id\":\"c\",\"answer\":\"{\\\"x\\\": \\\"1,\\\\n2\\\"}\"}\n\
             {\"custom_id\":\"d\",\"answer\":\"\"}\n"
        );
        let (_, csv) = files.extract("a.CSV").unwrap();
        assert_eq!(
            csv,
            "custom_id,answer\na,plain\nc,\"{\"\"x\"\": \"\"1,\\n2\"\"}\"\nd,\n"
        );
        let parsed = Extract::new(files.path("r.jsonl")).json_answers(true);
        parsed.write(files.path("p.jsonl")).unwrap();
        let text = fs::read_to_string(files.path("p.jsonl")).unwrap();
        assert!(
            text.contains("{\"custom_id\":\"c\",\"answer\":{\"x\":\"1,\\n2\"}}\n"),
            "{text}"
        );
        assert!(text.contains("\"answer\":\"plain\""), "{text}");
    }

    #[test]
    fn what_is_unusual_has_a_field_of_its_own() {
        let body = json!({"choices": [{
            "message": {"content": null, "refusal": "No."}, "finish_reason": "content_filter",
        }]});
        let text = json!({"custom_id": "a", "response": {"status_code": 200, "body": body}});
        let files = Files::with_results(&text.to_string());
        let expected = json!({"custom_id": "a", "answer": null, "refusal": "No.", "finish_reason": "content_filter"});
        assert_eq!(
            files.extract("a.jsonl").unwrap(),
            (1, format!("{expected}\n"))
        );
    }

    #[test]
    fn a_last_line_that_is_cut_short_is_left_out_and_others_are_named() {
        let (a, b) = (line("a", 200, "one"), line("b", 200, "two"));
        for length in 1..b.len() - 1 {
            let files = Files::with_results(&format!("{a}{}", &b[..length]));
            let (count, _) = files.extract("a.jsonl").unwrap();
            assert_eq!(count, 1, "cut after {length} bytes");
        }
        let files = Files::with_results(&format!("{a}{}", b.trim_end()));
        assert_eq!(files.extract("a.jsonl").unwrap().0, 2);
        let files = Files::with_results(&format!("{a}my notes\n{b}"));
        fs::write(files.path("a.csv"), "before").unwrap();
        let error = files.extract("a.csv").unwrap_err().to_string();
        assert!(
            error.contains("r.jsonl:2: not a line of results"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(files.path("a.csv")).unwrap(), "before");
    }

    #[test]
    fn results_are_never_overwritten() {
        let files = Files::with_results(&line("a", 200, "one"));
        let before = fs::read_to_string(files.path("r.jsonl")).unwrap();
        let error = files.extract("./r.jsonl").unwrap_err().to_string();
        assert!(error.contains("the results are not overwritten"), "{error}");
        assert_eq!(fs::read_to_string(files.path("r.jsonl")).unwrap(), before);
        let missing = extract(files.path("none.jsonl"), files.path("a.csv"));
        assert!(missing.unwrap_err().to_string().contains("none.jsonl"));
    }
}
