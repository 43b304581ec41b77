//! `paceline extract`.

use std::path::PathBuf;

use clap::Args;

use super::values::Table;

#[derive(Debug, Args)]
pub(crate) struct Extract {
    /// The table or Batch file that was run
    pub(crate) input: PathBuf,
    /// Files of results, of one run or of all parts; the errors beside each are read, too
    ///
    /// Of several answers to one request the last counts.
    #[arg(required = true)]
    pub(crate) results: Vec<PathBuf>,
    /// Write the rows with their answers to FILE: .csv, .tsv or .jsonl
    #[arg(long, short, value_name = "FILE", required = true)]
    pub(crate) output: PathBuf,
    /// The column that holds the ids [default: row-1, row-2 and so on]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) id: Option<String>,
    /// The column whose texts were embedded; FILE may end in .npy then
    #[arg(long, value_name = "COLUMN")]
    pub(crate) embed: Option<String>,
    /// The format of the rows [default: by the ending of INPUT, or a Batch file]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) rows: Option<Table>,
    /// The JSON schema of the answers: each of its properties gets a column
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
    /// Add a column of costs by prices in TOML, or by the built-in ones; repeatable
    #[arg(long, value_name = "FILE|builtin")]
    pub(crate) prices: Vec<PathBuf>,
    /// In JSONL, write answers that are JSON as JSON [default: with --schema]
    #[arg(long)]
    pub(crate) extract_json: bool,
    /// Leave cells that a spreadsheet would run as formulas unmarked, for programs
    #[arg(long)]
    pub(crate) csv_raw: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The table or Batch file that is run
    pub(crate) input: PathBuf,
    /// The results [default: INPUT with .results.jsonl as its extension]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The failures [default: beside the results]
    #[arg(long, value_name = "FILE")]
    pub(crate) errors: Option<PathBuf>,
    /// The format of the rows [default: by the ending of INPUT, or a Batch file]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) rows: Option<Table>,
    /// Compute the cost by prices in TOML, or by the built-in ones; repeatable
    #[arg(long, value_name = "FILE|builtin")]
    pub(crate) prices: Vec<PathBuf>,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
