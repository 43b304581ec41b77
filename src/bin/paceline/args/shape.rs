//! What the input is made of, and what is taken of it and of the results.

use std::path::PathBuf;

use clap::Args;

use super::FILES;
use super::values::{Endpoint, Shard, Table, at_least_one, field};

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
    /// Write the rows with their answers at the end, to FILE.csv, .tsv or .jsonl
    ///
    /// Rows keep their order and columns. They get the answer, a column for each property of --schema,
    /// its reason to end, refusal, error, tokens and, with --prices, the cost. `paceline extract` does the same
    /// later.
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    pub(crate) extract: Option<PathBuf>,
    /// With --extract as JSONL: write answers that are JSON as JSON [default: with --schema]
    #[arg(long, requires = "extract", help_heading = FILES, hide_short_help = true)]
    pub(crate) extract_json: bool,
    /// With --extract as CSV: leave cells that a spreadsheet would run as formulas unmarked, for programs
    #[arg(long, requires = "extract", help_heading = FILES, hide_short_help = true)]
    pub(crate) csv_raw: bool,

    /// Make a request of each row of INPUT, a table; {column} takes its value
    ///
    /// {{ and }} are braces. @FILE is the text of a file, without its last line end. Rows are CSV
    /// or TSV with a header, JSONL objects, or lines of text with --rows lines.
    #[arg(long, value_name = "TEXT", requires = "model", groups = ["asks", "of_rows"], help_heading = PROMPTS)]
    pub(crate) prompt: Option<String>,
    /// Take several turns from COLUMN: a JSON list of messages
    #[arg(long, value_name = "COLUMN", requires = "model", conflicts_with = "prompt", groups = ["asks", "of_rows"], help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) messages: Option<String>,
    /// Take the whole body from FILE, in whose strings {column} takes a row's value
    ///
    /// JSON as the API has it. Its URL is that of --endpoint; --model and --set overrule its fields.
    #[arg(long, value_name = "FILE", conflicts_with = "asks", groups = ["of_rows"], help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) body: Option<PathBuf>,
    /// Embed the texts in COLUMN, up to 2,048 rows and 300 kB of text in a request
    ///
    /// --extract writes the vector of each row: .npy is a matrix, .csv, .tsv and .jsonl have a column.
    #[arg(long, value_name = "COLUMN", requires = "model", conflicts_with_all = ["asks", "body"], groups = ["of_rows"], help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) embed: Option<String>,
    /// Set the system message; {column} takes a row's value
    #[arg(long, value_name = "TEXT", requires = "asks", help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) system: Option<String>,
    /// Set the model; several are run one after the other, each with files of its own
    ///
    /// It overrules the model of each line of a Batch file. Of several models the name stands in the names of
    /// all files that are written, as in in.results.gpt-4o.jsonl. Where it has capitals, / or other characters
    /// that not all file systems tell apart, a hash follows it.
    #[arg(long, value_name = "NAME", help_heading = PROMPTS)]
    pub(crate) model: Vec<String>,
    /// What names the model in the names of files, where there are several.
    #[arg(skip)]
    pub(crate) label: Option<String>,
    /// The outputs of other models, whose costs count, too.
    #[arg(skip)]
    pub(crate) others: Vec<PathBuf>,
    /// Set a field of each request, such as temperature=0 or reasoning.effort=low; repeatable
    ///
    /// Dots part the names of objects in one another, a number names an item of a list. VALUE is JSON where it
    /// is some, and a string otherwise; {column} in a string takes a row's value. A line of a Batch file has
    /// the one column `custom_id`. Tools: --set 'tools=[...]', or --body.
    #[arg(long, value_name = "PATH=VALUE", value_parser = field, help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) set: Vec<(String, String)>,
    /// Choose the endpoint for which requests are written [default: the provider's, else chat]
    #[arg(long, value_name = "NAME", requires = "of_rows", help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) endpoint: Option<Endpoint>,
    /// Add the image or PDF file that COLUMN names, an address or a path; repeatable
    ///
    /// Paths begin in the folder of INPUT, and lead to files in it or in a folder of --allow-files.
    #[arg(long, value_name = "COLUMN", requires = "asks", help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) image: Vec<String>,
    /// Allow files of DIR, and of the folders in it, for --image; repeatable
    #[arg(long, value_name = "DIR", requires = "image", help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) allow_files: Vec<PathBuf>,
    /// Cap the tokens of an answer, reasoning included; a tight cap is faster
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "asks", help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) max_tokens: Option<usize>,
    /// Make each answer follow this JSON schema, strictly
    #[arg(long, value_name = "FILE", requires = "asks", help_heading = PROMPTS)]
    pub(crate) schema: Option<PathBuf>,
    /// Take the ids of requests from this column [default: row-1, row-2 and so on]
    #[arg(long, value_name = "COLUMN", requires = "of_rows", help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) id: Option<String>,
    /// Set the format of the rows [default: by the ending of INPUT, else jsonl]
    #[arg(long, value_name = "FORMAT", requires = "of_rows", help_heading = PROMPTS, hide_short_help = true)]
    pub(crate) rows: Option<Table>,
}
