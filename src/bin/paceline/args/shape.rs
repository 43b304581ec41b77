//! What the input is made of, and what is taken of it and of the results.

use std::path::PathBuf;

use clap::Args;

use super::FILES;
use super::values::{Shard, Table, at_least_one};

const PROMPTS: &str = "Prompts over a table";

#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// Take one part of the requests, such as 1/8 to 8/8, each in a process of its own
    ///
    /// A request belongs to the part that the hash of its id names, also when lines are added
    /// or sorted. All files that are written get the part in their names, those too that are named:
    /// in.results.1-of-8.jsonl, out.1-of-8.jsonl for --output out.jsonl.
    #[arg(long, value_name = "I/N", help_heading = FILES)]
    pub(crate) shard: Option<Shard>,
    /// Write the answers alone at the end: as CSV if the name ends in .csv, otherwise as JSONL
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    pub(crate) extract: Option<PathBuf>,
    /// With --extract as JSONL: answers that are JSON stand there as JSON [default: with --schema]
    #[arg(long, requires = "extract", help_heading = FILES)]
    pub(crate) extract_json: bool,
    /// With --extract as CSV: leave cells that a spreadsheet would run as formulas unmarked, for programs
    #[arg(long, requires = "extract", help_heading = FILES)]
    pub(crate) csv_raw: bool,

    /// Make a chat request of each row of INPUT, a table: {column} takes its value
    ///
    /// {{ and }} are braces. @FILE is the text of a file, without its last line end. Rows are CSV
    /// or TSV with a header, JSONL objects, or lines of text with --rows lines.
    #[arg(long, value_name = "TEXT", requires = "model", help_heading = PROMPTS)]
    pub(crate) prompt: Option<String>,
    /// Instructions before the prompt, written as it is
    #[arg(long, value_name = "TEXT", requires = "prompt", help_heading = PROMPTS)]
    pub(crate) system: Option<String>,
    /// The model that is asked
    #[arg(long, value_name = "NAME", requires = "prompt", help_heading = PROMPTS)]
    pub(crate) model: Option<String>,
    /// Most tokens of an answer, reasoning included; a tight cap is speed
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "prompt", help_heading = PROMPTS)]
    pub(crate) max_tokens: Option<usize>,
    /// A JSON schema that each answer follows, strictly
    #[arg(long, value_name = "FILE", requires = "prompt", help_heading = PROMPTS)]
    pub(crate) schema: Option<PathBuf>,
    /// The column that holds the ids of requests [default: row-1, row-2 and so on]
    #[arg(long, value_name = "COLUMN", requires = "prompt", help_heading = PROMPTS)]
    pub(crate) id: Option<String>,
    /// What the rows are [default: csv if INPUT ends in .csv, tsv if it ends in .tsv, otherwise jsonl; .gz or .zst may follow]
    #[arg(long, value_name = "FORMAT", requires = "prompt", help_heading = PROMPTS)]
    pub(crate) rows: Option<Table>,
}
