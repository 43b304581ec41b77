//! Prices of files and those that are built in.

use proptest::prelude::*;

use super::price::Rates;
use super::*;

const FILE: &str = "
    [models.gpt-4o]
    input = 2.5
    cached_input = 1.25
    output = 10
    [models.'ft:gpt-4o']
    input = '3.75'
    output = 15.0
    [models.'gpt-4o-2024-05-13']
    input = 5
    output = 15
    [families.f]
    models = ['o3', 'o4-mini']
    input = 0.1
    output = 0.000001
";

fn usage(input_tokens: u64, cached_tokens: u64, output_tokens: u64) -> Usage {
    Usage {
        input_tokens,
        output_tokens,
        cached_tokens,
        ..Usage::default()
    }
}

#[test]
fn a_model_has_the_price_of_its_name_or_its_base_and_a_fine_tune_its_own() {
    let prices = Prices::from_toml(FILE).unwrap();
    assert_eq!(prices.currency(), "USD");
    let million = usage(1_000_000, 0, 1_000_000);
    let table = [
        ("gpt-4o", Some("12.50")),
        ("gpt-4o-2024-08-06", Some("12.50")),
        ("gpt-4o-2024-05-13", Some("20.00")),
        ("gpt-4o-mini", None),
        ("ft:gpt-4o-2024-08-06:acme::B4x", Some("18.75")),
        ("ft:o3:acme", None), // not that of o3, which is lower
        ("o3-2025-04-16", Some("0.100")),
        ("o4-mini", Some("0.100")),
        ("", None),
    ];
    for (model, cost) in table {
        let found = prices.cost(model, million).map(|cost| format!("{cost:.2}"));
        let cost = cost.map(|cost| format!("{:.2}", cost.parse::<Money>().unwrap()));
        assert_eq!(found, cost, "{model}");
    }
}

#[test]
fn cached_input_has_its_own_price_and_each_part_is_exact() {
    let prices = Prices::from_toml(FILE).unwrap();
    let table = [
        ("gpt-4o", usage(1, 0, 0), 2_500_000),
        ("gpt-4o", usage(1, 1, 0), 1_250_000),
        (
            "gpt-4o",
            usage(10, 4, 3),
            6 * 2_500_000 + 4 * 1_250_000 + 3 * 10_000_000,
        ),
        ("gpt-4o", usage(3, 9, 0), 3 * 1_250_000), // more than there was
        ("o3", usage(7, 7, 1), 7 * 100_000 + 1),
    ];
    for (step, (model, usage, cost)) in table.into_iter().enumerate() {
        let found = prices.cost(model, usage).unwrap().trillionths();
        assert_eq!(found, cost, "step {step}");
    }
    let size = Estimate {
        tokens: 9,
        prompt: 7,
        output: 2,
        ..Estimate::default()
    };
    let most = prices
        .at_most(ServiceTier::Standard, "gpt-4o", size)
        .unwrap();
    assert_eq!(most.trillionths(), 9 * 2_500_000 + 2 * 10_000_000);
    assert_eq!(prices.at_most(ServiceTier::Standard, "gpt-5", size), None);
}

#[test]
fn each_tier_has_its_price_and_writing_to_a_cache_costs_its_own() {
    let prices = Prices::from_toml(
        "[models.m]\ninput = 4\ncached_input = 0.4\ncache_write = 5\noutput = 20\nflex_input = 2\nflex_output = 10
        [models.n]\ninput = 1\noutput = 1\npriority_input = 2\npriority_output = 3",
    )
    .unwrap();
    let used = Usage {
        cache_write_tokens: 20,
        ..usage(100, 30, 10)
    };
    let cost = |tier, model| prices.cost_in(tier, model, used).map(Money::trillionths);
    let million = 1_000_000;
    let table = [
        (
            ServiceTier::Standard,
            "m",
            Some(50 * 4 * million + 30 * 400_000 + 20 * 5 * million + 200 * million),
        ),
        (
            ServiceTier::Flex,
            "m",
            Some(50 * 2 * million + 30 * 400_000 + 20 * 5 * million + 100 * million),
        ),
        (
            ServiceTier::Batch,
            "m",
            Some(50 * 4 * million + 30 * 400_000 + 20 * 5 * million + 200 * million),
        ),
        (ServiceTier::Priority, "m", None),
        (
            ServiceTier::Priority,
            "n",
            Some(100 * 2 * million + 30 * million),
        ),
    ];
    for (tier, model, expected) in table {
        assert_eq!(cost(tier, model), expected, "{tier:?} {model}");
    }
    let half = Prices::from_toml("[models.m]\ninput = 1\noutput = 1\nflex_input = 1");
    let message = half.unwrap_err().to_string();
    assert!(message.contains("flex_input and flex_output"), "{message}");
}

#[test]
fn the_built_in_prices_are_dated_and_overruled() {
    let prices = Prices::builtin();
    assert_eq!(prices.dated(), Some("2026-11"));
    let million = usage(1_000_000, 0, 1_000_000);
    let cost = |prices: &Prices, tier, model| {
        prices
            .cost_in(tier, model, million)
            .map(|cost| cost.to_string())
    };
    let table = [
        (ServiceTier::Standard, "gpt-4o", Some("12.50")),
        (ServiceTier::Batch, "gpt-4o", Some("6.25")),
        (ServiceTier::Flex, "gpt-5-mini", Some("1.125")),
        (
            ServiceTier::Standard,
            "claude-opus-4-5-20251101",
            Some("30.00"),
        ),
        (ServiceTier::Standard, "gemini-2.5-flash", Some("2.80")),
        (ServiceTier::Standard, "openai/gpt-oss-120b", Some("0.75")),
        (
            ServiceTier::Standard,
            "text-embedding-3-small",
            Some("0.02"),
        ),
        (ServiceTier::Standard, "no-such-model", None),
    ];
    for (tier, model, expected) in table {
        assert_eq!(
            cost(&prices, tier, model).as_deref(),
            expected,
            "{tier:?} {model}"
        );
    }
    let own = Prices::from_toml("[models.gpt-4o]\ninput = 1\noutput = 2").unwrap();
    let both = own.over(prices).unwrap();
    assert_eq!(
        cost(&both, ServiceTier::Standard, "gpt-4o").as_deref(),
        Some("3.00")
    );
    assert_eq!(
        cost(&both, ServiceTier::Standard, "gpt-4o-mini").as_deref(),
        Some("0.75")
    );
    let euros = Prices::from_toml("currency = 'EUR'\n[models.x]\ninput = 1\noutput = 2").unwrap();
    assert!(euros.over(Prices::builtin()).is_err());
}

#[test]
fn each_mistake_is_named_with_its_place_and_key() {
    let table = [
        ("input = 5", "line 1, column 1", "unknown field `input`"),
        (
            "[models.gpt-4.1]\ninput = 1\noutput = 2",
            "line 1",
            "in quotes: [models.\"gpt-4.1\"]",
        ),
        (
            "[models.x]\ninput = 1\noutput = 2\noutputs = 3",
            "line 4, column 1",
            "unknown field `outputs`",
        ),
        (
            "[models.x]\ninput = -1\noutput = 2",
            "line 2, column 9",
            "input: ",
        ),
        (
            "[models.x]\ninput = 1\noutput = nan",
            "line 3, column 10",
            "output: ",
        ),
        (
            "[models.x]\ninput = 1\noutput = 'much'",
            "line 3",
            "such as 0.15",
        ),
        ("[models.x]\ninput = 1\noutput = true", "line 3", "output: "),
        (
            "[models.x]\ninput = 0.0000001\noutput = 2",
            "line 2",
            "six decimals",
        ),
        ("[models.x]\ninput = 1e300\noutput = 2", "line 2", "input: "),
        ("[models.x]\ninput = 1", "line 1", "missing field `output`"),
        (
            "[models]\nx = {input = 1, output = -2}",
            "line 2, column 26",
            "output: ",
        ),
        (
            "[families.f]\ninput = 1\noutput = 1",
            "line 1",
            "missing field `models`",
        ),
        (
            "[models.x]\ninput = 1\noutput = 1\n[families.f]\nmodels = ['x']\ninput = 1\noutput = 1",
            "[families.f]",
            "\"x\" has a price already",
        ),
        ("currency = ''", "currency", "such as \"USD\""),
        ("currency = 'a b'", "currency", "such as \"USD\""),
        ("currency = 5", "line 1, column 12", "currency: "),
        ("", "prices", "no price in it"),
        ("[models.x", "line 1", "table"),
    ];
    for (step, (text, place, word)) in table.into_iter().enumerate() {
        let error = Prices::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(place), "step {step}: {error}");
        assert!(error.contains(word), "step {step}: {error}");
    }
}

proptest! {
    #[test]
    fn a_price_is_what_is_written(micros in 0..1_000_000_000_000_u64, tokens: u64) {
        let written = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let text = format!("[models.m]\ninput = {written}\noutput = '{written}'");
        let prices = Prices::from_toml(&text).unwrap();
        let exact = u128::from(tokens) * u128::from(micros);
        let cost = |usage| prices.cost("m", usage).unwrap().trillionths();
        prop_assert_eq!(cost(usage(tokens, 0, 0)), exact);
        prop_assert_eq!(cost(usage(0, 0, tokens)), exact);
    }

    #[test]
    fn what_is_used_within_the_estimate_costs_no_more_than_at_most(
        price in prop::array::uniform3(0..=u64::MAX),
        size in prop::array::uniform3(0..=u64::MAX),
        shares in prop::array::uniform3(0.0..=1.0),
    ) {
        let [input, cached_input, output] = price;
        let standard = Rates { input, cached_input, cache_write: cached_input / 2, output };
        let price = Price { standard, batch: None, flex: None, priority: None };
        let [tokens, prompt, cap] = size;
        let size = Estimate { tokens, prompt, output: cap, ..Estimate::default() };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "any share will do")]
        let part = |of: u64, share: f64| ((of as f64 * share) as u64).min(of);
        let used = part(tokens.max(prompt), shares[0]);
        let usage = usage(used, part(used, shares[1]), part(cap, shares[2]));
        prop_assert!(price.cost(usage, ServiceTier::Standard) <= price.at_most(size, ServiceTier::Standard));
    }
}
