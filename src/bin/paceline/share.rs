//! Limits shared over a store: which one, and how they stand there.

use std::fmt::Write;

use paceline::{OnStoreOutage, Result, SharedStore, StoreLimiter};

use crate::args;
use crate::exit::Exit;
use crate::mistake::mistake;
use crate::numbers::{grouped, lasting, quota};
use crate::say;

/// The store by its URL, which may hold a password here.
const URL: &str = "PACELINE_SHARE_URL";
const PASSWORD: &str = "PACELINE_SHARE_PASSWORD";

/// The store that flags and variables name, if any does.
pub(crate) fn store(
    share: &args::Share,
    on_outage: OnStoreOutage,
    processes: u64,
) -> Result<Option<SharedStore>> {
    let named = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let url = match (&share.share, named(URL)) {
        (Some(url), _) => {
            if SharedStore::builder(url).url_has_password()? {
                return Err(mistake(format!(
                    "--share has a password in it, which others on this machine can read: set it \
                     as {PASSWORD}, or the whole URL as {URL}"
                )));
            }
            url.clone()
        }
        (None, Some(url)) => url,
        (None, None) => return Ok(None),
    };
    let mut builder = SharedStore::builder(&url)
        .on_outage(on_outage)
        .processes(processes);
    if let Some(password) = named(PASSWORD) {
        builder = builder.password(password);
    }
    let store = builder.build()?;
    // One that is away may come back, and what becomes of requests until then is said by a flag.
    match store.refusal() {
        None => Ok(Some(store)),
        Some(refusal) => Err(refusal),
    }
}

/// Prints how the limits stand that are shared over a store, those of these models or all.
pub(crate) fn show(store: &SharedStore, models: &[String]) -> Result<Exit> {
    let table = paceline::LimitTable::default();
    let wanted = |limiter: &StoreLimiter| {
        models.is_empty()
            || models
                .iter()
                .any(|model| *model == limiter.name || table.family_of(model) == limiter.name)
    };
    let limiters = store.limiters()?;
    let mut shown: Vec<&StoreLimiter> = limiters.iter().filter(|one| wanted(one)).collect();
    shown.sort_by(|a, b| a.name.cmp(&b.name));
    if shown.is_empty() {
        say::result("no process has shared these limits here\n")?;
        return Ok(Exit::SomeFailed);
    }
    for limiter in shown {
        say::result(&text(limiter))?;
    }
    Ok(Exit::Success)
}

fn text(limiter: &StoreLimiter) -> String {
    let mut text = format!("{}\n", limiter.name);
    // Writing to a string does not fail.
    for (of, level) in &limiter.quotas {
        let left = match u64::try_from(*level) {
            Ok(left) => format!("{} left", grouped(left)),
            Err(_) => format!("{} in debt", grouped(level.unsigned_abs())),
        };
        let _ = writeln!(text, "  {left} of {}", quota(*of));
    }
    if !limiter.booked_ahead.is_zero() {
        let _ = writeln!(text, "  booked {} ahead", lasting(limiter.booked_ahead));
    }
    if !limiter.paused_for.is_zero() {
        let _ = writeln!(text, "  paused for {}", lasting(limiter.paused_for));
    }
    let mut is_head = true;
    for process in &limiter.processes {
        let waiting = match process.waiters {
            0 => "no waiters".to_owned(),
            waiters => format!("{} wait", grouped(waiters)),
        };
        let _ = write!(text, "  {}: {waiting}", process.label);
        if let Some(waited) = process.waited {
            let head = if std::mem::take(&mut is_head) {
                "; the head"
            } else {
                ""
            };
            let _ = write!(text, ", the first for {}{head}", lasting(waited));
        }
        let late = if process.is_late {
            " (not heard of any more)"
        } else {
            ""
        };
        let _ = writeln!(text, "{late}");
    }
    let _ = writeln!(text, "  {} granted in all\n", grouped(limiter.grants));
    text
}
