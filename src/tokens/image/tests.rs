use super::*;
use crate::tokens::ModelTable;
use crate::tokens::base64::encoded;
use proptest::prelude::*;
use serde_json::json;

use Detail::{Auto, High, Low, Original};

fn tokens(model: &str, width: u32, height: u32, detail: Detail) -> u64 {
    ModelTable::default()
        .profile(model)
        .image_tokens(width, height, detail)
}

/// The worked examples of the provider's guide "Images and vision", section "Calculating costs": of tiles,
/// and of patches, before and after the multiplier.
#[test]
fn the_guide_s_examples_are_met() {
    let table = [
        ("gpt-4o", 1_024, 1_024, High, 765),
        ("gpt-4o", 2_048, 4_096, High, 1_105),
        ("gpt-4o", 4_096, 8_192, Low, 85),
        // 1,024 patches, and 1,452 of 4,275.
        ("gpt-4.1-mini", 1_024, 1_024, High, 1_659), // 1,658.88
        ("gpt-4.1-mini", 1_800, 2_400, High, 2_353), // 2,352.24
        ("gpt-4.1-nano", 1_024, 1_024, High, 2_520),
        ("o4-mini", 1_800, 2_400, High, 2_498),
    ];
    for (step, (model, width, height, detail, expected)) in table.into_iter().enumerate() {
        assert_eq!(
            tokens(model, width, height, detail),
            expected,
            "step {step}: {model}"
        );
    }
}

/// Usage that the API answered, less what the text had: gpt-5-mini of June 2026 (OpenAI developer
/// community, "GPT-5-mini image input token calculation discrepancy").
#[test]
fn what_was_billed_is_met() {
    let table = [
        (256, 256, 77),
        (512, 512, 308),
        (768, 1_024, 922),
        (1_280, 720, 1_104),
        (1_024, 1_024, 1_229),
        (2_048, 768, 1_844),
    ];
    for (step, (width, height, expected)) in table.into_iter().enumerate() {
        assert_eq!(
            tokens("gpt-5-mini", width, height, Auto),
            expected,
            "step {step}"
        );
    }
}

#[test]
fn every_family_has_its_sizing() {
    let table = [
        // model, low, high, original, auto; of 4,000 × 2,500 pixels
        ("gpt-4o", 85, 1_105, 1_105, 1_105),
        ("gpt-4.1", 85, 1_105, 1_105, 1_105),
        ("gpt-4.5-preview", 85, 1_105, 1_105, 1_105),
        ("gpt-4-turbo", 85, 1_105, 1_105, 1_105),
        ("gpt-4o-mini", 2_833, 36_835, 36_835, 36_835),
        ("gpt-5", 70, 910, 910, 910),
        ("gpt-5.1", 70, 910, 910, 910),
        ("o1", 75, 975, 975, 975),
        ("o3-pro", 75, 975, 975, 975),
        ("computer-use-preview", 65, 839, 839, 839),
        // 49.6 × 31 patches fit 1,536; 30 whole rows are 48 wide.
        ("gpt-5-nano", 2_160, 2_160, 2_160, 2_160),
        ("gpt-5.2", 1_728, 1_728, 1_728, 1_728),
        ("gpt-5.3-codex", 1_728, 1_728, 1_728, 1_728),
        ("gpt-5.4-mini", 1_728, 1_728, 1_728, 1_728),
        // 64 × 40 of 2,048 pixels are too many; 39 whole rows are 62.4 wide.
        ("gpt-5.4", 2_949, 2_949, 11_850, 2_949),
        ("gpt-5.5-pro", 2_949, 2_949, 11_850, 11_850),
        ("gpt-5.6-sol", 2_949, 2_949, 11_850, 11_850),
        ("gpt-6", 2_949, 2_949, 11_850, 11_850),
        ("never-heard-of", 85, 1_105, 1_105, 1_105),
    ];
    for (step, (model, low, high, original, auto)) in table.into_iter().enumerate() {
        let found = [Low, High, Original, Auto].map(|detail| tokens(model, 4_000, 2_500, detail));
        assert_eq!(found, [low, high, original, auto], "step {step}: {model}");
    }
}

#[test]
fn a_size_that_is_not_known_counts_as_the_largest() {
    let table = [
        ("gpt-4o", Auto, 85 + 8 * 170),
        ("gpt-4o", Low, 85),
        ("gpt-5-mini", High, 1_844), // 1,536 × 1.2 = 1,843.2
        ("gpt-5.4", High, 3_000),
        ("gpt-5.4", Original, 12_000),
        ("gpt-5.6", Auto, 36_000),
    ];
    for (step, (model, detail, expected)) in table.into_iter().enumerate() {
        let profile = ModelTable::default().profile(model);
        assert_eq!(
            profile.most_image_tokens(detail),
            expected,
            "step {step}: {model}"
        );
        assert_eq!(
            profile.image_tokens(0, 5, detail),
            expected,
            "step {step}: {model}"
        );
        assert_eq!(
            profile.image_tokens(5, 0, detail),
            expected,
            "step {step}: {model}"
        );
    }
}

#[test]
fn an_image_is_found_wherever_it_may_stand() {
    let image = ModelTable::default().profile("gpt-4o").image;
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend([0, 0, 4, 0, 0, 0, 4, 0]); // 1,024 × 1,024
    let bare = encoded(&png);
    let url = format!("data:image/png;base64,{bare}");
    let most = 85 + 8 * 170;
    let table = [
        (json!({ "image_url": { "url": url } }), 765),
        (json!({ "image_url": url }), 765),
        (json!({ "image_url": { "url": url }, "detail": "low" }), 85),
        (
            json!({ "image_url": { "url": url, "detail": "low" }, "detail": "high" }),
            85,
        ),
        (json!({ "image_url": url, "detail": "low" }), 85),
        (json!({ "image_url": url, "detail": "new" }), 765),
        (json!({ "image_url": url, "detail": 5 }), 765),
        (json!({ "image": bare }), 765),
        (
            json!({ "source": { "type": "base64", "media_type": "image/png", "data": bare } }),
            765,
        ),
        (json!({ "result": bare }), 765),
        (
            json!({ "image_file": { "file_id": "f", "detail": "low" } }),
            85,
        ),
        (
            json!({ "image_url": { "url": "https://example.com/a.png" } }),
            most,
        ),
        (json!({ "image_url": 5 }), most),
        (json!({ "image_url": null }), most),
        (json!({ "file_id": "f" }), most),
        (json!({}), most),
    ];
    for (step, (fields, expected)) in table.into_iter().enumerate() {
        assert_eq!(
            part(&image, fields.as_object().unwrap()),
            expected,
            "step {step}: {fields}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Of any size, in any table that can be read: no overflow, and never more than the largest.
    #[test]
    fn no_image_counts_more_than_one_of_unknown_size(
        width in prop_oneof![1..5_000_u32, any::<u32>()],
        height in prop_oneof![1..5_000_u32, any::<u32>()],
        budget in prop_oneof![1..5_000_u32, 1..=u32::MAX],
        side in prop_oneof![1..5_000_u32, 1..=u32::MAX],
    ) {
        let tables = [
            String::new(),
            format!("[models.x]\npatches = {{ multiplier = 1000, high = {{ budget = {budget}, side = {side} }} }}"),
            format!("[models.x]\ntiles = {{ base = {budget}, each = {budget}, side = {side}, short = {height} }}"),
        ];
        for (step, text) in tables.iter().enumerate() {
            let Ok(table) = ModelTable::from_toml(text) else {
                prop_assert!(height == 0, "{text}");
                continue;
            };
            for model in ["x", "gpt-4o", "gpt-5-mini", "gpt-5.4", "gpt-5.6"] {
                let profile = table.profile(model);
                for detail in [Low, High, Original, Auto] {
                    let found = profile.image_tokens(width, height, detail);
                    let turned = profile.image_tokens(height, width, detail);
                    prop_assert!(found <= profile.most_image_tokens(detail), "step {}: {}", step, model);
                    prop_assert_eq!(found, turned, "step {}: {}", step, model);
                }
            }
        }
    }

    /// The guide's own way to make an image smaller, in doubles, is at most a row away.
    #[test]
    fn patches_follow_the_guide_s_formula(width in 33..6_000_u32, height in 33..6_000_u32) {
        let budget = 1_536.0_f64;
        let (w, h) = (f64::from(width), f64::from(height));
        let longest = w.max(h);
        let fit = (2_048.0 / longest).min(1.0);
        let (w, h) = (w * fit, h * fit);
        let patches = |w: f64, h: f64| (w / 32.0 - 1e-9).ceil() * (h / 32.0 - 1e-9).ceil();
        let mut expected = patches(w, h);
        if expected > budget {
            let shrink = (32.0 * 32.0 * budget / (w * h)).sqrt();
            let whole = |side: f64| (side * shrink / 32.0 + 1e-9).floor() / (side * shrink / 32.0);
            let shrink = shrink * whole(w).min(whole(h));
            expected = patches(w * shrink, h * shrink);
        }
        let found = tokens("gpt-5.2", width, height, High);
        let expected = (expected * 1.2 - 1e-6).ceil();
        prop_assert!((found as f64 - expected).abs() < 0.5, "{} and not {}", found, expected);
    }
}
