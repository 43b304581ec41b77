//! Answers alone: what a results file holds, without all that stands around it.

mod answer; //  what a body answers
mod format; //  endings of names, and what they mean
mod formula; // what spreadsheets would run
mod index; //   where the line of each id stands
mod rows; //    the rows of an input, with their answers
mod sheet; //   a table as it is written
mod status; //  how a run stands
mod vectors; // embeddings of rows, and matrices

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use super::fingerprint::Fingerprint;
use super::fs::{is_same_file, system, write_whole};
use super::input::Lines;
use super::inside::is_failure_inside;
use super::json::{Json, quoted};
use crate::batch::read::requests::RequestSet;
use crate::{Error, Result};
use answer::Answer;
use format::Format;
use index::AnyLine;

pub use format::{check_answers_name, check_vectors_name};
pub use rows::ExtractRows;
pub use status::{RunStatus, count_requests};

/// Writes the answers of a results file, as CSV if `to` ends in `.csv`, as TSV if it ends in `.tsv` and as JSONL
/// if it ends in `.jsonl`. Returns how many there are. The shorthand of [`Extract`].
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
/// `answer`, and of two that most have not: `finish_reason` when the answer ended before its time, such as
/// `length`, and `refusal`, which is what the model says when it refuses. CSV has a column for each of
/// the four, what is no text stands there as JSON, and what a spreadsheet would run as a formula is
/// [marked](Extract::raw_csv). Numbers keep their digits; what is half of a
/// character is U+FFFD.
///
/// A results file may hold the answers of others: of an earlier prompt, of another part. With
/// [`only`](Extract::only) those are left out.
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
    raw_csv: bool,
    only: Option<RequestSet>,
}

/// What came of an [`Extract`].
///
/// ```no_run
/// use paceline::batch::Extract;
///
/// let done = Extract::new("requests.results.jsonl").write_to("answers.csv")?;
/// println!("{} answers, {} unreadable lines", done.answers, done.unreadable);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Extracted {
    /// Rows that were written, of an [`ExtractRows`]: with an answer or without.
    pub rows: u64,
    /// Answers that were written.
    pub answers: u64,
    /// Results that were left out: they are of [other requests](Extract::only).
    pub others: u64,
    /// Lines that were left out: they cannot be read.
    pub unreadable: u64,
    /// The first of them, each as `FILE:LINE: what is wrong`.
    pub first_unreadable: Vec<String>,
}

/// Unreadable lines that are named, at most.
const MOST_NAMED: usize = 10;

/// One line of results, as far as it is read.
enum Line<'a> {
    Answer {
        id: Cow<'a, str>,
        of: Option<Fingerprint>,
        body: Json<'a>,
    },
    /// What failed has no answer.
    Failure,
}

impl<'a> Line<'a> {
    /// What a line of results or of errors says of its request. `None` for what is no such line.
    fn read_any(text: &'a str) -> Option<AnyLine<'a>> {
        let fields = Json::read(text)?.fields()?;
        let field = |name: &str| {
            let mut fields = fields.iter().rev();
            let value = fields.find_map(|(field, value)| (field == name).then_some(*value));
            value.filter(|value| !value.is_null())
        };
        if field("response").is_none() && field("error").is_none() {
            return None;
        }
        let id = field("id").and_then(Json::text);
        Some(AnyLine {
            id: field("custom_id").and_then(Json::text),
            of: id.and_then(|id| Fingerprint::from_line_id(&id)),
            is_answer: matches!(Self::read(text)?, Self::Answer { .. }),
        })
    }

    /// `None` for what is no line of results.
    fn read(text: &'a str) -> Option<Self> {
        let (mut id, mut custom_id, mut response, mut error) = (None, None, None, None);
        for (name, value) in Json::read(text)?.fields()? {
            match &*name {
                "id" => id = Some(value),
                "custom_id" => custom_id = Some(value),
                "response" => response = Some(value),
                "error" => error = Some(value),
                _ => {}
            }
        }
        let is_failure = error.is_some_and(|error| !error.is_null());
        let custom_id = custom_id.filter(|id| !id.is_null());
        let response = response.filter(|response| !response.is_null());
        let (Some(custom_id), Some(response), false) = (custom_id, response, is_failure) else {
            return Some(Self::Failure);
        };
        let status = response
            .field("status_code")?
            .as_str()
            .parse::<u16>()
            .ok()?;
        let body = response.field("body").unwrap_or(Json::NULL);
        let is_success = (200..300).contains(&status) && !is_failure_inside(body.as_str());
        Some(match is_success {
            true => Self::Answer {
                id: custom_id.text()?,
                of: id
                    .and_then(Json::text)
                    .and_then(|id| Fingerprint::from_line_id(&id)),
                body,
            },
            false => Self::Failure,
        })
    }
}

impl Extract {
    /// The answers of this file, which is in the Batch output format.
    pub fn new(results: impl Into<PathBuf>) -> Self {
        Self {
            results: results.into(),
            json_answers: false,
            raw_csv: false,
            only: None,
        }
    }

    /// Sets whether texts that are JSON are put in as JSON, as those that follow a schema are. Only in
    /// JSONL: CSV knows nothing but texts. Default: false.
    pub fn json_answers(mut self, json: bool) -> Self {
        self.json_answers = json;
        self
    }

    /// Sets whether cells of CSV are left as they are. By default one that a spreadsheet would run as a
    /// formula is marked with `'` in front: it begins with `=`, `+`, `-`, `@`, a tab or a line end, and is
    /// no number. Programs that read the file want it raw. Default: false.
    pub fn raw_csv(mut self, raw: bool) -> Self {
        self.raw_csv = raw;
        self
    }

    /// Takes the answers to these requests alone. A result whose line does not name its request, such
    /// as one of the hosted service, is matched by its `custom_id`. Default: all answers.
    pub fn only(mut self, requests: &RequestSet) -> Self {
        self.only = Some(requests.clone());
        self
    }

    /// Writes them, as CSV, TSV or JSONL by the ending of the name, and returns how many
    /// there are. The file is there when it is whole: until then it is written beside its place, and
    /// what stood there stays. What failed has no answer and is left out, and so is a last line that
    /// a kill has cut short. Lines that cannot be read are left out and logged.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a name with another ending, [`Error::Io`] when a file cannot be read or written,
    /// [`Error::Batch`] when the results are no results, or would be overwritten.
    pub fn write(&self, to: impl AsRef<Path>) -> Result<u64> {
        let extracted = self.write_to(to)?;
        for line in &extracted.first_unreadable {
            log::warn!("{line}; it is left out");
        }
        Ok(extracted.answers)
    }

    /// The same, and says what was left out and why.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write).
    pub fn write_to(&self, to: impl AsRef<Path>) -> Result<Extracted> {
        let to = to.as_ref();
        let format = Format::of(to)?.of_answers(to)?;
        if is_same_file(&self.results, to) {
            let message = format!("{}: the results are not overwritten", to.display());
            return Err(Error::Batch(message));
        }
        let file = File::open(&self.results).map_err(|error| Error::io(&self.results, error))?;
        let lines = Lines::new(Box::new(BufReader::with_capacity(1 << 16, file)));
        write_whole(&system(), to, |writer| {
            let delimiter = if format == Format::Tsv { b'\t' } else { b',' };
            let mut sink = match format {
                Format::Csv | Format::Tsv => Sink::Csv {
                    writer: Box::new(
                        csv::WriterBuilder::new()
                            .delimiter(delimiter)
                            .from_writer(writer),
                    ),
                    is_raw: self.raw_csv,
                },
                Format::Jsonl | Format::Npy => Sink::Jsonl(writer),
            };
            let fail = |error| Error::io(to, error);
            sink.begin().map_err(fail)?;
            let extracted = self.each(lines, |id, answer| sink.put(id, &answer).map_err(fail))?;
            sink.end().map_err(fail)?;
            Ok(extracted)
        })
    }

    /// Calls `put` for each answer.
    fn each(
        &self,
        mut lines: Lines,
        mut put: impl FnMut(&str, Answer) -> Result<()>,
    ) -> Result<Extracted> {
        let mut extracted = Extracted::default();
        // A file without one line that can be read is something else.
        let (mut read, mut wrong) = (0_u64, None);
        while lines
            .advance()
            .map_err(|error| Error::io(&self.results, error))?
        {
            let text = lines.text();
            let line = match &text {
                Ok(text) => std::str::from_utf8(text).ok().and_then(Line::read),
                Err(_) => None,
            };
            match line {
                Some(Line::Answer { id, of, body }) => {
                    read += 1;
                    if self.only.as_ref().is_some_and(|only| !only.has(&id, of)) {
                        extracted.others += 1;
                        continue;
                    }
                    let answer = Answer::of(body);
                    let answer = match self.json_answers {
                        true => answer.parsed(),
                        false => answer,
                    };
                    put(&id, answer)?;
                    extracted.answers += 1;
                }
                Some(Line::Failure) => read += 1,
                None if text.as_ref().is_ok_and(|text| !text.ends_with(b"\n")) => break, // cut short
                None => {
                    let what = text.err();
                    let what = what.as_deref().unwrap_or("not a line of results");
                    let place = format!("{}:{}", self.results.display(), lines.number());
                    let message = format!("{place}: {what}");
                    wrong.get_or_insert_with(|| message.clone());
                    extracted.unreadable += 1;
                    if extracted.first_unreadable.len() < MOST_NAMED {
                        extracted.first_unreadable.push(message);
                    }
                }
            }
        }
        match wrong {
            Some(message) if read == 0 => Err(Error::Batch(message)),
            _ => Ok(extracted),
        }
    }
}

/// The columns of CSV.
const COLUMNS: [&str; 4] = ["custom_id", "answer", "finish_reason", "refusal"];

/// The form in which answers are written.
enum Sink<'a> {
    Csv {
        writer: Box<csv::Writer<&'a mut dyn Write>>,
        is_raw: bool,
    },
    Jsonl(&'a mut dyn Write),
}

impl Sink<'_> {
    fn begin(&mut self) -> std::io::Result<()> {
        match self {
            Self::Csv { writer, .. } => writer.write_record(COLUMNS).map_err(plain),
            Self::Jsonl(_) => Ok(()),
        }
    }

    fn put(&mut self, id: &str, answer: &Answer) -> std::io::Result<()> {
        let Answer {
            answer,
            refusal,
            finish_reason,
            ..
        } = answer;
        match self {
            Self::Csv { writer, is_raw } => {
                let record = [id, answer.plain(), finish_reason.plain(), refusal.plain()];
                let written = match is_raw {
                    true => writer.write_record(record),
                    false => writer
                        .write_record(record.map(formula::marked).iter().map(|it| it.as_bytes())),
                };
                written.map_err(plain)
            }
            Self::Jsonl(writer) => {
                let id = quoted(id);
                write!(writer, "{{\"custom_id\":{id},\"answer\":{}", answer.json())?;
                for (name, said) in [("refusal", refusal), ("finish_reason", finish_reason)] {
                    if !said.is_nothing() {
                        write!(writer, ",\"{name}\":{}", said.json())?;
                    }
                }
                writer.write_all(b"}\n")
            }
        }
    }

    fn end(self) -> std::io::Result<()> {
        match self {
            Self::Csv { mut writer, .. } => writer.flush(),
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
            "custom_id,answer,finish_reason,refusal\na,plain,,\nc,\"{\"\"x\"\": \"\"1,\\n2\"\"}\",,\nd,,,\n"
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
        let files = Files::with_results(&format!("{a}my notes\n{b}\0\0\n{{\"id\":\"batch_req_"));
        let extracted = Extract::new(files.path("r.jsonl"));
        let extracted = extracted.write_to(files.path("a.csv")).unwrap();
        assert_eq!((extracted.answers, extracted.unreadable), (2, 2));
        let [first, second] = &extracted.first_unreadable[..] else {
            panic!("{extracted:?}");
        };
        assert!(
            first.contains("r.jsonl:2: not a line of results"),
            "{first}"
        );
        assert!(
            second.contains("r.jsonl:4: not a line of results"),
            "{second}"
        );
        // A file without any is no results file.
        let files = Files::with_results("my notes\nmore\n");
        fs::write(files.path("a.csv"), "before").unwrap();
        let error = files.extract("a.csv").unwrap_err().to_string();
        assert!(
            error.contains("r.jsonl:1: not a line of results"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(files.path("a.csv")).unwrap(), "before");
    }

    #[test]
    fn whatever_was_written_is_read() {
        let body = |text: &str| format!(r#"{{"choices":[{{"message":{{"content":{text}}}}}]}}"#);
        let deep = format!(r#"{{"new":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        let (half, number) = (body(r#""good \ud83d""#), r#"{"new":-1e999}"#.to_owned());
        let lines = [half, number, deep].map(|body| {
            format!("{{\"id\":\"x\",\"custom_id\":\"a\",\"response\":{{\"status_code\":200,\"body\":{body}}},\"error\":null}}\n")
        });
        let files = Files::with_results(&lines.concat());
        let (count, text) = files.extract("a.jsonl").unwrap();
        assert_eq!(count, 3);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "{\"custom_id\":\"a\",\"answer\":\"good \u{fffd}\"}"
        );
        assert_eq!(lines[1], r#"{"custom_id":"a","answer":{"new":-1e999}}"#);
        assert_eq!(lines[2].matches('[').count(), 500);
    }

    #[test]
    fn answers_to_other_requests_are_left_out() {
        let id = |print: u64| Fingerprint(print).line_id();
        let text: String = [
            ("a", id(1)),
            ("b", id(2)),
            ("c", id(3)),
            ("d", "other".to_owned()),
        ]
        .map(|(name, id)| line(name, 200, name).replace("batch_req_1", &id))
        .concat();
        let files = Files::with_results(&text);
        let requests = RequestSet::new();
        requests.add("a", Fingerprint(1));
        requests.add("b", Fingerprint(7)); // it has changed
        requests.add("d", Fingerprint(4)); // of another writer
        let extract = Extract::new(files.path("r.jsonl")).only(&requests);
        let extracted = extract.write_to(files.path("a.csv")).unwrap();
        assert_eq!((extracted.answers, extracted.others), (2, 2));
        let csv = fs::read_to_string(files.path("a.csv")).unwrap();
        assert_eq!(
            csv,
            "custom_id,answer,finish_reason,refusal\na,a,,\nd,d,,\n"
        );
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
