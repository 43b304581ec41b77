//! Whole pages, judged by a strict parser.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use roxmltree::{Document, Node, ParsingOptions};

use super::Report;
use crate::batch::budget::bounds::Bound;
use crate::batch::events::history::Recording;
use crate::batch::events::progress::Progress;
use crate::batch::events::reasons::Failure;
use crate::batch::summary::{QuotaUse, StopReason, Summary};
use crate::client::Attempt;
use crate::{Cost, Limits, RateLimiter};

const SECOND: Duration = Duration::from_secs(1);
const EVIL: &str = "<script>alert('1')</script>\" & \0\u{202e}]]>";

fn summary(change: impl FnOnce(&mut Summary)) -> Summary {
    let mut summary = empty();
    change(&mut summary);
    summary
}

fn empty() -> Summary {
    let progress = Progress::default();
    Summary::new(
        progress,
        Duration::ZERO,
        QuotaUse::default(),
        StopReason::Finished,
    )
}

fn page(recording: Recording, summary: Summary) -> String {
    let report = Report {
        recording,
        summary,
        note: None,
    };
    report.note(EVIL).to_html()
}

fn failure(text: &str) -> Failure<'_> {
    Failure {
        kind: text,
        message: text,
        custom_id: None,
        retryable: false,
    }
}

/// Fails unless the page is well-formed, loads nothing and runs nothing.
fn parsed(html: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(html, options);
    let document = document.unwrap_or_else(|error| panic!("{error}:\n{html}"));
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        let active = [
            "script",
            "iframe",
            "object",
            "embed",
            "link",
            "img",
            "foreignObject",
        ];
        assert!(!active.contains(&name), "a <{name}> in {html}");
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on"), "{name} in {html}");
            assert!(!["href", "src"].contains(&name), "{name} in {html}");
            assert!(!value.contains("NaN") && !value.contains("inf"), "{value}");
        }
    }
    assert!(!html.contains("url(") && !html.contains("@import"));
    document
}

fn text(document: &Document<'_>) -> String {
    let texts = document.descendants().filter_map(|node| node.text());
    texts.collect::<Vec<_>>().join("\n")
}

/// What stands in the table under a key of the summary.
fn figure(document: &Document<'_>, key: &str) -> String {
    let data = document
        .descendants()
        .find(|it| it.attribute("id") == Some(key));
    let data = data.unwrap_or_else(|| panic!("{key} is not in the table"));
    data.attribute("value").unwrap().to_owned()
}

/// A minute of a model with an evil name, of which one request is refused and one fails.
fn busy() -> Recording {
    let mut recording = Recording::new(EVIL, SystemTime::UNIX_EPOCH);
    let limiter = RateLimiter::new(Limits::tokens_per_minute(6_000).unwrap());
    let lane = recording.lanes.find(&limiter, || EVIL.to_owned());
    let cost = Cost::tokens(100);
    for second in 0..60 {
        let at = second * SECOND;
        if recording.admitted(at, lane, cost, SECOND) {
            let lane = recording.lanes.lane(lane).unwrap();
            lane.look(at, &limiter.snapshot(), cost, SECOND);
        }
        recording.begun(at);
        let refused = crate::Error::Api(Box::new(crate::ApiError {
            kind: crate::ErrorKind::RateLimited,
            status: 429,
            effective_status: None,
            message: EVIL.to_owned(),
            error_type: None,
            code: None,
            request_id: None,
            retry_after: None,
            body: None,
        }));
        let tried = Attempt {
            number: 1 + second % 2,
            waited: Duration::ZERO,
            took: SECOND / 3,
            error: Some(&refused).filter(|_| second % 2 == 0),
        };
        recording.tried(at, lane, cost, &tried);
        recording.ended(at + SECOND / 2);
        recording.written(at, second != 7);
    }
    recording.lasted(60 * SECOND);
    recording
}

#[test]
fn names_and_errors_are_text_and_nothing_else() {
    let summary = summary(|it| {
        (it.requests, it.succeeded, it.failed) = (60, 59, 1);
        (it.retries, it.rate_limited) = (30, 30);
        it.binding = Some(format!("{EVIL}: 6000 tokens per minute"));
        it.charge_ratios.insert(EVIL.to_owned(), 1.25);
        it.ending = StopReason::AccountError(EVIL.to_owned());
        it.reasons.failed(&failure(EVIL), false);
    });
    let html = page(busy(), summary);
    let document = parsed(&html);
    assert!(!html.contains("<script"), "{html}");
    let text = text(&document);
    let safe = "<script>alert('1')</script>\" & \u{fffd}\u{fffd}]]>";
    // The input, the note, the ending, a model, a kind of failure and what it said.
    assert!(text.matches(safe).count() >= 6, "{text}");
    assert!(text.contains("1.25 × our count"), "{text}");
    for title in [
        "Requests in flight",
        "Waiting in line",
        "Answers",
        "429 answers",
        "Retries",
    ] {
        assert!(html.contains(&format!("<h3>{title}</h3>")), "{title}");
    }
}

#[test]
fn the_table_has_the_keys_and_the_figures_of_the_summary() {
    let summary = summary(|it| {
        (it.requests, it.resumed, it.tokens_used) = (1_234_567, 7, 89);
        (it.wall_seconds, it.utilisation) = (61.25, 0.987);
        it.binding = Some("m: 30000 tokens per minute".to_owned());
    });
    let keys = serde_json::to_value(&summary).unwrap();
    let html = page(busy(), summary);
    let document = parsed(&html);
    for (key, value) in keys.as_object().unwrap() {
        let raw = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!(figure(&document, key), raw, "{key}");
    }
    let text = text(&document);
    for said in ["1,234,567", "98.7\u{a0}%", "m: 30,000 tokens per minute"] {
        assert!(text.contains(said), "{said} in {text}");
    }
}

#[test]
fn what_happens_last_is_drawn_as_wide_as_the_rest() {
    let mut recording = Recording::new("in.jsonl", SystemTime::UNIX_EPOCH);
    let end = 2 * SECOND + SECOND / 1_000;
    for at in [SECOND, end] {
        recording.written(at, true);
    }
    recording.lasted(end);
    let html = page(recording, summary(|it| it.succeeded = 2));
    let document = parsed(&html);
    let bars = document
        .descendants()
        .filter(|it| it.attribute("class") == Some("good"));
    let widths: Vec<_> = bars.filter_map(|it| it.attribute("width")).collect();
    assert_eq!(widths.len(), 2, "{html}");
    assert_eq!(widths[0], widths[1], "{html}");
}

#[test]
fn a_run_that_had_nothing_to_do_has_no_plots() {
    let mut recording = Recording::new("in.jsonl", SystemTime::UNIX_EPOCH);
    recording.lasted(SECOND / 100);
    let summary = summary(|it| (it.requests, it.resumed) = (90, 90));
    let html = page(recording, summary);
    let text = text(&parsed(&html));
    assert!(text.contains("Nothing was left to do: all 90\u{a0}requests were done before."));
    assert!(!html.contains("<figure"), "{html}");
}

#[test]
fn a_run_that_was_stopped_says_at_what_and_what_it_cost() {
    let mut recording = busy();
    recording.lasted(60 * SECOND);
    let summary = summary(|it| {
        (it.requests, it.succeeded, it.total) = (60, 60, Some(90));
        it.ending = StopReason::Bound(Bound::Failures { most: 3 });
        it.cost = Some("12.5".parse().unwrap());
        (it.currency, it.unpriced) = (Some("USD".to_owned()), Some(2));
        it.abandoned = 1;
    });
    let html = page(recording, summary);
    let text = text(&parsed(&html)).replace('\u{a0}', " ");
    for said in [
        "◼ stopped at a bound",
        "It had 3 failures.",
        "12.50 USD",
        "2 answers without a price left out",
        "When its grace was over 1 request had no answer.",
        "60 of 90 lines are done; the same command resumes the run from here.",
    ] {
        assert!(text.contains(said), "{said} in {text}");
    }
}

#[test]
fn a_history_of_nothing_is_a_page_too() {
    parsed(&page(Recording::default(), summary(|_| {})));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_course_of_events_makes_a_page_that_is_not_well_formed(
        events in prop::collection::vec((0_u64..100_000_000_000_000, 0..6_u8, any::<u64>()), 0..60),
        lasted in any::<u64>(),
        kind in any::<String>(),
    ) {
        let mut recording = Recording::new(&kind, SystemTime::UNIX_EPOCH);
        let limiter = RateLimiter::new(Limits::tokens_per_minute(6_000).unwrap());
        for (nanos, event, amount) in events {
            let (at, took) = (Duration::from_nanos(nanos), Duration::from_nanos(amount));
            let lane = recording.lanes.find(&limiter, || kind.clone());
            let tried = Attempt { number: 2, waited: took, took, error: None };
            let cost = Cost::tokens(amount);
            match event {
                0 => {
                    recording.admitted(at, lane, cost, took);
                    let lane = recording.lanes.lane(lane).unwrap();
                    lane.look(at, &limiter.snapshot(), cost, took);
                }
                1 => recording.begun(at),
                2 => recording.ended(at),
                3 => recording.tried(at, lane, cost, &tried),
                4 => recording.written(at, true),
                _ => recording.written(at, false),
            }
        }
        recording.lasted(Duration::from_nanos(lasted));
        let summary = summary(|it| {
            (it.succeeded, it.wall_seconds) = (lasted, lasted as f64);
            it.reasons.failed(&failure(&kind), false);
        });
        parsed(&page(recording, summary));
    }
}
