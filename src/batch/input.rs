//! Requests from a file or any reader: lines of the Batch input format, or rows and a prompt; and
//! what can be wrong with them.

mod again; //      what is read more than once
mod asked; //      the models that it asks for
mod begin; //      its first lines, read before anything is sent
#[cfg(test)]
mod fuzz_tests; // any bytes, in any shape
mod iter; //       requests that a program makes
mod kind; //       formats by their first bytes
mod lines; //      lines with something in them, each with its number
mod mark; //       byte order marks
mod nearest; //    the name that was meant
mod packs; //      rows that are embedded together
mod plain; //      lines of the usual form, known without being read in full
mod records; //    what an input holds, before it is known whether an id is new
mod rows; //       rows of a table, of which a prompt makes requests
mod separator; //  what parts the columns of a table
mod shard; //      one part of the input, for several processes
mod table; //      CSV
mod tap; //        its bytes, watched
mod text; //       in UTF-8, whatever it was written in
mod unpack; //     gzip and zstd, known by their first bytes

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use super::fingerprint::Fingerprint;
use super::ids::{Ids, Known};
use super::prompt::{Edits, Prompt};
use crate::{Error, Result};
use again::{FromStart, Once};
use begin::{Begun, First, Next, begin};
use lines::count_lines;
use records::{Asked, Draft, Making, is_known};
use shard::Shard;
use text::{LoneReturn, text};

pub use iter::RequestLine;
pub(super) use lines::Lines;
pub(super) use packs::fault as fault_of_text;
pub(super) use plain::Plain;
pub(super) use records::Records;
pub(super) use rows::Cell;
pub use rows::RowFormat;
pub use unpack::unpacked;

/// Where requests come from: a file, or any reader. Either may be packed with gzip or zstd, or
/// written in UTF-16, which is seen by its first bytes, not by its name. Another format, such as
/// Parquet or one JSON array, is refused as a whole, with a command that converts it. So is an input
/// whose first 100 lines cannot be sent, or all of them where there are fewer.
///
/// # A part of the rows of a packed table
///
/// ```no_run
/// use paceline::batch::{Input, Prompt};
///
/// let prompt = Prompt::new("gpt-4.1-mini", "Summarize: {text}")?;
/// let input = Input::rows("articles.csv.zst", prompt)?.shard(1, 8)?;
/// # Ok::<(), paceline::Error>(())
/// ```
pub struct Input {
    name: String,
    path: Option<PathBuf>,
    source: Source,
    making: Making,
    shard: Option<Shard>,
    total: OnceLock<Option<u64>>,
    /// How long the file was when it was opened. What is appended later is not read.
    size: u64,
}

/// The length of a file when it was opened, to be looked at again when it has been read.
pub(super) struct Size {
    file: File,
    name: String,
    size: u64,
}

impl Size {
    /// # Errors
    ///
    /// [`Error::Batch`] when the file has another length now.
    pub(super) fn check(&self) -> Result<()> {
        let now = self.file.metadata();
        let now = now.map_err(|error| Error::io(&self.name, error))?.len();
        let (name, size) = (&self.name, self.size);
        let what = match now.cmp(&size) {
            std::cmp::Ordering::Equal => return Ok(()),
            std::cmp::Ordering::Less => "shrunk",
            std::cmp::Ordering::Greater => "grown",
        };
        Err(Error::Batch(format!(
            "{name}: has {what} from {size} to {now} bytes while it was read; what was finished is written, \
             and the next run sends what is new"
        )))
    }
}

enum Source {
    /// Can be gone through as often as needed.
    File(File),
    /// Can be gone through once.
    Stream(Box<dyn Read + Send>),
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

impl Input {
    /// Reads a file of requests in the Batch format. Unless it is a pipe or the like, a run goes
    /// through it once before it begins, to know how many lines it has.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be read, [`Error::Input`] when it is of another format, holds no
    /// line at all, or none of its first 100 is a request.
    pub fn file(path: impl AsRef<Path>) -> Result<Self> {
        Self::open(path.as_ref(), Making::Lines(Edits::new()))
    }

    /// Reads a file of requests in the Batch format, and sets fields of their bodies.
    ///
    /// ```no_run
    /// use paceline::batch::{Edits, Input};
    ///
    /// let edits = Edits::new().model("gpt-4.1-mini")?.set("temperature", "0")?;
    /// let input = Input::file_with("requests.jsonl", edits)?;
    /// # let _ = input;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Input::file`].
    pub fn file_with(path: impl AsRef<Path>, edits: Edits) -> Result<Self> {
        Self::open(path.as_ref(), Making::Lines(edits))
    }

    /// Reads any reader of requests in the Batch format; `name` is what messages call it.
    pub fn reader(name: impl Into<String>, reader: impl Read + Send + 'static) -> Self {
        Self::reader_with(name, reader, Edits::new())
    }

    /// Reads any reader of requests in the Batch format, and sets fields of their bodies.
    pub fn reader_with(
        name: impl Into<String>,
        reader: impl Read + Send + 'static,
        edits: Edits,
    ) -> Self {
        let source = Source::Stream(Box::new(reader));
        Self::new(name.into(), source, Making::Lines(edits))
    }

    /// Reads a file of rows, of each of which `prompt` makes a request. What they are written in is
    /// [what the name says](RowFormat::of).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be read, [`Error::Input`] when it is of another format, holds no
    /// row, has not the columns that the prompt names, leaves a quote open, or none of its first
    /// 100 rows makes a request.
    pub fn rows(path: impl AsRef<Path>, prompt: Prompt) -> Result<Self> {
        let format = RowFormat::of(&path);
        Self::rows_in(path, format, prompt)
    }

    /// Reads a file of rows in this format.
    ///
    /// # Errors
    ///
    /// Those of [`Input::rows`].
    pub fn rows_in(path: impl AsRef<Path>, format: RowFormat, prompt: Prompt) -> Result<Self> {
        Self::open(path.as_ref(), Making::Rows(format, Box::new(prompt)))
    }

    /// Reads any reader of rows; `name` is what messages call it. Whether it has the columns that
    /// the prompt names is seen when a run begins.
    pub fn rows_reader(
        name: impl Into<String>,
        reader: impl Read + Send + 'static,
        format: RowFormat,
        prompt: Prompt,
    ) -> Self {
        let source = Source::Stream(Box::new(reader));
        Self::new(name.into(), source, Making::Rows(format, Box::new(prompt)))
    }

    /// Takes one part of the requests: part `index` of `count`, the first of which is 1. The parts
    /// are disjoint, and together they are everything: each request belongs to the one that the
    /// XXH64 of its `custom_id` modulo `count` names, also when lines are added, sorted or taken
    /// out. So parts are equal on the whole only. The names of outputs get the part in them.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] unless `index` is from 1 to `count`.
    pub fn shard(mut self, index: u32, count: u32) -> Result<Self> {
        self.shard = Some(Shard::new(index, count)?);
        self.total = OnceLock::new();
        Ok(self)
    }

    fn new(name: String, source: Source, making: Making) -> Self {
        Self {
            name,
            path: None,
            source,
            making,
            shard: None,
            total: OnceLock::new(),
            size: u64::MAX,
        }
    }

    fn open(path: &Path, making: Making) -> Result<Self> {
        let fail = |error| Error::io(path, error);
        let file = File::open(path).map_err(fail)?;
        let data = file.metadata().map_err(fail)?;
        if data.is_dir() {
            return Err(fail(io::ErrorKind::IsADirectory.into()));
        }
        let name = path.display().to_string();
        let source = match data.is_file() {
            true => Source::File(file),
            // What is no file, such as a pipe, can be gone through only once.
            false => Source::Stream(Box::new(file)),
        };
        let mut input = Self::new(name, source, making);
        input.path = Some(path.to_owned());
        if data.is_file() {
            input.size = data.len();
        }
        if let Some(records) = input.look()? {
            begin(records)?;
        }
        if input.is_table() {
            // A quote that is left open is found by reading on.
            input.total = OnceLock::from(input.count()?);
        }
        Ok(input)
    }

    /// The models that its requests ask for, each with the first line that does: of a prompt, its
    /// own; of a file of requests, by going through it once. `None` for what comes once, and where the model
    /// depends on the row. Lines that
    /// cannot be read name no model, and of more than 10,000 models the others are left out.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read.
    pub fn models(&self) -> Result<Option<BTreeMap<String, u64>>> {
        let stated = match &self.making {
            Making::Rows(_, prompt) => Some(prompt.model()),
            Making::Lines(edits) => edits.stated_model().map(Some),
        };
        if let Some(stated) = stated {
            return Ok(stated.map(|model| BTreeMap::from([(model, 1)])));
        }
        self.look()?.map(asked::models).transpose()
    }

    /// The rows of a table, or the lines of a file of requests, for their ids alone.
    pub(super) fn for_ids(
        path: &Path,
        format: Option<RowFormat>,
        id_column: Option<&str>,
        shard: Option<(u32, u32)>,
    ) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io(path, error))?;
        let making = match format {
            Some(format) => Making::Rows(format, Box::new(Prompt::for_ids(id_column))),
            None => Making::Lines(Edits::new()),
        };
        let input = Self::new(path.display().to_string(), Source::File(file), making);
        match shard {
            Some((index, count)) => input.shard(index, count),
            None => Ok(input),
        }
    }

    /// What it holds, from its start. `None` of what comes once.
    pub(super) fn look(&self) -> Result<Option<Records>> {
        let Source::File(file) = &self.source else {
            return Ok(None);
        };
        let making = self.making.clone();
        Records::open(&self.name, self.rewound(file)?, making, self.shard).map(Some)
    }

    /// What messages call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// True for a file, which can be gone through as often as needed.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// True for rows whose ids are their numbers.
    pub(super) fn has_ids_by_position(&self) -> bool {
        matches!(&self.making, Making::Rows(_, prompt) if prompt.has_ids_by_position())
    }

    /// The same file, to be read once more. `None` of what comes once.
    pub(super) fn again(&self) -> Option<Self> {
        let Source::File(file) = &self.source else {
            return None;
        };
        Some(Self {
            name: self.name.clone(),
            path: self.path.clone(),
            source: Source::File(file.try_clone().ok()?),
            making: self.making.clone(),
            shard: self.shard,
            total: OnceLock::new(),
            size: self.size,
        })
    }

    /// How long the file is, to be compared later. `None` of what comes once.
    pub(super) fn size(&self) -> Option<Size> {
        let Source::File(file) = &self.source else {
            return None;
        };
        Some(Size {
            file: file.try_clone().ok()?,
            name: self.name.clone(),
            size: self.size,
        })
    }

    /// Has `look` go through what it holds, as far as it wants, before it is run.
    ///
    /// # Errors
    ///
    /// When what comes once cannot be kept on the disk.
    pub(super) fn look_through<T: Default>(
        &mut self,
        look: impl FnOnce(&mut Records) -> T,
    ) -> Result<T> {
        // What cannot be read is said when it is run.
        let Source::Stream(reader) = &mut self.source else {
            let records = self.look().ok().flatten();
            return Ok(records.map_or_else(T::default, |mut records| look(&mut records)));
        };
        let fail = |error| Error::io(&self.name, error);
        let once = Once::of(std::mem::replace(reader, Box::new(io::empty()))).map_err(fail)?;
        let packed = once.first_time().map_err(fail)?;
        let records = self
            .text(unpacked(packed))
            .and_then(|text| Records::open(&self.name, text, self.making.clone(), self.shard));
        let seen = records.map_or_else(|_| T::default(), |mut records| look(&mut records));
        self.source = Source::Stream(Box::new(once.second_time().map_err(fail)?));
        Ok(seen)
    }

    /// The file, if it is one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Where an output goes unless it is said: beside the input, with the part in its name.
    pub(super) fn beside(&self, what: &str) -> PathBuf {
        let base = without_packing(self.path().unwrap_or(Path::new("paceline")));
        base.with_extension(match self.shard {
            None => format!("{what}.jsonl"),
            Some(shard) => format!("{what}.{}.jsonl", shard.label()),
        })
    }

    /// How many requests it has, if that is known: those of its part. The first time, a file is
    /// gone through for it.
    pub(super) fn total(&self) -> Option<u64> {
        // What cannot be read is said when it is run.
        *self.total.get_or_init(|| self.count().ok().flatten())
    }

    fn is_table(&self) -> bool {
        matches!(&self.making, Making::Rows(format, _) if format.is_table())
    }

    fn count(&self) -> Result<Option<u64>> {
        if let Source::File(file) = &self.source
            && self.shard.is_none()
            && !self.is_table()
        {
            let count = count_lines(self.rewound(file)?);
            return count
                .map(Some)
                .map_err(|error| Error::io(&self.name, error));
        }
        let Some(mut records) = self.look()? else {
            return Ok(None);
        };
        let mut count = 0;
        while records.advance()? {
            count += 1;
        }
        Ok(Some(count))
    }

    /// Reads the first lines of what comes once, which may be a wait; they can be read again.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be read, [`Error::Input`] when it is refused as a whole.
    pub(super) fn check(&mut self) -> Result<()> {
        let Source::Stream(reader) = &mut self.source else {
            return Ok(()); // it was checked when it was opened
        };
        let fail = |error| Error::io(&self.name, error);
        let once = Once::of(std::mem::replace(reader, Box::new(io::empty()))).map_err(fail)?;
        let packed = once.first_time().map_err(fail)?;
        let text = self.text(unpacked(packed))?;
        begin(Records::open(
            &self.name,
            text,
            self.making.clone(),
            self.shard,
        )?)?;
        self.source = Source::Stream(Box::new(once.second_time().map_err(fail)?));
        Ok(())
    }

    /// Its requests, of whose ids earlier runs know this.
    pub(super) fn requests(self, ids: Ids) -> Requests {
        Requests {
            name: self.name.clone(),
            is_at_hand: self.is_file(),
            input: Some(self),
            begun: None,
            size: 0,
            ids,
            buffer: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Reads as far as it takes to know the columns, which on a pipe may be a wait.
    fn records(mut self) -> Result<Records> {
        let nothing = Source::Stream(Box::new(io::empty()));
        let reader = match std::mem::replace(&mut self.source, nothing) {
            Source::Stream(reader) => self.text(unpacked(reader))?,
            Source::File(file) => self.rewound(&file)?,
        };
        Records::open(&self.name, reader, self.making, self.shard)
    }

    /// The file from its start, unpacked and in UTF-8.
    fn rewound(&self, file: &File) -> Result<Box<dyn BufRead + Send>> {
        let file = FromStart::of(file, self.size).map_err(|error| Error::io(&self.name, error))?;
        self.text(unpacked(file))
    }

    /// What it holds, in UTF-8.
    fn text(&self, reader: Box<dyn BufRead + Send>) -> Result<Box<dyn BufRead + Send>> {
        let lone_return = match self.is_table() {
            true => LoneReturn::Stays,
            false => LoneReturn::EndsLine,
        };
        let text = text(reader, lone_return).map_err(|error| Error::io(&self.name, error))?;
        text.map_err(|foreign| foreign.error(&self.name))
    }
}

/// The text of a reader, unpacked, and decoded if it is in UTF-16; `name` is what messages call it.
/// Waits for its first line, or its first 512 bytes. A `\x1a` at its end is left out.
///
/// # Errors
///
/// [`Error::Io`] when it cannot be read, [`Error::Input`] when it is of another format.
pub fn plain_text(
    name: &str,
    reader: impl Read + Send + 'static,
) -> Result<Box<dyn BufRead + Send>> {
    let text = text(unpacked(reader), LoneReturn::Stays);
    let text = text.map_err(|error| Error::io(name, error))?;
    text.map_err(|foreign| foreign.error(name))
}

/// A path without an ending that says how the file is packed.
fn without_packing(path: &Path) -> PathBuf {
    let is_packing = |end: &std::ffi::OsStr| {
        let mut known = ["gz", "gzip", "zst", "zstd"].into_iter();
        known.any(|packing| end.eq_ignore_ascii_case(packing))
    };
    match path.extension() {
        Some(end) if is_packing(end) => path.with_extension(""),
        _ => path.to_owned(),
    }
}

/// One request of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) line: u64,
    pub(super) custom_id: String,
    pub(super) url: String,
    pub(super) body: Value,
    /// The body as it is sent, unless that is what the value has.
    pub(super) text: Option<String>,
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

/// What is read of a line.
pub(super) enum LineRead {
    Request(Request),
    Bad(BadLine),
    /// It has a result of its own request.
    Finished,
}

/// The requests of an input, one by one.
pub(super) struct Requests {
    name: String,
    is_at_hand: bool,
    /// Until the first of them is read.
    input: Option<Input>,
    begun: Option<Begun>,
    /// The bytes of the line that was read last, about.
    size: usize,
    ids: Ids,
    /// For the work on each line.
    buffer: Vec<u8>,
    /// Unknown endpoints that a warning has named.
    told: Vec<String>,
}

/// Unknown endpoints that warnings name, at most: memory and log do not grow with the file.
const MOST_TOLD: usize = 16;

impl Requests {
    /// What messages call the input.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the next one is there as soon as it is asked for, as in a file, and need not arrive.
    pub(super) fn is_at_hand(&self) -> bool {
        self.is_at_hand
    }

    /// The bytes of the one that was read last, about.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The next request, or what is wrong with its line. `None` at the end.
    #[cfg(test)]
    pub(super) fn next(&mut self) -> Result<Option<Result<Request, BadLine>>> {
        match self.next_line(|_, _| {})? {
            Some(LineRead::Request(request)) => Ok(Some(Ok(request))),
            Some(LineRead::Bad(bad)) => Ok(Some(Err(bad))),
            Some(LineRead::Finished) | None => Ok(None),
        }
    }

    /// The next line. `None` at the end. A line that has a result of its own request, which a glance at
    /// most lines shows, is not parsed; it goes to `finished`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the input cannot be read on, [`Error::Input`] when it is refused as a whole,
    /// or what follows is no table any more.
    pub(super) fn next_line(
        &mut self,
        finished: impl FnOnce(&str, Fingerprint),
    ) -> Result<Option<LineRead>> {
        if let Some(input) = self.input.take() {
            self.begun = Some(begin(input.records()?)?);
        }
        let Some(begun) = &mut self.begun else {
            return Ok(None); // it could not be opened
        };
        let (ids, buffer) = (&mut self.ids, &mut self.buffer);
        let is_done = |records: &Records| {
            let plain = records.plain(buffer);
            let Some(Plain { id, print }) = plain else {
                return false;
            };
            let is_done = ids.meet_finished(id, print, records.line());
            if is_done {
                finished(id, print);
            }
            is_done
        };
        match begun.next(is_done)? {
            None => Ok(None),
            Some(Next::Done { size }) => {
                self.size = size;
                Ok(Some(LineRead::Finished))
            }
            Some(Next::Line(First { line, size, draft })) => {
                self.size = size;
                Ok(Some(match self.parse(line, draft) {
                    Ok(request) => LineRead::Request(request),
                    Err(bad) => LineRead::Bad(bad),
                }))
            }
        }
    }

    fn parse(&mut self, line: u64, draft: Result<Draft, String>) -> Result<Request, BadLine> {
        let bad = |custom_id: Option<&str>, message: String| BadLine {
            line,
            custom_id: custom_id.map(str::to_owned),
            message: format!("{}:{line}: {message}", self.name),
        };
        let Draft { id, request } = draft.map_err(|message| bad(None, message))?;
        let known = self.ids.meet(&id, line);
        if let Some(Known::Line(first)) = known {
            let message = format!("custom_id {id:?} stands in line {first} already");
            return Err(bad(Some(&id), message));
        }
        let Asked { url, body, text } = request.map_err(|message| bad(Some(&id), message))?;
        if !is_known(&url) && self.told.len() < MOST_TOLD && !self.told.contains(&url) {
            log::warn!(
                "{}:{line}: url: {url:?} is no endpoint that is known; its requests are sent, and \
                 counted by their characters",
                self.name
            );
            self.told.push(url.clone());
        }
        Ok(Request {
            line,
            custom_id: id,
            url,
            body,
            text,
            known,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn requests(text: &str) -> Requests {
        let bytes = io::Cursor::new(text.as_bytes().to_vec());
        Input::reader("in.jsonl", bytes).requests(Ids::default())
    }

    /// What is said of a line behind one that is good.
    fn bad(text: &str) -> BadLine {
        let good = r#"{"custom_id":"good","url":"/v1/embeddings","body":{"model":"m"}}"#;
        let mut requests = requests(&format!("{good}\n{text}"));
        assert!(requests.next().unwrap().unwrap().is_ok());
        requests.next().unwrap().unwrap().unwrap_err()
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
            ("{=>", "in.jsonl:2: column 12: trailing characters"),
            (
                "}}=>}",
                "in.jsonl:2: column 76: EOF while parsing an object",
            ),
            (r#""custom_id":"a",=>"#, "custom_id: a string is needed"),
            (r#":"a"=>:7"#, "custom_id: a string is needed"),
            ("POST=>GET", "method: \"POST\" is needed, not \"GET\""),
            ("\"POST\"=>null", "method: \"POST\" is needed, not null"),
            (
                "/v1/embeddings=>v1/embeddings",
                "url: \"v1/embeddings\" is no path",
            ),
            ("/v1/embeddings=>http://h/v1/embeddings", "is no path"),
            ("/v1/embeddings=>//h/v1/embeddings", "is no path"),
            ("/v1/embeddings=>/v1/embeddings?x", "is no path"),
            ("/v1/embeddings=>/", "is no path"),
            (r#""url":"/v1/embeddings",=>"#, "url: an endpoint"),
            (r#"{"model":"m"}=>[]"#, "body: an object is needed"),
            (r#":"m"=>:7"#, "body.model: the name of a model is needed"),
            (r#":"m"=>:" ""#, "body.model"),
            (r#":"m"=>:"m","stream":true"#, "body.stream"),
        ];
        for (step, (change, message)) in table.into_iter().enumerate() {
            let bad = bad(&line(change));
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
    fn a_list_is_no_request_and_of_a_field_that_stands_twice_the_last_counts() {
        let list = r#"["a","POST","/v1/embeddings",{"model":"m"}]"#;
        let bad = bad(list);
        assert!(
            bad.message.contains("a JSON object is needed"),
            "{}",
            bad.message
        );
        let twice = line(r#""custom_id":"a"=>"custom_id":7,"more":{"x":[]},"custom_id":"b""#);
        let request = requests(&twice).next().unwrap().unwrap().unwrap();
        assert_eq!(request.custom_id, "b");
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
            let bad = bad(text);
            assert_eq!(bad.message, "in.jsonl:2: a JSON object is needed", "{text}");
        }
    }

    #[test]
    fn an_input_without_a_line_is_no_input() {
        for text in ["", "\n \n", "\u{feff}", "\u{feff}\r\n"] {
            let error = requests(text).next().unwrap_err().to_string();
            assert_eq!(error, "in.jsonl: no requests in it", "{text:?}");
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
