//! The API to talk to, from flags and the environment.

use paceline::DEFAULT_BASE_URL;

use crate::args::Server;

/// Where the API is: the flag, or else the variable, or else the public one. An empty variable is
/// as good as none.
pub(crate) fn base_url(server: &Server) -> String {
    let variable = std::env::var("OPENAI_BASE_URL").ok();
    let variable = variable.filter(|url| !url.trim().is_empty());
    let named = server.base_url.clone().or(variable);
    named.unwrap_or_else(|| DEFAULT_BASE_URL.to_owned())
}
