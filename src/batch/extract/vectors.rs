//! Vectors of rows that were embedded together.

use std::collections::BTreeMap;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Line;
use super::answer::Said;
use super::index::Index;
use super::rows::{NOT_SENT, reason_in};
use crate::Result;
use crate::batch::input::{Records, fault_of_text};
use crate::batch::json::Json;

/// The rows of a request, from its name.
pub(super) fn rows_in(id: &str) -> Option<(u64, u64)> {
    let (first, last) = id.strip_prefix("rows-")?.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first >= 1 && first <= last).then_some((first, last))
}

/// The vectors of an input's rows, taken in the order of the rows.
pub(super) struct Vectors<'a> {
    index: &'a Index,
    column: &'a str,
    /// How many rows of each pack are embedded, by its first row.
    counts: BTreeMap<u64, usize>,
    open: Option<Open>,
    /// All rows of the input.
    pub(super) rows: u64,
}

struct Open {
    last: u64,
    model: String,
    /// Those that are left, or why there are none.
    vectors: Result<std::vec::IntoIter<Vector>, String>,
}

/// One vector.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Vector(pub(super) Vec<f32>);

impl<'a> Vectors<'a> {
    /// Goes through the rows once, to know how many of each pack are embedded.
    pub(super) fn new(index: &'a Index, column: &'a str, records: &mut Records) -> Result<Self> {
        let mut vectors = Self {
            index,
            column,
            counts: BTreeMap::new(),
            open: None,
            rows: 0,
        };
        let mut current = None::<(u64, u64, String)>;
        while super::rows::advance(records)? {
            let number = records.number();
            vectors.rows += 1;
            if current.as_ref().is_none_or(|(_, last, _)| number > *last) {
                current = match index.packs.get(&number) {
                    Some(last) => Some((number, *last, vectors.model_of(number, *last)?)),
                    None => None,
                };
            }
            if let Some((first, _, model)) = &current
                && vectors.fault(records, model).is_none()
            {
                *vectors.counts.entry(*first).or_default() += 1;
            }
        }
        Ok(vectors)
    }

    /// How long the vectors are, by the first that is there.
    pub(super) fn length(&self) -> Result<usize> {
        for (first, last) in &self.index.packs {
            let open = self.open(*first, *last)?;
            if let Ok(mut vectors) = open.vectors
                && let Some(vector) = vectors.next()
            {
                return Ok(vector.0.len());
            }
        }
        Ok(0)
    }

    /// The vector of the next row, or why it has none.
    pub(super) fn of_row(
        &mut self,
        records: &Records,
    ) -> Result<std::result::Result<Vector, String>> {
        let number = records.number();
        if self.open.as_ref().is_none_or(|open| number > open.last) {
            self.open = match self.index.packs.get(&number) {
                Some(last) => Some(self.open(number, *last)?),
                None => None,
            };
        }
        let model = self.open.as_ref().map_or("", |open| open.model.as_str());
        if let Some(fault) = self.fault(records, model) {
            return Ok(Err(fault));
        }
        let Some(open) = &mut self.open else {
            return Ok(Err(NOT_SENT.to_owned()));
        };
        Ok(match &mut open.vectors {
            Ok(vectors) => vectors.next().ok_or_else(|| NOT_SENT.to_owned()),
            Err(reason) => Err(reason.clone()),
        })
    }

    /// Why a row is in no pack.
    fn fault(&self, records: &Records, model: &str) -> Option<String> {
        match records.value(self.column) {
            Ok(text) => fault_of_text(model, self.column, &text),
            Err(fault) => Some(fault),
        }
    }

    fn model_of(&self, first: u64, last: u64) -> Result<String> {
        self.open(first, last).map(|open| open.model)
    }

    fn open(&self, first: u64, last: u64) -> Result<Open> {
        let id = format!("rows-{first}-{last}");
        let line = self.index.line(&id)?;
        let failed = |reason: String| Open {
            last,
            model: String::new(),
            vectors: Err(reason),
        };
        let text = match line {
            None => return Ok(failed(NOT_SENT.to_owned())),
            Some((text, false)) => return Ok(failed(reason_in(&text))),
            Some((text, true)) => text,
        };
        let Some(Line::Answer { body, .. }) = Line::read(&text) else {
            return Ok(failed(NOT_SENT.to_owned()));
        };
        let model = body.field("model").and_then(Json::text);
        let found = vectors_in(body);
        let expected = self.counts.get(&first).copied();
        let vectors = match (found, expected) {
            (None, _) => Err(format!("{id}: its vectors cannot be read")),
            (Some(found), Some(expected)) if found.len() != expected => Err(format!(
                "{id} has {} vectors, and there are {expected} rows to embed now: has the input changed?",
                found.len()
            )),
            (Some(found), _) => Ok(found.into_iter()),
        };
        Ok(Open {
            last,
            model: model.unwrap_or_default().into_owned(),
            vectors,
        })
    }
}

/// The vectors of an answer, in the order of its inputs.
fn vectors_in(body: Json<'_>) -> Option<Vec<Vector>> {
    let items = body.field("data")?.items()?;
    let mut vectors = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().enumerate() {
        let index = item.field("index").and_then(|it| it.as_str().parse().ok());
        let vector = vector_in(item.field("embedding")?)?;
        vectors.push((index.unwrap_or(at), vector));
    }
    vectors.sort_by_key(|(index, _)| *index);
    let is_whole = vectors
        .iter()
        .enumerate()
        .all(|(at, (index, _))| at == *index);
    is_whole.then(|| vectors.into_iter().map(|(_, vector)| vector).collect())
}

/// A list of numbers, or base64 of 32-bit floats, the smallest byte first.
fn vector_in(json: Json<'_>) -> Option<Vector> {
    if let Some(text) = json.text() {
        let bytes = STANDARD.decode(&*text).ok()?;
        let (floats, rest) = bytes.as_chunks::<4>();
        let floats = floats.iter().map(|bytes| f32::from_le_bytes(*bytes));
        return rest.is_empty().then(|| Vector(floats.collect()));
    }
    let numbers = json.items()?.into_iter();
    let numbers: Option<Vec<f32>> = numbers.map(|number| number.as_str().parse().ok()).collect();
    numbers.map(Vector)
}

impl Vector {
    /// As JSON: the fewest digits that tell each number from all others.
    pub(super) fn said(&self) -> Said {
        let mut json = String::from("[");
        for (at, number) in self.0.iter().enumerate() {
            if at > 0 {
                json.push(',');
            }
            match number.is_finite() {
                true => json.push_str(&number.to_string()),
                false => json.push_str("null"),
            }
        }
        json.push(']');
        Said::Json(json)
    }
}

/// A matrix in the format of `NumPy`, row by row.
pub(super) struct Matrix<'a> {
    writer: &'a mut dyn Write,
    length: usize,
}

impl<'a> Matrix<'a> {
    /// Writes the head of version 1.0: what follows begins at a multiple of 64 bytes.
    pub(super) fn begin(writer: &'a mut dyn Write, rows: u64, length: usize) -> io::Result<Self> {
        let mut head =
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {length}), }}");
        let unpadded = 10 + head.len() + 1;
        head.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
        head.push('\n');
        writer.write_all(b"\x93NUMPY\x01\x00")?;
        let size = u16::try_from(head.len()).map_err(io::Error::other)?;
        writer.write_all(&size.to_le_bytes())?;
        writer.write_all(head.as_bytes())?;
        Ok(Self { writer, length })
    }

    /// Writes a row; one without a vector, or with one of another length, is not a number throughout.
    /// Returns whether it is a vector.
    pub(super) fn put(&mut self, vector: Option<&Vector>) -> io::Result<bool> {
        let vector = vector.filter(|vector| vector.0.len() == self.length);
        for at in 0..self.length {
            let number = vector.map_or(f32::NAN, |vector| vector.0[at]);
            self.writer.write_all(&number.to_le_bytes())?;
        }
        Ok(vector.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_read_in_both_forms_and_in_the_order_of_their_inputs() {
        let floats = [0.5_f32, -1.25];
        let bytes: Vec<u8> = floats
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        let base64 = STANDARD.encode(bytes);
        let body = format!(
            r#"{{"data":[{{"index":1,"embedding":[0.1,2]}},{{"index":0,"embedding":"{base64}"}}]}}"#
        );
        let found = vectors_in(Json::read(&body).unwrap()).unwrap();
        assert_eq!(found, [Vector(floats.to_vec()), Vector(vec![0.1, 2.0])]);
        assert_eq!(found[1].said(), Said::Json("[0.1,2]".to_owned()));
        for wrong in [
            r#"{"data":[{"index":1,"embedding":[1]}]}"#,
            r#"{"data":[{"index":0,"embedding":"AAA="}]}"#,
            r#"{"data":[{"index":0,"embedding":["a"]}]}"#,
            r#"{"data":7}"#,
        ] {
            assert_eq!(vectors_in(Json::read(wrong).unwrap()), None, "{wrong}");
        }
    }

    #[test]
    fn a_name_says_which_rows_it_has() {
        assert_eq!(rows_in("rows-1-750"), Some((1, 750)));
        for id in ["rows-0-1", "rows-2-1", "rows-1", "row-1", "rows-a-b"] {
            assert_eq!(rows_in(id), None, "{id}");
        }
    }

    #[test]
    fn a_matrix_has_the_head_of_numpy() {
        let mut bytes = Vec::new();
        let mut matrix = Matrix::begin(&mut bytes, 2, 3).unwrap();
        assert!(matrix.put(Some(&Vector(vec![1.0, 2.0, 3.0]))).unwrap());
        assert!(!matrix.put(None).unwrap());
        assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
        let size = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!((10 + size) % 64, 0);
        let head = std::str::from_utf8(&bytes[10..10 + size]).unwrap();
        assert!(head.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"));
        assert!(head.ends_with('\n'));
        let numbers: Vec<f32> = bytes[10 + size..]
            .chunks(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        assert_eq!(numbers[..3], [1.0, 2.0, 3.0]);
        assert!(numbers[3..].iter().all(|number| number.is_nan()) && numbers.len() == 6);
    }
}
