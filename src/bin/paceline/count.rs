//! `paceline count`.

use std::fs::File;
use std::io;
use std::path::Path;

use paceline::batch::{Input, RequestPlan, Run, plain_text};
use paceline::{Error, RateLimitedClient, Result};
use serde_json::{Value, json};

use crate::args::{self, By};
use crate::exit::Exit;
use crate::limits;
use crate::models;
use crate::plan::{print_plan, say_bad_lines};
use crate::say;

pub(crate) fn count(arguments: &args::Count) -> Result<Exit> {
    let models = models::table(arguments.model_table.as_deref())?;
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
    let run = Run::new(client, input).fresh(true);
    let Some(by) = arguments.json else {
        return print_plan(&run.plan()?);
    };
    let plan = match by {
        By::Model => run.plan()?,
        // A reader that closes the pipe does not end the count.
        By::Request => run.plan_each(|request| {
            let _ = say::data(&format!("{}\n", of_request(request)));
        })?,
    };
    if by == By::Model {
        for model in &plan.models {
            let line = json!({
                "model": model.model,
                "requests": model.requests,
                "prompt_tokens": model.prompt_tokens,
                "reserved_tokens": model.reserved.tokens,
            });
            say::data(&format!("{line}\n"))?;
        }
    }
    say_bad_lines(&plan.bad_lines, plan.more_bad_lines, "that cannot be sent");
    Ok(match plan.bad_lines.is_empty() {
        true => Exit::Success,
        false => Exit::SomeFailed,
    })
}

fn of_request(request: RequestPlan<'_>) -> Value {
    json!({
        "line": request.line,
        "custom_id": request.custom_id,
        "model": request.model,
        "prompt_tokens": request.prompt_tokens,
        "output_tokens": request.output_tokens,
        "reserved_tokens": request.reserved.tokens,
    })
}
