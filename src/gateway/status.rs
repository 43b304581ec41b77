//! Where it stands, for programs and for people: JSON, a page, and the text that Prometheus reads.

use std::fmt::Write;

use serde_json::{Value, json};

use super::counters::Counters;
use super::service::Proxy;
use crate::limiter::{RateLimiter, Snapshot, Waiter};

/// One limiter, and whose it is.
struct Limit {
    upstream: String,
    model: String,
    snapshot: Snapshot,
    waiters: Vec<Waiter>,
}

/// The longest list of waiters that is shown.
const MOST_WAITERS: usize = 100;

fn limits(proxy: &Proxy) -> Vec<Limit> {
    let mut limits = Vec::new();
    for (name, client) in proxy.upstream.clients() {
        let upstream = match name {
            Some(key) => format!("{} key {key}", client.shown_base_url()),
            None => client.shown_base_url(),
        };
        for (model, limiter) in client.registry().limiters() {
            limits.push(Limit {
                upstream: upstream.clone(),
                model,
                snapshot: limiter.snapshot(),
                waiters: first_waiters(&limiter),
            });
        }
    }
    limits.sort_by(|a, b| (&a.upstream, &a.model).cmp(&(&b.upstream, &b.model)));
    limits
}

fn first_waiters(limiter: &RateLimiter) -> Vec<Waiter> {
    let mut waiters = limiter.waiters();
    waiters.truncate(MOST_WAITERS);
    waiters
}

/// All counters by the names that they have here.
fn counters(counters: &Counters) -> [(&'static str, &'static str, u64); 5] {
    [
        ("requests", "Requests that came.", counters.requests.get()),
        (
            "refused",
            "Requests refused because the wait would have passed their deadline.",
            counters.refused.get(),
        ),
        (
            "denied",
            "Requests refused for their Host, Origin or key.",
            counters.denied.get(),
        ),
        (
            "hung_up",
            "Requests whose client left while they waited.",
            counters.hung_up.get(),
        ),
        (
            "failed",
            "Requests that failed on the way to the provider, or back.",
            counters.failed.get(),
        ),
    ]
}

/// The status as JSON.
pub(super) fn json_text(proxy: &Proxy) -> String {
    let mut all = serde_json::Map::new();
    all.insert("open".to_owned(), json!(proxy.counters().open.get()));
    for (name, _, count) in counters(proxy.counters()) {
        all.insert(name.to_owned(), json!(count));
    }
    let limiters: Vec<Value> = limits(proxy)
        .into_iter()
        .map(|limit| {
            json!({
                "upstream": limit.upstream,
                "model": limit.model,
                "limits": limit.snapshot,
                "waiters": limit.waiters,
            })
        })
        .collect();
    all.insert("limiters".to_owned(), json!(limiters));
    let refusals: Vec<Value> = proxy
        .recent
        .all()
        .into_iter()
        .map(|(at, status, code, message)| {
            json!({"unix_seconds": at, "status": status, "code": code, "message": message})
        })
        .collect();
    all.insert("last_refusals".to_owned(), json!(refusals));
    Value::Object(all).to_string()
}

/// The status as Prometheus reads it.
pub(super) fn metrics(proxy: &Proxy) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "# HELP paceline_open Requests that wait or are on their way.\n# TYPE paceline_open gauge\n\
         paceline_open {}\n",
        proxy.counters().open.get()
    );
    for (name, help, count) in counters(proxy.counters()) {
        let _ = write!(
            text,
            "# HELP paceline_{name}_total {help}\n# TYPE paceline_{name}_total counter\n\
             paceline_{name}_total {count}\n"
        );
    }
    let limits = limits(proxy);
    let mut family = |name: &str, kind: &str, help: &str, lines: Vec<String>| {
        let _ = write!(
            text,
            "# HELP paceline_{name} {help}\n# TYPE paceline_{name} {kind}\n"
        );
        for line in lines {
            let _ = writeln!(text, "paceline_{name}{line}");
        }
    };
    let of_limiter = |limit: &Limit| {
        let (upstream, model) = (label(&limit.upstream), label(&limit.model));
        format!("upstream=\"{upstream}\",model=\"{model}\"")
    };
    let of_quotas = |value: &dyn Fn(&crate::QuotaSnapshot) -> i64| -> Vec<String> {
        let lines = limits.iter().flat_map(|limit| {
            limit.snapshot.quotas.iter().map(move |of| {
                let seconds = of.quota.period().as_secs_f64();
                format!(
                    "{{{},unit=\"{}\",seconds=\"{seconds}\"}} {}",
                    of_limiter(limit),
                    of.quota.unit(),
                    value(of)
                )
            })
        });
        lines.collect()
    };
    let of_limiters = |value: &dyn Fn(&Snapshot) -> f64| -> Vec<String> {
        let line = |limit| (limit, of_limiter(limit));
        let lines = limits.iter().map(line);
        lines
            .map(|(limit, labels)| format!("{{{labels}}} {}", value(&limit.snapshot)))
            .collect()
    };
    let amount = |of: &crate::QuotaSnapshot| i64::try_from(of.quota.amount()).unwrap_or(i64::MAX);
    family(
        "limit",
        "gauge",
        "The limit, in units a period.",
        of_quotas(&amount),
    );
    family(
        "level",
        "gauge",
        "What is left of the limit.",
        of_quotas(&|of| of.level),
    );
    #[allow(
        clippy::cast_precision_loss,
        reason = "a count of which every digit matters has fewer"
    )]
    let of = |count: u64| count as f64;
    family(
        "waiters",
        "gauge",
        "Requests that wait.",
        of_limiters(&|it| of(it.waiters as u64)),
    );
    family(
        "in_flight",
        "gauge",
        "Requests at the provider.",
        of_limiters(&|it| of(it.in_flight)),
    );
    family(
        "grants_total",
        "counter",
        "Requests let in.",
        of_limiters(&|it| of(it.counters.grants)),
    );
    let waited = |it: &Snapshot| it.counters.total_wait.as_secs_f64();
    family(
        "wait_seconds_total",
        "counter",
        "How long requests waited, in all.",
        of_limiters(&waited),
    );
    text
}

/// A value of a label.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// The status as a page that renews itself. It has no script: names of models come from callers.
pub(super) fn page(proxy: &Proxy) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"2\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>paceline</title><style>\
         body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
         table{border-collapse:collapse;width:100%;margin:0 0 1.5rem}th,td{text-align:left;padding:.25rem .75rem .25rem 0;\
         border-bottom:1px solid #8884}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}meter{width:9rem}\
         h2{margin-bottom:.25rem;font-size:1.1rem}p{margin-top:0}</style></head><body><h1>paceline</h1>",
    );
    // Writing to a string does not fail.
    let _ = write!(page, "<p>{} open", proxy.counters().open.get());
    for (name, help, count) in counters(proxy.counters()) {
        let name = name.replace('_', " ");
        let _ = write!(page, " · <span title=\"{help}\">{count} {name}</span>");
    }
    page.push_str("</p>");
    let limits = limits(proxy);
    if limits.is_empty() {
        page.push_str("<p>No request has named a model yet.</p>");
    }
    for limit in limits {
        limit_on_page(&mut page, &limit);
    }
    let refusals = proxy.recent.all();
    if !refusals.is_empty() {
        page.push_str("<h2>Last refusals</h2><table><tr><th>seconds ago</th><th>status</th><th>reason</th></tr>");
        let now = super::recent::unix_seconds();
        for (at, status, _, message) in refusals.into_iter().rev() {
            let (ago, message) = (now.saturating_sub(at), escaped(&message));
            let _ = write!(
                page,
                "<tr><td class=\"n\">{ago}</td><td>{status}</td><td>{message}</td></tr>"
            );
        }
        page.push_str("</table>");
    }
    page.push_str("</body></html>");
    page
}

fn limit_on_page(page: &mut String, limit: &Limit) {
    let snapshot = &limit.snapshot;
    let (model, upstream) = (escaped(&limit.model), escaped(&limit.upstream));
    let _ = write!(
        page,
        "<h2>{model}</h2><p>{upstream} · {} in flight · {} wait",
        snapshot.in_flight, snapshot.waiters
    );
    if let Some(due) = snapshot.head_due {
        let _ = write!(page, ", the first for {:.1} s more", due.as_secs_f64());
    }
    if !snapshot.paused_for.is_zero() {
        let _ = write!(
            page,
            " · paused for {:.1} s",
            snapshot.paused_for.as_secs_f64()
        );
    }
    page.push_str("</p><table><tr><th>limit</th><th>left</th><th class=\"n\">left</th></tr>");
    for of in &snapshot.quotas {
        let (quota, left) = (escaped(&of.quota.to_string()), of.level);
        let _ = write!(
            page,
            "<tr><td>{quota}</td><td><meter min=\"0\" max=\"{}\" value=\"{}\"></meter></td><td class=\"n\">{left}</td></tr>",
            of.quota.burst(),
            left.max(0)
        );
    }
    page.push_str("</table>");
    if limit.waiters.is_empty() {
        return;
    }
    page.push_str("<table><tr><th>waits</th><th class=\"n\">tokens</th><th class=\"n\">for</th><th class=\"n\">still</th></tr>");
    for (place, waiter) in limit.waiters.iter().take(20).enumerate() {
        let still = waiter
            .due
            .map_or("?".to_owned(), |due| format!("{:.1} s", due.as_secs_f64()));
        let _ = write!(
            page,
            "<tr><td>{}, {:?}</td><td class=\"n\">{}</td><td class=\"n\">{:.1} s</td><td class=\"n\">{still}</td></tr>",
            place + 1,
            waiter.priority,
            waiter.cost.tokens,
            waiter.waited.as_secs_f64()
        );
    }
    page.push_str("</table>");
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char => escaped.push(char),
        }
    }
    escaped
}
