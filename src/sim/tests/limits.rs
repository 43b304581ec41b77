//! Admission as clients see it.

use super::*;

#[test]
fn a_refusal_has_the_apis_words_and_headers() {
    let config = SimConfig::new().default_limits(limits(60_000, 60));
    let simulator = start(config);
    let mut client = Client::new(&simulator);

    let answer = client.post(CHAT, &chat(10_000, 50_000));
    assert_eq!(answer.status, 200);
    let header = |name: &str| answer.header(name).unwrap();
    assert_eq!(header("x-ratelimit-limit-tokens"), "60000");
    assert_eq!(header("x-ratelimit-remaining-tokens"), "0");
    assert_eq!(header("x-ratelimit-reset-tokens"), "1m0s");
    assert_eq!(header("x-ratelimit-limit-requests"), "60");
    assert_eq!(header("x-ratelimit-remaining-requests"), "59");
    assert_eq!(header("x-ratelimit-reset-requests"), "1s");
    assert_eq!(header("content-type"), "application/json");
    assert!(header("x-request-id").starts_with("req_"));
    assert_eq!(header("openai-processing-ms"), "0");

    // It asks for everything, so it is refused unless a whole minute has passed.
    let refused = client.post(CHAT, &chat(10_000, 50_000));
    assert_eq!(refused.status, 429);
    assert_eq!(refused.error("type"), "tokens");
    assert_eq!(refused.error("code"), "rate_limit_exceeded");
    assert_eq!(refused.error("param"), Value::Null);
    let message = refused.error("message").as_str().unwrap().to_owned();
    let beginning = "Rate limit reached for gpt-4o-mini in organization org-sim on tokens per min \
                     (TPM): Limit 60000, Used ";
    assert!(message.starts_with(beginning), "{message}");
    assert!(message.contains(", Requested 60000. Please try again in "));
    let millis: u64 = refused.header("retry-after-ms").unwrap().parse().unwrap();
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60_000).contains(&millis), "{millis}");
    assert_eq!(seconds, millis.div_ceil(1_000));
    assert_eq!(refused.header("x-should-retry"), Some("true"));

    let large = client.post(CHAT, &chat(10_000, 50_001));
    assert_eq!(large.status, 429);
    assert_eq!(large.error("code"), "rate_limit_exceeded");
    let message = large.error("message").as_str().unwrap().to_owned();
    assert!(message.starts_with("Request too large for gpt-4o-mini"));
    assert!(
        message.contains("Limit 60000, Requested 60001."),
        "{message}"
    );
    assert_eq!(large.header("retry-after"), None);

    let report = simulator.report();
    let counts = (report.received, report.admitted, report.refused());
    assert_eq!(counts, (3, 1, 2));
    assert_eq!((report.refused_for_tokens, report.too_large), (1, 1));
    assert_eq!(report.tokens_charged, 60_000);
    assert_eq!(report.models["gpt-4o-mini"].refused, 2);
}

#[test]
fn requests_are_limited_too_and_named() {
    let simulator = start(SimConfig::new().default_limits(limits(None, 1)));
    let mut client = Client::new(&simulator);
    let answer = client.post(CHAT, &chat(1, 1));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-ratelimit-limit-tokens"), None, "no limit");
    let refused = client.post(CHAT, &chat(1, 1));
    assert_eq!(refused.error("type"), "requests");
    let message = refused.error("message").as_str().unwrap().to_owned();
    assert!(message.contains("on requests per min (RPM): Limit 1, Used 1, Requested 1."));
    assert_eq!(simulator.report().refused_for_requests, 1);
}

#[test]
fn snapshots_share_a_limit_and_other_models_do_not() {
    let config = SimConfig::new()
        .default_limits(limits(None, 1))
        .limits("gpt-4o", limits(None, 2));
    let simulator = start(config);
    let mut client = Client::new(&simulator);
    let table = [
        ("gpt-4o-2024-08-06", 200),
        ("ft:gpt-4o:org::id", 200),
        ("gpt-4o", 429),
        ("gpt-4o-mini", 200),
        ("gpt-4o-mini-2024-07-18", 429),
        ("other", 200),
    ];
    for (step, (model, status)) in table.into_iter().enumerate() {
        let mut body = chat(1, 1);
        body["model"] = json!(model);
        assert_eq!(client.post(CHAT, &body).status, status, "step {step}");
    }
    let report = simulator.report();
    let names: Vec<&str> = report.models.keys().map(String::as_str).collect();
    assert_eq!(names, ["gpt-4o", "gpt-4o-mini", "other"]);
}

#[test]
fn a_crowd_gets_what_the_limit_allows_and_nothing_is_lost() {
    const THREADS: u64 = 16;
    const EACH: u64 = 25;
    // The burst admits 100 of the 400, and one more for each 0.6 s that the test takes.
    let config = SimConfig::new().default_limits(limits(100_000, 1_000_000));
    let simulator = start(config);
    let admitted: u64 = thread::scope(|scope| {
        let clients: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::new(&simulator);
                    let answers = (0..EACH).map(|_| client.post(CHAT, &chat(500, 500)).status);
                    answers.filter(|status| *status == 200).count() as u64
                })
            })
            .collect();
        clients.into_iter().map(|it| it.join().unwrap()).sum()
    });
    let report = simulator.report();
    assert!(admitted >= 100, "the burst is there: {admitted}");
    assert_eq!(report.received, THREADS * EACH);
    assert_eq!(report.admitted, admitted);
    assert_eq!(report.refused_for_tokens, THREADS * EACH - admitted);
    assert_eq!(report.tokens_charged, admitted * 1_000);
    assert_eq!(report.violations(), []);
    assert!(report.most_connections <= THREADS);
    assert!(report.most_in_flight <= THREADS);
}

#[test]
fn keys_are_asked_for_before_anything_is_charged() {
    let config = SimConfig::new().api_key(Some("right".to_owned()));
    let simulator = start(config);
    let mut client = Client::new(&simulator);
    let body = chat(1, 1).to_string();
    // header, status, code
    let table = [
        ("", 401, Value::Null),
        ("Authorization: Bearer \r\n", 401, Value::Null),
        ("Authorization: Basic right\r\n", 401, Value::Null),
        ("Authorization: right\r\n", 401, Value::Null),
        (
            "Authorization: Bearer wrong\r\n",
            401,
            json!("invalid_api_key"),
        ),
        ("authorization: bearer right\r\n", 200, Value::Null),
    ];
    for (step, (header, status, code)) in table.into_iter().enumerate() {
        let answer = client.post_with(CHAT, header, &body);
        assert_eq!(answer.status, status, "step {step}");
        if status == 401 {
            assert_eq!(answer.error("code"), code, "step {step}");
            assert_eq!(answer.error("type"), "invalid_request_error", "step {step}");
        }
    }
    let report = simulator.report();
    assert_eq!((report.unauthorized, report.admitted), (5, 1));
    assert!(
        !format!("{simulator:?}").contains("right"),
        "keys stay secret"
    );
}
