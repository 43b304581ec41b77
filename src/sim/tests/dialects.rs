//! What clients of other providers see.

use super::*;

const MESSAGES: &str = "/v1/messages";

fn speaking(dialect: Dialect, requests: u64) -> Simulator {
    start(
        SimConfig::new()
            .dialect(dialect)
            .default_limits(limits(6_000, requests)),
    )
}

/// The first answer and the refusal of the second request, where one a minute is admitted.
fn both(dialect: Dialect) -> [Answer; 2] {
    let simulator = speaking(dialect, 1);
    let mut client = Client::new(&simulator);
    let mut body = chat(10, 5);
    if dialect == Dialect::Mistral {
        let cap = body
            .as_object_mut()
            .unwrap()
            .remove("max_completion_tokens");
        body["max_tokens"] = cap.unwrap();
    }
    let answers = [(); 2].map(|()| client.post(CHAT, &body));
    assert_eq!(answers[0].status, 200, "{dialect:?}");
    assert_eq!(answers[1].status, 429, "{dialect:?}");
    answers
}

#[test]
fn each_provider_tells_its_limits_in_its_own_headers() {
    // the dialect, a header, what the first answer says; None is that it is not there
    let table = [
        (Dialect::OpenAi, "x-ratelimit-limit-requests", Some("1")),
        (Dialect::OpenAi, "x-ratelimit-reset-tokens", Some("150ms")),
        (Dialect::Azure, "x-ratelimit-remaining-tokens", Some("5985")),
        (Dialect::Azure, "x-ratelimit-limit-tokens", None),
        (
            Dialect::Anthropic,
            "anthropic-ratelimit-requests-remaining",
            Some("0"),
        ),
        (
            Dialect::Anthropic,
            "anthropic-ratelimit-tokens-limit",
            Some("6000"),
        ),
        (Dialect::Anthropic, "x-ratelimit-limit-requests", None),
        (
            Dialect::Cerebras,
            "x-ratelimit-limit-tokens-minute",
            Some("6000"),
        ),
        (
            Dialect::Cerebras,
            "x-ratelimit-reset-tokens-minute",
            Some("0.150"),
        ),
        (Dialect::Fireworks, "x-ratelimit-over-limit", Some("no")),
        (Dialect::Gemini, "x-ratelimit-limit-requests", None),
        (Dialect::Groq, "x-ratelimit-limit-tokens", Some("6000")),
        // Of requests Groq tells the day alone, and there is no such limit here.
        (Dialect::Groq, "x-ratelimit-limit-requests", None),
        (Dialect::Mistral, "x-ratelimit-limit-req-minute", Some("1")),
        (
            Dialect::Mistral,
            "x-ratelimit-remaining-tokens-minute",
            Some("5985"),
        ),
        (Dialect::Moonshot, "x-ratelimit-limit-requests", None),
        (Dialect::OpenRouter, "x-ratelimit-limit", None),
        (Dialect::Together, "x-tokenlimit-limit", Some("100")),
        (Dialect::Together, "x-ratelimit-limit", Some("1")),
    ];
    for (dialect, name, expected) in table {
        let [answer, _] = both(dialect);
        assert_eq!(answer.header(name), expected, "{dialect:?}: {name}");
    }
    let [_, refusal] = both(Dialect::OpenRouter);
    let reset = refusal.header("x-ratelimit-reset").unwrap();
    assert!(reset.len() == 13, "Unix milliseconds: {reset}");
    let [answer, _] = both(Dialect::Anthropic);
    let reset = answer.header("anthropic-ratelimit-requests-reset").unwrap();
    assert!(reset.ends_with('Z') && reset.len() == 20, "{reset}");
}

#[test]
fn each_provider_words_its_refusal_and_names_the_wait_where_it_does() {
    // the dialect, where the message stands, how it begins, whether there is a retry-after
    let table = [
        (
            Dialect::OpenAi,
            "/error/message",
            "Rate limit reached",
            true,
        ),
        (Dialect::Azure, "/error/message", "Requests to the", true),
        (
            Dialect::Anthropic,
            "/error/message",
            "This request would exceed",
            true,
        ),
        (Dialect::Cerebras, "/message", "Requests per minute", true),
        (Dialect::Fireworks, "/message", "rate limit exceeded", false),
        (
            Dialect::Gemini,
            "/0/error/message",
            "You exceeded your current quota",
            false,
        ),
        (Dialect::Groq, "/error/message", "Rate limit reached", true),
        (Dialect::Mistral, "/message", "Rate limit exceeded", false),
        (Dialect::Moonshot, "/error/message", "Your account", false),
        (
            Dialect::OpenRouter,
            "/error/message",
            "Rate limit exceeded",
            false,
        ),
        (
            Dialect::Together,
            "/error/message",
            "You have reached",
            false,
        ),
    ];
    assert_eq!(table.len(), Dialect::ALL.len());
    for (dialect, at, words, waits) in table {
        let [_, refusal] = both(dialect);
        let body = refusal.json();
        let message = body.pointer(at).and_then(Value::as_str).unwrap_or_default();
        assert!(message.starts_with(words), "{dialect:?}: {body}");
        assert_eq!(
            refusal.header("retry-after").is_some(),
            waits,
            "{dialect:?}"
        );
    }
    let [_, gemini] = both(Dialect::Gemini);
    let details = gemini.json()[0]["error"]["details"].clone();
    let delay = details[1]["retryDelay"].as_str().unwrap().to_owned();
    assert!(delay.ends_with('s') && delay[..delay.len() - 1].parse::<u64>().is_ok());
    let quota = details[0]["violations"][0]["quotaId"].as_str().unwrap();
    assert_eq!(quota, "GenerateRequestsPerMinutePerProjectPerModel");
}

#[test]
fn anthropics_messages_need_their_version_and_speak_their_own_errors() {
    let simulator = speaking(Dialect::OpenAi, 1);
    let mut client = Client::new(&simulator);
    let body = json!({
        "model": "claude-sim", "max_tokens": 5,
        "messages": [{"role": "user", "content": "a".repeat(40)}],
    })
    .to_string();
    let key = "X-Api-Key: key\r\n";
    let without = client.post_with(MESSAGES, key, &body);
    assert_eq!(
        (without.status, without.json()["type"].as_str()),
        (400, Some("error"))
    );
    let headers = format!("{key}anthropic-version: 2023-06-01\r\n");
    let answer = client.post_with(MESSAGES, &headers, &body);
    let found = answer.json();
    assert_eq!(
        (answer.status, found["type"].as_str()),
        (200, Some("message"))
    );
    assert_eq!(found["content"][0]["type"], "text");
    assert_eq!(found["usage"]["input_tokens"], 10);
    assert!(answer.header("request-id").is_some());
    let refusal = client.post_with(MESSAGES, &headers, &body);
    assert_eq!(refusal.status, 429);
    assert_eq!(refusal.error("type"), "rate_limit_error");
}

#[test]
fn mistral_refuses_the_newer_name_of_the_cap() {
    let simulator = speaking(Dialect::Mistral, 5);
    let answer = Client::new(&simulator).post(CHAT, &chat(10, 5));
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["param"], "max_completion_tokens");
}

#[test]
fn azures_paths_name_the_model_and_its_key_has_a_header_of_its_own() {
    let simulator = speaking(Dialect::Azure, 5);
    let mut client = Client::new(&simulator);
    let mut body = chat(10, 5);
    body.as_object_mut().unwrap().remove("model");
    let path = "/openai/deployments/mine/chat/completions?api-version=2024-10-21";
    let answer = client.post_with(path, "api-key: key\r\n", &body.to_string());
    assert_eq!(answer.json()["model"], "mine");
    assert_eq!(client.post_with(path, "", &body.to_string()).status, 401);
}

#[test]
fn whoever_finds_no_slot_is_refused_and_charged_nothing() {
    let table = [
        (Dialect::OpenAi, 503, "Maximum pending requests exceeded"),
        (Dialect::Moonshot, 429, "max organization concurrency"),
        (Dialect::Anthropic, 529, "Overloaded"),
    ];
    for (dialect, status, words) in table {
        let config = SimConfig::new().dialect(dialect).slots(1, 0);
        let simulator = start(config.latency(Duration::from_secs(3_600)));
        let mut first = Client::new(&simulator);
        first.send_post(
            CHAT,
            "Authorization: Bearer key\r\n",
            &chat(10, 5).to_string(),
        );
        until(|| simulator.report().admitted == 1);
        let refusal = Client::new(&simulator).post(CHAT, &chat(10, 6));
        let text = refusal.json().to_string();
        assert_eq!(refusal.status, status, "{dialect:?}");
        assert!(text.contains(words), "{dialect:?}: {text}");
        let report = simulator.report();
        assert_eq!((report.admitted, report.refused_for_slots), (1, 1));
    }
}

#[test]
fn flexible_requests_alone_find_no_capacity() {
    for (dialect, status, code) in [
        (Dialect::OpenAi, 429, "resource_unavailable"),
        (Dialect::Groq, 498, "capacity_exceeded"),
    ] {
        let config = SimConfig::new().dialect(dialect);
        let simulator = start(config.fault(Fault::NoCapacity, 1.0));
        let mut client = Client::new(&simulator);
        let mut body = chat(10, 5);
        assert_eq!(client.post(CHAT, &body).status, 200);
        body["service_tier"] = json!("flex");
        let refusal = client.post(CHAT, &body);
        assert_eq!(
            (refusal.status, refusal.error("code")),
            (status, json!(code))
        );
    }
}

#[test]
fn a_failure_may_come_inside_a_success() {
    let simulator = start(SimConfig::new().fault(Fault::ErrorInside, 1.0));
    let answer = Client::new(&simulator).post(CHAT, &chat(10, 5));
    assert_eq!((answer.status, answer.error("code")), (200, json!(502)));
}

#[test]
fn a_prompt_that_came_before_is_told_as_cached() {
    let simulator = start(SimConfig::new().prompt_cache(true));
    let mut client = Client::new(&simulator);
    let body = chat(2_000, 5);
    let cached = |usage: Value| usage["usage"]["prompt_tokens_details"]["cached_tokens"].clone();
    assert_eq!(cached(client.post(CHAT, &body).json()), 0);
    let second = cached(client.post(CHAT, &body).json()).as_u64().unwrap();
    assert!(
        (1_024..=2_000).contains(&second) && second % 128 == 0,
        "{second}"
    );
}
