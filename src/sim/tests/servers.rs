//! Servers that charge, count and speak in other ways.

use super::*;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Counts in windows of an hour, so that a test of any length sees only its own requests. What it
/// allows in an hour is 60 times these limits.
fn hourly(tokens: u64, requests: u64) -> SimConfig {
    SimConfig::new()
        .default_limits(limits(tokens, requests))
        .fixed_windows(HOUR)
}

/// What an answer says of limits, without the part that all names share.
fn said(answer: &Answer) -> Vec<String> {
    let names = ["requests", "tokens", "project-tokens"].into_iter();
    let names = names.flat_map(|of| ["limit", "remaining"].map(|it| format!("{it}-{of}")));
    names
        .filter_map(|name| {
            let value = answer.header(&format!("x-ratelimit-{name}"))?;
            Some(format!("{name} {value}"))
        })
        .collect()
}

#[test]
fn headers_are_as_many_and_as_true_as_the_settings_say() {
    let all = "limit-requests 10, remaining-requests 599, limit-tokens 100, remaining-tokens 5980";
    let left = "remaining-requests 599, remaining-tokens 5980";
    let azure = all
        .replace("requests 10,", "requests -1,")
        .replace("tokens 100", "tokens -1");
    let project = format!("{all}, limit-project-tokens 100, remaining-project-tokens 5980");
    let config = || hourly(100, 10);
    let table = [
        (config(), all),
        (config().limit_headers(LimitHeaders::All), all),
        (config().limit_headers(LimitHeaders::Remaining), left),
        (config().limit_headers(LimitHeaders::None), ""),
        (config().false_limit_headers(Some(-1)), &azure),
        (config().project_token_headers(true), &project),
    ];
    for (step, (config, expected)) in table.into_iter().enumerate() {
        let simulator = start(config);
        let answer = Client::new(&simulator).post(CHAT, &chat(10, 10));
        assert_eq!(said(&answer).join(", "), expected, "step {step}");
        let resets = answer.header("x-ratelimit-reset-tokens").is_some();
        assert_eq!(resets, expected.contains("limit-tokens"), "step {step}");
    }
}

#[test]
fn resets_can_be_bare_numbers() {
    let config = SimConfig::new().default_limits(limits(60, 60));
    for (bare, expected) in [(false, ["1s", "20s"]), (true, ["1", "20"])] {
        let simulator = start(config.clone().bare_resets(bare));
        let answer = Client::new(&simulator).post(CHAT, &chat(10, 10));
        let found = ["requests", "tokens"]
            .map(|of| answer.header(&format!("x-ratelimit-reset-{of}")).unwrap());
        assert_eq!(found, expected, "bare {bare}");
    }
}

#[test]
fn stale_headers_say_what_was_true_some_answers_ago() {
    for (stale, expected) in [
        (0, ["59", "58", "57", "56", "55"]),
        (1, ["59", "59", "58", "57", "56"]),
        (3, ["59", "59", "59", "59", "58"]),
    ] {
        let simulator = start(hourly(100, 1).stale_headers(stale));
        let mut client = Client::new(&simulator);
        for (step, expected) in expected.into_iter().enumerate() {
            let answer = client.post(CHAT, &chat(1, 1));
            let found = answer.header("x-ratelimit-remaining-requests");
            assert_eq!(found, Some(expected), "stale {stale}, step {step}");
        }
    }
}

#[test]
fn a_refusal_can_do_without_retry_after() {
    for shown in [true, false] {
        let simulator = start(hourly(100, 0).retry_after(shown));
        let mut client = Client::new(&simulator);
        assert_eq!(client.post(CHAT, &chat(1, 1)).header("retry-after"), None);
        drop(simulator);

        let simulator = start(hourly(100, 10).retry_after(shown));
        let mut client = Client::new(&simulator);
        assert_eq!(client.post(CHAT, &chat(50, 50)).status, 200);
        for _ in 0..59 {
            client.post(CHAT, &chat(50, 50));
        }
        let refused = client.post(CHAT, &chat(50, 50));
        assert_eq!(refused.status, 429, "shown {shown}");
        for name in ["retry-after", "retry-after-ms"] {
            assert_eq!(refused.header(name).is_some(), shown, "{name}");
        }
        let message = refused.error("message").to_string();
        assert!(message.contains("Please try again in "), "{message}");
        assert_eq!(simulator.report().violations(), []);
    }
}

#[test]
fn the_daily_limit_takes_the_headers_of_the_one_a_minute() {
    let daily = DailyLimits::none().requests_per_day(10_000);
    let config = SimConfig::new().default_limits(limits(1_000, 500));
    let simulator = start(config.daily_limits(daily));
    let answer = Client::new(&simulator).post(CHAT, &chat(1, 1));
    let header = |name: &str| answer.header(&format!("x-ratelimit-{name}")).unwrap();
    assert_eq!(header("limit-requests"), "10000");
    assert_eq!(header("remaining-requests"), "9999");
    assert_eq!(header("reset-requests"), "8.64s");
    assert_eq!(header("limit-tokens"), "1000");

    let daily = DailyLimits::none().requests_per_day(1).tokens_per_day(10);
    let simulator = start(SimConfig::new().daily_limits(daily));
    let mut client = Client::new(&simulator);
    let large = client.post(CHAT, &chat(10, 1)).error("message").to_string();
    assert!(large.contains("tokens per day (TPD): Limit 10, Requested 11."));
    assert_eq!(client.post(CHAT, &chat(1, 1)).status, 200);
    let refused = client.post(CHAT, &chat(1, 1));
    assert_eq!(refused.error("type"), "requests");
    let message = refused.error("message").to_string();
    let expected = "requests per day (RPD): Limit 1, Used 1, Requested 1.";
    assert!(message.contains(expected), "{message}");
    assert_eq!(simulator.report().refused_for_requests, 1);
}

#[test]
fn prompts_can_be_counted_exactly() {
    let words: TokenCounter = Arc::new(|text: &str| text.split(' ').count() as u64);
    let simulator = start(SimConfig::new().token_counter(words));
    let mut client = Client::new(&simulator);
    let messages = json!([
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "why so blue"}], "name": "Ada"},
    ]);
    // path, body, tokens
    let table = [
        // 3 + 1 + 2, 3 + 1 + 3 + 1 and 1 for the name, 3 for the answer
        (CHAT, json!({"model": "m", "messages": messages}), 18),
        (
            "/v1/completions",
            json!({"model": "m", "prompt": "a b c"}),
            3,
        ),
        (
            "/v1/embeddings",
            json!({"model": "m", "input": ["a b", "c"]}),
            3,
        ),
    ];
    for (step, (path, body, tokens)) in table.into_iter().enumerate() {
        let before = simulator.report().tokens_charged;
        let answer = client.post(path, &body).json();
        assert_eq!(answer["usage"]["prompt_tokens"], tokens, "step {step}");
        let cap = if path.ends_with("embeddings") { 0 } else { 16 };
        let charged = simulator.report().tokens_charged - before;
        assert_eq!(charged, tokens + cap, "step {step}");
    }
}

#[test]
fn charges_follow_the_rule_and_unused_tokens_come_back() {
    // rule, factor, charged, given back
    let table = [
        (ChargeRule::Sum, 1.0, 110, 0),
        (ChargeRule::Sum, 1.3, 143, 0),
        (ChargeRule::Max, 1.0, 100, 0),
        (ChargeRule::Usage, 1.0, 110, 95),
        (ChargeRule::Usage, 1.3, 143, 128),
    ];
    for (step, (rule, factor, charged, back)) in table.into_iter().enumerate() {
        let config = hourly(1_000, 100).output_tokens(5..=5);
        let simulator = start(config.charge_rule(rule).charge_factor(factor));
        let mut client = Client::new(&simulator);
        for (turn, left) in [60_000 - charged, 60_000 + back - 2 * charged]
            .into_iter()
            .enumerate()
        {
            let answer = client.post(CHAT, &chat(10, 100));
            let found = answer.header("x-ratelimit-remaining-tokens").unwrap();
            assert_eq!(found, left.to_string(), "step {step}, turn {turn}");
        }
        let report = simulator.report();
        let found = (report.tokens_charged, report.tokens_given_back);
        assert_eq!(found, (2 * charged, 2 * back), "step {step}");
        assert_eq!(report.violations(), [], "step {step}");
    }
}

#[test]
fn answers_that_count_when_they_are_there_leave_a_debt() {
    // factor, charge of the prompt, of both, what that is above 1,200 an hour
    let table = [(1.0, 10, 1_310, 110), (1.3, 13, 1_703, 503)];
    for (step, (factor, prompt, both, debt)) in table.into_iter().enumerate() {
        let config = hourly(20, 10).output_tokens(1_300..=1_300);
        let config = config.charge_rule(ChargeRule::Answered);
        let simulator = start(config.charge_factor(factor));
        let mut client = Client::new(&simulator);
        // The cap counts for nothing: it is above the limit by far.
        let first = client.post(CHAT, &chat(10, 1_000_000));
        let left = first.header("x-ratelimit-remaining-tokens").unwrap();
        assert_eq!(left, (1_200 - prompt).to_string(), "step {step}");
        let second = client.post(CHAT, &chat(10, 1));
        assert_eq!((first.status, second.status), (200, 429), "step {step}");
        let report = simulator.report();
        assert_eq!(report.tokens_charged, both, "step {step}");
        assert_eq!(report.most_debt, debt, "step {step}");
        assert_eq!(report.violations(), [], "step {step}");
    }
}

#[test]
fn limits_change_for_one_model_or_for_those_without_their_own() {
    let config = SimConfig::new()
        .limits("own", limits(1, 5))
        .limits_after("changed", Duration::ZERO, limits(1, 9))
        .limits_after("changed", HOUR, limits(1, 1))
        .limits_after("dated-2024-01-01", Duration::ZERO, limits(1, 3))
        .default_limits_after(Duration::ZERO, limits(None, 7));
    let simulator = start(config);
    let mut client = Client::new(&simulator);
    let table = [
        ("own", "5"),
        ("changed-2024-01-01", "9"),
        ("dated-2024-01-01", "3"),
        ("dated", "7"),
        ("other", "7"),
    ];
    assert!(
        client.get("GET", "/v1/models").json()["data"]
            .to_string()
            .contains("changed")
    );
    for (step, (model, limit)) in table.into_iter().enumerate() {
        let body = json!({"model": model, "input": "a"});
        let answer = client.post("/v1/embeddings", &body);
        let found = answer.header("x-ratelimit-limit-requests");
        assert_eq!(found, Some(limit), "step {step}");
    }
}

#[test]
fn a_refusal_can_cost_a_request() {
    for cost in [false, true] {
        let simulator = start(hourly(1, 1).refusals_cost_requests(cost));
        let mut client = Client::new(&simulator);
        assert_eq!(client.post(CHAT, &chat(1, 59)).status, 429, "{cost}");
        let body = json!({"model": "gpt-4o-mini", "input": "a"});
        let answer = client.post("/v1/embeddings", &body);
        let left = answer.header("x-ratelimit-remaining-requests");
        assert_eq!(left, Some(if cost { "58" } else { "59" }), "{cost}");
    }
}

#[test]
fn money_runs_out_for_all_models_together() {
    let simulator = start(hourly(100, 100).out_of_money_after(2));
    let mut client = Client::new(&simulator);
    for (step, (model, cap, status)) in [
        ("a", 1, 200),
        ("a", 1_000, 429), // too large: not admitted, and not counted
        ("b", 1, 200),
        ("a", 1, 429),
        ("c", 1, 429),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = chat(1, cap);
        body["model"] = json!(model);
        let answer = client.post(CHAT, &body);
        assert_eq!(answer.status, status, "step {step}");
        if step > 2 {
            assert_eq!(answer.error("code"), "insufficient_quota", "step {step}");
            assert_eq!(answer.error("type"), "insufficient_quota", "step {step}");
            assert_eq!(answer.header("retry-after"), None, "step {step}");
            assert_eq!(said(&answer), Vec::<String>::new(), "step {step}");
        }
    }
    let report = simulator.report();
    assert_eq!((report.admitted, report.out_of_money), (2, 2));
    assert_eq!((report.too_large, report.refused()), (1, 3));
}

#[test]
fn a_neighbour_is_reported_apart_and_is_part_of_the_limit() {
    let config = SimConfig::new().default_limits(limits(120_000_000, 240_000));
    let simulator = start(config.neighbour(0.5));
    let mut client = Client::new(&simulator);
    let theirs = || {
        let report = simulator.report();
        let model = report.models.get("gpt-4o-mini");
        model.map_or((0, 0), |it| (it.neighbour_tokens, it.neighbour_requests))
    };
    let mut sent = 0;
    until(|| {
        sent += 1;
        client.post(CHAT, &chat(1, 1));
        theirs().1 >= 1_000
    });
    let (tokens, requests) = theirs();
    assert_eq!(tokens, requests * 500);
    let report = simulator.report();
    assert_eq!(report.received, sent);
    assert_eq!(report.tokens_charged, report.admitted * 2);
    assert_eq!(report.violations(), []);
}

#[test]
fn the_report_says_when_the_last_request_was_let_in() {
    let simulator = start(hourly(100, 1));
    let mut client = Client::new(&simulator);
    let report = simulator.report();
    assert_eq!((report.first_arrival, report.last_admission), (None, None));
    assert_eq!(client.post_with(CHAT, "", "{}").status, 401);
    let report = simulator.report();
    assert_eq!(report.until_last_admission(), None);
    let arrival = report.first_arrival.unwrap();

    for (step, status) in [(0, 200), (1, 200), (2, 429)] {
        let cap = if status == 200 { 1 } else { 1_000 };
        let before = simulator.report().last_admission;
        assert_eq!(client.post(CHAT, &chat(1, cap)).status, status, "{step}");
        let report = simulator.report();
        assert_eq!(report.first_arrival, Some(arrival), "step {step}");
        assert_eq!(report.last_admission > before, status == 200, "step {step}");
        let until = report.until_last_admission().unwrap();
        assert_eq!(Some(arrival + until), report.last_admission, "step {step}");
    }
}
