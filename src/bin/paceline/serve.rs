//! `paceline serve`.

use std::path::Path;
use std::sync::{Arc, mpsc};

use paceline::gateway::Gateway;
use paceline::tokens::PromptRule;
use paceline::{RateLimitedClient, Registry, Result};

use crate::args;
use crate::clients::clients;
use crate::exit::Exit;
use crate::limits;
use crate::mistake::mistake;
use crate::models;
use crate::say::{self, say};
use crate::server;
#[cfg(feature = "redis")]
use crate::share;
use crate::signals;

/// Serves until a signal, then drains. A second signal ends it at once.
pub(crate) fn serve(arguments: &args::Serve, config: Option<&Path>) -> Result<Exit> {
    server::read_table(&arguments.server)?;
    server::check(&arguments.server)?;
    let clients = config.map(clients).transpose()?.unwrap_or_default();
    let mut builder = Gateway::builder(upstream(arguments)?);
    for client in clients {
        builder = builder.client(client);
    }
    let gateway = builder
        .listen(arguments.listen)
        .max_connections(arguments.max_connections)
        .max_body(arguments.max_body)
        .start()?;
    let gateway = Arc::new(gateway);
    // Before the address is printed: a program that reads it may end this at once.
    let (sender, signal) = mpsc::channel();
    let mut heard = false;
    signals::listen(move |signal| {
        if std::mem::replace(&mut heard, true) {
            signal.end();
        }
        // The receiver waits for one.
        let _ = sender.send(signal);
    })
    .map_err(|error| mistake(format!("cannot listen for signals: {error}")))?;
    say::result(&format!("{}\n", gateway.base_url()))?;
    say!("paceline: point clients there (OPENAI_BASE_URL); Ctrl-C drains and ends it");
    if signal.recv().is_ok() {
        say!("paceline: draining; again to end at once");
    }
    if !gateway.drain(arguments.grace) {
        say!("paceline: requests that were not finished in the grace were cut off");
        return Ok(Exit::SomeFailed);
    }
    Ok(Exit::Success)
}

/// The API behind it, with its limits.
fn upstream(arguments: &args::Serve) -> Result<paceline::ClientBuilder> {
    let table = limits::table(&arguments.limits)?;
    let mut registry = Registry::new(table);
    if let Some(most) = arguments.max_waiters {
        registry = registry.max_waiters(most);
    }
    let mut builder = RateLimitedClient::builder()
        .registry(Arc::new(registry))
        .model_table(models::table(arguments.model_table.as_deref())?)
        .max_idle_connections(arguments.max_connections);
    if let Some(accounting) = arguments.accounting {
        builder = builder.accounting(accounting.into());
    }
    if let Some(quantile) = arguments.learn_output {
        builder = builder.learned_output(quantile);
    }
    if let Some(rule) = arguments.prompt_rule {
        builder = builder.prompt_rule(PromptRule::from(rule));
    }
    builder = server::connect(builder, &arguments.server)?;
    #[cfg(feature = "redis")]
    if let Some(store) = share::store(
        &arguments.share,
        arguments.outage.share_on_outage.into(),
        arguments.outage.share_processes,
    )? {
        builder = builder.share(&store);
    }
    Ok(builder)
}
