//! `paceline count`.

use std::fs::File;
use std::io;
use std::path::Path;

use paceline::batch::{Input, Run, plain_text};
use paceline::{Error, RateLimitedClient, Result};

use crate::args;
use crate::exit::Exit;
use crate::limits;
use crate::models;
use crate::plan::print_plan;
use crate::say;

pub(crate) fn count(arguments: &args::Count) -> Result<Exit> {
    let models = models::table(arguments.models.as_deref())?;
    let standard_input = arguments.file == Path::new("-");
    if arguments.text {
        let encoding = models.profile(&arguments.model).encoding();
        let fail = |source| Error::Io {
            path: arguments.file.clone(),
            source,
        };
        let text = match standard_input {
            true => plain_text("standard input", io::stdin())?,
            false => {
                let file = File::open(&arguments.file).map_err(fail)?;
                plain_text(&arguments.file.display().to_string(), file)?
            }
        };
        let tokens = encoding.count_reader(text).map_err(fail)?;
        return say::result(&format!("{tokens}\n")).map(|()| Exit::Success);
    }
    let input = if standard_input {
        Input::reader("standard input", io::stdin())
    } else {
        Input::file(&arguments.file)?
    };
    // Counting needs a client's rules and no server.
    let client = RateLimitedClient::builder()
        .api_key("not-needed")
        // Nothing is sent: no proxy and no certificate is asked for.
        .base_url("http://localhost")
        .accounting(arguments.accounting.into())
        .prompt_rule(arguments.prompt_rule.into())
        .model_table(models)
        .limit_table(limits::table(&arguments.limits)?)
        .build()?;
    // Whatever results there are beside it.
    print_plan(&Run::new(client, input).fresh(true).plan()?)
}
