//! The API, and how to reach it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use paceline::DEFAULT_BASE_URL;

use super::SENDING;
use super::values::seconds;

/// The variable that holds the key unless another one is named.
pub(crate) const DEFAULT_KEY: &str = "OPENAI_API_KEY";

#[derive(Debug, Args)]
pub(crate) struct Server {
    #[arg(
        long,
        value_name = "URL",
        help_heading = SENDING,
        help = format!("Send requests to this API [env: OPENAI_BASE_URL] [default: {DEFAULT_BASE_URL}]")
    )]
    pub(crate) base_url: Option<String>,
    /// Name the provider, such as anthropic or azure [default: recognised by the base URL]
    ///
    /// It sets the base URL, the variable of the key, the headers and the form of prompts.
    #[arg(long, value_name = "NAME", help_heading = SENDING)]
    pub(crate) provider: Option<String>,
    /// Overrule the built-in table of providers, in TOML: headers, errors, limits, authorization
    #[arg(long, value_name = "FILE", help_heading = SENDING, hide_short_help = true)]
    pub(crate) provider_table: Option<PathBuf>,
    /// Name the environment variable that holds the key [default: the provider's, else `OPENAI_API_KEY`]
    #[arg(long, value_name = "NAME", help_heading = SENDING, hide_short_help = true)]
    pub(crate) api_key_env: Option<String>,
    // What is given is checked elsewhere: the parser would quote it, and it may be a key.
    /// Send a header that is no secret with every request; repeatable
    #[arg(long, value_name = "NAME=VALUE", help_heading = SENDING, hide_short_help = true)]
    pub(crate) header: Vec<String>,
    /// Send a header whose value a variable holds, such as api-key=AZURE_KEY; repeatable
    #[arg(long, value_name = "NAME=VARIABLE", help_heading = SENDING, hide_short_help = true)]
    pub(crate) header_env: Vec<String>,
    /// Set the time-out of one attempt
    #[arg(long, value_name = "TIME", default_value = "600", value_parser = seconds, help_heading = SENDING, hide_short_help = true)]
    pub(crate) timeout: Duration,
}
