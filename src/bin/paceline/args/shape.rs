//! What the input is made of, and what is taken of it and of the results.

use std::path::PathBuf;

use clap::Args;

use super::FILES;
use super::values::{Shard, Table, at_least_one};

const PROMPTS: &str = "Prompts over a table";

#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// Send one part of the requests, such as 1/8 to 8/8, each part in a process of its own
    ///
    /// A request belongs to the part that the hash of its id names, also when lines are added
    /// or sorted. All files that are written get the part in their names, those too that are named:
    /// in.results.1-of-8.jsonl, out.1-of-8.jsonl for --output out.jsonl.
    #[arg(long, value_name = "I/N", help_heading = FILES, hide_short_help = true)]
    pub(crate) shard: Option<Shard>,
    /// Write the answers alone at the end: CSV if FILE ends in .csv, else JSONL
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    pub(crate) extract: Option<PathBuf>,
    /// With --extract as JSONL: write answers that are JSON as JSON [default: with --schema]
    #[arg(long, requires = "extract", help_heading = FILES, hide_short_help = true)]
    pub(crate) extract_json: bool,
    /// With --extract as CSV: leave cells that a spreadsheet would run as formulas unmarked, for programs
    #[arg(long, requires = "extract", help_heading = FILES, hide_short_help = true)]
    pub(crate) csv_raw: bool,

    /// Make a chat request of each row of INPUT, a table; {column} takes its value
    ///
    /// {{ and }} are braces. @FILE is the text of a file, without its last line end. Rows are CSV
    /// or TSV with a header, JSONL objects, or lines of text with --rows lines.
    #[arg(long, value_name = "TEXT", requires = "model", help_heading = PROMPTS)]
    pub(crate) prompt: Option<String>,
    /// Set the system message, written as it is
    #[arg(long, value_name = "TEXT", requires = "prompt", help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) system: Option<String>,
    /// Set the model
    #[arg(long, value_name = "NAME", requires = "prompt", help_heading = PROMPTS)]
    pub(crate) model: Option<String>,
    /// Cap the tokens of an answer, reasoning included; a tight cap is faster
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "prompt", help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) max_tokens: Option<usize>,
    /// Make each answer follow this JSON schema, strictly
    #[arg(long, value_name = "FILE", requires = "prompt", help_heading = PROMPTS)]
    pub(crate) schema: Option<PathBuf>,
    /// Take the ids of requests from this column [default: row-1, row-2 and so on]
    #[arg(long, value_name = "COLUMN", requires = "prompt", help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) id: Option<String>,
    /// Set the format of the rows [default: by the ending of INPUT, else jsonl]
    #[arg(long, value_name = "FORMAT", requires = "prompt", help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) rows: Option<Table>,
}
