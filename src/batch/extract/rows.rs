//! The rows of an input with their answers beside them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::answer::{Answer, Said};
use super::format::Format;
use super::index::Index;
use super::sheet::Sheet;
use super::vectors::{Matrix, Vectors};
use super::{Extracted, Line};
use crate::batch::budget::prices::Prices;
use crate::batch::fs::{is_same_file, system, write_whole};
use crate::batch::input::{Input, Records, RowFormat};
use crate::batch::json::Json;
use crate::batch::read::requests::RequestSet;
use crate::client::used_by;
use crate::cost::ServiceTier;
use crate::{Error, Result};

/// Columns that a table of JSON lines may have, at most. Further ones are left out of CSV.
const MOST_COLUMNS: usize = 10_000;

/// What a row says that has no line among the results.
pub(super) const NOT_SENT: &str = "no answer yet: the run has not come to it";

/// The rows of an input in their order, with their own columns, each with its answer. A row without an answer
/// stays, with the reason.
///
/// | column | what it holds |
/// |---|---|
/// | `custom_id` | the id of the request, unless a column of the table has it |
/// | `answer` | the answer, as of an [`Extract`](super::Extract) |
/// | a column for each property of the [schema](ExtractRows::schema) | what the answer says of it |
/// | `finish_reason` | why the answer ended, such as `stop` or `length` |
/// | `refusal` | what the model says when it refuses |
/// | `error` | why there is no answer |
/// | `input_tokens`, `output_tokens` | what the request used |
/// | `cost` | what it cost, with [prices](ExtractRows::prices) |
///
/// A name that a column of the table has already is followed by `_2`. Written as CSV if the name ends in
/// `.csv`, as TSV if it ends in `.tsv`, as JSONL if it ends in `.jsonl`. It takes 29 bytes of memory for each id,
/// however long the answers are.
///
/// ```no_run
/// use paceline::batch::{ExtractRows, RowFormat};
///
/// let parts = ["reviews.results.1-of-2.jsonl", "reviews.results.2-of-2.jsonl"];
/// let extract = ExtractRows::of_table("reviews.csv", RowFormat::Csv, parts).id_column("sku");
/// let done = extract.write("answers.csv")?;
/// println!("{} of {} rows have an answer", done.answers, done.rows);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is extracted until it is written"]
pub struct ExtractRows {
    input: PathBuf,
    format: Option<RowFormat>,
    results: Vec<PathBuf>,
    id_column: Option<String>,
    embed_column: Option<String>,
    shard: Option<(u32, u32)>,
    properties: Vec<String>,
    json_answers: bool,
    raw_csv: bool,
    only: Option<RequestSet>,
    prices: Option<Prices>,
}

impl ExtractRows {
    /// The rows of a table, with the answers in these files: results and errors, of one run or of all parts.
    pub fn of_table<P: Into<PathBuf>>(
        input: impl Into<PathBuf>,
        format: RowFormat,
        results: impl IntoIterator<Item = P>,
    ) -> Self {
        Self::of(input.into(), Some(format), results)
    }

    /// The requests of a Batch file, with the answers in these files.
    pub fn of_requests<P: Into<PathBuf>>(
        input: impl Into<PathBuf>,
        results: impl IntoIterator<Item = P>,
    ) -> Self {
        Self::of(input.into(), None, results)
    }

    fn of<P: Into<PathBuf>>(
        input: PathBuf,
        format: Option<RowFormat>,
        results: impl IntoIterator<Item = P>,
    ) -> Self {
        Self {
            input,
            format,
            results: results.into_iter().map(Into::into).collect(),
            id_column: None,
            embed_column: None,
            shard: None,
            properties: Vec::new(),
            json_answers: false,
            raw_csv: false,
            only: None,
            prices: None,
        }
    }

    /// Sets the column that holds the ids, as of [`Prompt::id_column`](crate::batch::Prompt::id_column).
    /// Default: ids are the numbers of rows.
    pub fn id_column(mut self, column: impl Into<String>) -> Self {
        self.id_column = Some(column.into());
        self
    }

    /// Sets the column whose texts were embedded, as of
    /// [`Prompt::embed_column`](crate::batch::Prompt::embed_column). Each row then has the columns `embedding` and
    /// `error` in place of those above. A name that ends in `.npy` gets a matrix of 32-bit floats with a row for
    /// each row of the input, those without a vector as NaN. Default: none.
    pub fn embed_column(mut self, column: impl Into<String>) -> Self {
        self.embed_column = Some(column.into());
        self
    }

    /// Takes the rows of one part alone, as of [`Input::shard`](crate::batch::Input::shard). Default: all rows.
    pub fn shard(mut self, index: u32, count: u32) -> Self {
        self.shard = Some((index, count));
        self
    }

    /// Sets the JSON schema of the answers: each of its properties gets a column, and answers that are JSON are
    /// put into JSONL as JSON. Default: none.
    pub fn schema(mut self, schema: &Value) -> Self {
        let properties = schema.get("properties").and_then(Value::as_object);
        self.properties = properties.map_or_else(Vec::new, |it| it.keys().cloned().collect());
        self.json_answers = true;
        self
    }

    /// Sets whether answers that are JSON are put into JSONL as JSON. Default: false, with a
    /// [schema](Self::schema) true.
    pub fn json_answers(mut self, json: bool) -> Self {
        self.json_answers = json;
        self
    }

    /// Sets whether cells that are added to CSV are left as they are, as of
    /// [`Extract::raw_csv`](super::Extract::raw_csv). The table's own cells always are. Default: false.
    pub fn raw_csv(mut self, raw: bool) -> Self {
        self.raw_csv = raw;
        self
    }

    /// Takes the answers to these requests alone, as of [`Extract::only`](super::Extract::only). Default: all.
    pub fn only(mut self, requests: &RequestSet) -> Self {
        self.only = Some(requests.clone());
        self
    }

    /// Sets what tokens cost, for the column `cost`. Default: no such column.
    pub fn prices(mut self, prices: Prices) -> Self {
        self.prices = Some(prices);
        self
    }

    /// Writes them. The file is there when it is whole: until then it is written beside its place, and what
    /// stood there stays.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a name with another ending, [`Error::Io`] when a file cannot be read or written,
    /// [`Error::Input`] when the input cannot be read on, [`Error::Batch`] when a file of results is none, or
    /// would be overwritten.
    pub fn write(&self, to: impl AsRef<Path>) -> Result<Extracted> {
        let to = to.as_ref();
        let format = match self.embed_column {
            Some(_) => Format::of(to)?,
            None => Format::of(to)?.of_answers(to)?,
        };
        let read = self.results.iter().chain([&self.input]);
        for path in read {
            if is_same_file(path, to) {
                let message = format!("{}: it would overwrite what it is made of", to.display());
                return Err(Error::Batch(message));
            }
        }
        let mut found = Extracted::default();
        let index = Index::read(&self.results, self.only.as_ref(), &mut found)?;
        if let Some(column) = &self.embed_column {
            self.write_vectors(to, format, column, &index, &mut found)?;
            return Ok(found);
        }
        let own = self.columns(format)?;
        let added = self.added(&own);
        let mut records = self.records()?;
        write_whole(&system(), to, |writer| {
            let fail = |error| Error::io(to, error);
            let mut sheet = Sheet::new(writer, format, own, self.raw_csv);
            sheet.begin(&added).map_err(fail)?;
            while advance(&mut records)? {
                let cells = self.cells_of(&records, &index, &mut found)?;
                let put = sheet.put(&records.cells(), &added, &cells);
                put.map_err(fail)?;
                found.rows += 1;
            }
            sheet.end().map_err(fail)
        })?;
        Ok(found)
    }

    fn write_vectors(
        &self,
        to: &Path,
        format: Format,
        column: &str,
        index: &Index,
        found: &mut Extracted,
    ) -> Result<()> {
        let mut vectors = Vectors::new(index, column, &mut self.records()?)?;
        let mut records = self.records()?;
        let fail = |error| Error::io(to, error);
        if format == Format::Npy {
            let (rows, length) = (vectors.rows, vectors.length()?);
            return write_whole(&system(), to, |writer| {
                let mut matrix = Matrix::begin(writer, rows, length).map_err(fail)?;
                while advance(&mut records)? {
                    let vector = vectors.of_row(&records)?.ok();
                    let is_there = matrix.put(vector.as_ref()).map_err(fail)?;
                    found.rows += 1;
                    found.answers += u64::from(is_there);
                }
                Ok(())
            });
        }
        let own = self.columns(format)?;
        let names = ["embedding", "error"];
        let mut added = free_names(&own, &names);
        if self.id_column.is_none() {
            added.splice(0..0, free_names(&own, &["custom_id"]));
        }
        write_whole(&system(), to, |writer| {
            let mut sheet = Sheet::new(writer, format, own, self.raw_csv);
            sheet.begin(&added).map_err(fail)?;
            while advance(&mut records)? {
                let (vector, error) = match vectors.of_row(&records)? {
                    Ok(vector) => (vector.said(), Said::Nothing),
                    Err(reason) => (Said::Nothing, Said::Text(reason)),
                };
                found.rows += 1;
                found.answers += u64::from(!vector.is_nothing());
                let id = self.id_column.is_none().then(|| records.id());
                let id = id.map(|id| id.map_or(Said::Nothing, Said::Text));
                let cells: Vec<Said> = id.into_iter().chain([vector, error]).collect();
                let put = sheet.put(&records.cells(), &added, &cells);
                put.map_err(fail)?;
            }
            sheet.end().map_err(fail)
        })
    }

    fn records(&self) -> Result<Records> {
        let input = Input::for_ids(
            &self.input,
            self.format,
            self.id_column.as_deref(),
            self.shard,
        )?;
        let records = input.look()?;
        records.ok_or_else(|| Error::Batch(format!("{}: is no file", self.input.display())))
    }

    /// The input's own columns. Those of JSON lines are found by reading all of them, where they are needed.
    fn columns(&self, format: Format) -> Result<Vec<String>> {
        let mut records = self.records()?;
        if let Some(header) = records.header() {
            return Ok(header.to_vec());
        }
        let mut columns = Vec::new();
        let mut known = std::collections::HashSet::new();
        while advance(&mut records)? {
            for (name, _) in records.cells() {
                if !known.contains(&*name) && columns.len() < MOST_COLUMNS {
                    known.insert(name.to_string());
                    columns.push(name.into_owned());
                }
            }
            if format == Format::Jsonl && columns.len() >= MOST_COLUMNS {
                break;
            }
        }
        Ok(columns)
    }

    /// The names of the columns that are added.
    fn added(&self, own: &[String]) -> Vec<String> {
        let mut names = Vec::new();
        if self.id_column.is_none() {
            names.push("custom_id");
        }
        names.push("answer");
        names.extend(self.properties.iter().map(String::as_str));
        names.extend([
            "finish_reason",
            "refusal",
            "error",
            "input_tokens",
            "output_tokens",
        ]);
        if self.prices.is_some() {
            names.push("cost");
        }
        free_names(own, &names)
    }

    /// The cells that are added to a row.
    fn cells_of(
        &self,
        records: &Records,
        index: &Index,
        found: &mut Extracted,
    ) -> Result<Vec<Said>> {
        let mut of_row = Cells::default();
        let id = match records.id() {
            Ok(id) => id,
            Err(message) => {
                of_row.error = Said::Text(message);
                String::new()
            }
        };
        let line = match id.is_empty() {
            true => None,
            false => index.line(&id)?,
        };
        match &line {
            Some((text, true)) => {
                if let Some(Line::Answer { body, .. }) = Line::read(text) {
                    self.read_answer(body, &mut of_row);
                    found.answers += 1;
                }
            }
            Some((text, false)) => of_row.error = Said::Text(reason_in(text)),
            None if of_row.error.is_nothing() => of_row.error = Said::Text(NOT_SENT.to_owned()),
            None => {}
        }
        let mut cells = Vec::with_capacity(self.properties.len() + 8);
        if self.id_column.is_none() {
            cells.push(match id.is_empty() {
                true => Said::Nothing,
                false => Said::Text(id),
            });
        }
        cells.push(of_row.answer);
        let mut properties = of_row.properties;
        properties.resize(self.properties.len(), Said::Nothing);
        cells.append(&mut properties);
        cells.extend([of_row.reason, of_row.refusal, of_row.error]);
        cells.extend([of_row.input_tokens, of_row.output_tokens]);
        if self.prices.is_some() {
            cells.push(of_row.cost);
        }
        Ok(cells)
    }

    fn read_answer(&self, body: Json<'_>, row: &mut Cells) {
        let answer = Answer::of(body);
        let answer = match self.json_answers {
            true => answer.parsed(),
            false => answer,
        };
        if !self.properties.is_empty()
            && let Said::Json(json) = &answer.answer
        {
            let fields = Json::read(json).and_then(Json::fields).unwrap_or_default();
            let of = |name: &String| {
                let mut fields = fields.iter().rev();
                let value = fields.find_map(|(field, value)| (field == name).then_some(*value));
                Said::of_any(value)
            };
            row.properties = self.properties.iter().map(of).collect();
        }
        let (usage, tier) = used_by(body.as_str());
        if let Some(usage) = usage {
            row.input_tokens = Said::Json(usage.input_tokens.to_string());
            row.output_tokens = Said::Json(usage.output_tokens.to_string());
            let model = body.field("model").and_then(Json::text);
            let prices = self.prices.as_ref();
            let cost = prices.zip(model).and_then(|(prices, model)| {
                prices.cost_in(tier.unwrap_or(ServiceTier::Standard), &model, usage)
            });
            if let Some(cost) = cost {
                let digits = format!("{cost:.12}");
                let digits = digits.trim_end_matches('0').trim_end_matches('.');
                row.cost = Said::Json(digits.to_owned());
            }
        }
        row.answer = answer.answer;
        row.reason = answer.ended;
        row.refusal = answer.refusal;
    }
}

/// What is added to a row.
#[derive(Default)]
struct Cells {
    answer: Said,
    properties: Vec<Said>,
    reason: Said,
    refusal: Said,
    error: Said,
    input_tokens: Said,
    output_tokens: Said,
    cost: Said,
}

/// The names, with a number where the table has one already.
fn free_names(own: &[String], names: &[&str]) -> Vec<String> {
    let mut free: Vec<String> = Vec::new();
    for name in names {
        let mut candidate = (*name).to_owned();
        let mut number = 2;
        while own.contains(&candidate) || free.contains(&candidate) {
            candidate = format!("{name}_{number}");
            number += 1;
        }
        free.push(candidate);
    }
    free
}

/// Goes to the next row. An input without rows has none.
pub(super) fn advance(records: &mut Records) -> Result<bool> {
    match records.advance() {
        Err(Error::Input { message, .. }) if message.ends_with("no requests in it") => Ok(false),
        advanced => advanced,
    }
}

/// Why the request of a line failed.
pub(super) fn reason_in(line: &str) -> String {
    let Some(line) = Json::read(line) else {
        return "the line of the failure cannot be read".to_owned();
    };
    let text = |json: Option<Json<'_>>| {
        let json = json.filter(|json| !json.is_null())?;
        Some(
            json.text()
                .map_or_else(|| json.compact(), std::borrow::Cow::into_owned),
        )
    };
    let error = line.field("error").filter(|error| !error.is_null());
    if let Some(message) = text(error.and_then(|error| error.field("message"))) {
        return message;
    }
    let response = line.field("response");
    let status = response.and_then(|it| it.field("status_code"));
    let status = status.map_or("", Json::as_str);
    let body = response
        .and_then(|it| it.field("body"))
        .unwrap_or(Json::NULL);
    let said = body
        .field("error")
        .filter(|it| !it.is_null())
        .unwrap_or(body);
    let message = text(said.field("message")).or_else(|| text(Some(said)));
    let message = message.unwrap_or_default();
    match message.is_empty() {
        true => format!("status {status}"),
        false => format!("status {status}: {message}"),
    }
}
