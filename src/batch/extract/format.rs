//! The formats in which answers are written, by the endings of names.

use std::path::Path;

use crate::{Error, Result};

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Format {
    Csv,
    Tsv,
    Jsonl,
    /// A matrix, of embeddings alone.
    Npy,
}

/// Checks that answers can be written to a file of this name: `.csv`, `.tsv` (or `.tab`), `.jsonl` (or
/// `.ndjson`). What is no file, such as a pipe or a device, is written as JSONL.
///
/// ```
/// use paceline::batch::check_answers_name;
///
/// assert!(check_answers_name("answers.csv").is_ok());
/// assert!(check_answers_name("answers.xlsx").is_err());
/// ```
///
/// # Errors
///
/// [`Error::Config`] for another ending.
pub fn check_answers_name(path: impl AsRef<Path>) -> Result<()> {
    Format::of(path.as_ref())?
        .of_answers(path.as_ref())
        .map(drop)
}

/// The same for vectors, which can be written as a matrix of `NumPy`, too (`.npy`).
///
/// ```
/// use paceline::batch::check_vectors_name;
///
/// assert!(check_vectors_name("matrix.npy").is_ok());
/// ```
///
/// # Errors
///
/// [`Error::Config`] for another ending.
pub fn check_vectors_name(path: impl AsRef<Path>) -> Result<()> {
    Format::of(path.as_ref()).map(drop)
}

impl Format {
    /// The same, unless it is for vectors alone.
    pub(super) fn of_answers(self, path: &Path) -> Result<Self> {
        match self {
            Self::Npy => {
                let message = format!("{}: .npy is for embeddings alone", path.display());
                Err(Error::config("answers", message))
            }
            other => Ok(other),
        }
    }

    pub(super) fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        Ok(match ending.to_str().unwrap_or_default() {
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "jsonl" | "ndjson" => Self::Jsonl,
            "npy" => Self::Npy,
            _ if path.exists() && !path.is_file() => Self::Jsonl,
            _ => {
                return Err(Error::config(
                    "answers",
                    format!(
                        "{}: its ending says in which format answers are written: .csv, .tsv or .jsonl (.npy for embeddings)",
                        path.display()
                    ),
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_the_format() {
        for (name, format) in [
            ("a.csv", Format::Csv),
            ("A.CSV", Format::Csv),
            ("a.b.tsv", Format::Tsv),
            ("a.tab", Format::Tsv),
            ("a.jsonl", Format::Jsonl),
            ("a.ndjson", Format::Jsonl),
        ] {
            assert_eq!(Format::of(Path::new(name)).unwrap(), format, "{name}");
        }
        for name in ["a", "a.json", "a.xlsx", "csv", "a.csv.gz", "a.parquet"] {
            let error = Format::of(Path::new(name)).unwrap_err().to_string();
            assert!(error.contains(".csv, .tsv or .jsonl"), "{error}");
        }
    }
}
