use super::*;
use crate::tokens::Detail;
use proptest::prelude::*;

use Encoding::{Cl100kBase, O200kBase, P50kBase, R50kBase};

fn encoding(model: &str) -> Encoding {
    ModelTable::default().profile(model).encoding()
}

#[test]
fn the_built_in_table_is_whole_and_dated() {
    let nothing = ModelTable::new(
        String::new(),
        file::Written::default(),
        Vec::new(),
        Profile::BARE,
    );
    let table = nothing.with_toml(BUILT_IN).unwrap();
    assert!(table.families.len() > 50, "only {}", table.families.len());
    let digits = table.dated().replace(|c: char| c.is_ascii_digit(), "d");
    assert_eq!(digits, "dddd-dd");
    // Every key of [default] is there: nothing is left as it is without a table.
    let (default, bare) = (table.default, Profile::BARE);
    assert_ne!(default.message, bare.message);
    assert_ne!(default.tools, bare.tools);
    assert_ne!(default.schema, bare.schema);
    assert_ne!(default.image, bare.image);
    assert_ne!(default.audio, bare.audio);
    assert_ne!(default.files, bare.files);
}

/// All names and prefixes of the list in `tiktoken-rs` 0.12.1, which is that of tiktoken 0.14.0.
#[test]
fn the_table_agrees_with_the_tokenizer_s_own_list() {
    let names = "o1 o3 o4-mini gpt-5 gpt-4.1 gpt-4o gpt-4 gpt-3.5-turbo gpt-3.5 gpt-35-turbo davinci-002 \
        babbage-002 text-embedding-ada-002 text-embedding-3-small text-embedding-3-large \
        text-davinci-003 text-davinci-002 text-davinci-001 text-curie-001 text-babbage-001 text-ada-001 \
        davinci curie babbage ada code-davinci-002 code-davinci-001 code-cushman-002 code-cushman-001 \
        davinci-codex cushman-codex text-davinci-edit-001 code-davinci-edit-001 \
        text-similarity-davinci-001 text-similarity-curie-001 text-similarity-babbage-001 \
        text-similarity-ada-001 text-search-davinci-doc-001 text-search-curie-doc-001 \
        text-search-babbage-doc-001 text-search-ada-doc-001 code-search-babbage-code-001 \
        code-search-ada-code-001 gpt2 gpt-2 o1- o3- o4-mini- gpt-5 gpt-5mini gpt-5.4 gpt-4.5- gpt-4.1- \
        chatgpt-4o- gpt-4o- gpt-4- gpt-3.5-turbo- gpt-35-turbo- gpt-oss- codex-mini codex-mini-latest";
    let models = ModelTable::default();
    for name in names.split_whitespace() {
        for name in [name.to_owned(), format!("{name}-2031-01-01")] {
            let Some(listed) = Encoding::listed(&name) else {
                assert!(
                    name.ends_with("-2031-01-01"),
                    "{name} is not on the list any more"
                );
                continue;
            };
            assert_eq!(encoding(&name), listed, "{name}");
            // By the table itself, and not because the list is asked for what it does not have.
            let family = models.family(Name::of(&name).bytes());
            assert!(family.is_some() || name.starts_with("gpt-5mini"), "{name}");
        }
    }
    // And none of ours says something else.
    for family in &models.families {
        if let Some(listed) = Encoding::listed(&family.name) {
            assert_eq!(family.profile.encoding, listed, "{}", family.name);
        }
    }
}

#[test]
fn names_find_their_family() {
    let table = [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-audio-preview", "gpt-4o"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("ft:gpt-4o-mini-2024-07-18:acme::x", "gpt-4o-mini"),
        ("curie:ft-acme-2023-01-01-00-00-00", "curie"),
        ("openrouter/openai/GPT-5-Mini", "gpt-5-mini"),
        ("azure/gpt-35-turbo", "gpt-35"),
        ("azure/gpt-35-turbo-0301", "gpt-35-turbo-0301"),
        ("gpt-3.5-turbo-16k", "gpt-3.5"),
        ("gpt-4.1_custom", "gpt-4.1"),
        ("gpt-4.10", "gpt-4"), // another number
        ("gpt-4o1", ""),
        ("gpt-4", "gpt-4"),
        ("gpt-4-turbo", "gpt-4"),
        ("gpt-5", "gpt-5"),
        ("gpt-5-codex", "gpt-5"),
        ("gpt-5-codex-mini", "gpt-5-codex-mini"),
        ("gpt-5.1", "gpt-5"),
        ("gpt-5.4-nano-2026-03-17", "gpt-5.4-nano"),
        ("gpt-5.6-sol", "gpt-5.6"),
        ("gpt-5.10", "gpt-5"),
        ("o4-mini-deep-research", "o4-mini"),
        ("o4", "o4"),
        ("omni", ""),
        ("o", ""),
        ("adamant", ""),
        ("ada", "ada"),
        ("davinci-002", "davinci-002"),
        ("davinci-003", "davinci"),
        ("gpt", ""),
        ("zzz", ""),
        ("", ""),
    ];
    let models = ModelTable::default();
    for (step, (model, family)) in table.into_iter().enumerate() {
        let found = models.family(Name::of(model).bytes());
        let name = found.map_or("", |family| family.name.as_str());
        assert_eq!(name, family, "step {step}: {model}");
    }
}

#[test]
fn models_that_nobody_knows_fall_back() {
    let table = [
        ("never-heard-of", Cl100kBase),
        ("claude-opus", Cl100kBase),
        ("gpt-5mini", O200kBase), // on the tokenizer's list
        ("ft:", Cl100kBase),
        ("/", Cl100kBase),
        ("é", Cl100kBase),
        ("text-davinci-003", P50kBase),
        ("davinci", R50kBase),
        ("gpt-6-astra", O200kBase),
        ("gpt-realtime", O200kBase),
    ];
    for (step, (model, expected)) in table.into_iter().enumerate() {
        assert_eq!(encoding(model), expected, "step {step}: {model}");
    }
}

#[test]
fn a_file_overrules_the_table_in_parts() {
    let text = r#"
        dated = "2031-02"
        [default]
        encoding = "p50k_base"
        [models."gpt-4o"]
        message = { each = 4, name = 0, reply = 5 }
        [models."My-Model"]
        like = "gpt-4o-mini-2024-07-18"
        encoding = "gpt2"
        [models."my-model-two"]
        schema = 7
        [families.patched]
        models = ["my-model-three", "gpt-4.1"]
        patches = { multiplier = 2, high = { budget = 100, side = 2048 } }
    "#;
    let table = ModelTable::from_toml(text).unwrap();
    assert_eq!(table.dated(), "2031-02");
    let built_in = ModelTable::default();
    let (old, new) = (built_in.profile("gpt-4o"), table.profile("gpt-4o"));
    assert_eq!(new.message.each, 4);
    assert_eq!(
        Profile {
            message: old.message,
            ..new
        },
        old
    );
    // The families that extend it change with it.
    assert_eq!(table.profile("gpt-4o-mini").message.reply, 5);
    let like = table.profile("my-model");
    assert_eq!(like.encoding, R50kBase);
    assert_eq!(
        Profile {
            encoding: O200kBase,
            ..like
        },
        table.profile("gpt-4o-mini")
    );
    let two = table.profile("my-model-two");
    assert_eq!(
        Profile {
            schema: like.schema,
            ..two
        },
        like
    );
    assert_eq!(two.schema, 7);
    for model in ["my-model-three", "gpt-4.1"] {
        assert_eq!(
            table
                .profile(model)
                .image_tokens(9_999, 9_999, Detail::High),
            200,
            "{model}"
        );
    }
    assert_eq!(table.profile("never").encoding, P50kBase);
    // On another one in turn.
    let third = table.with_toml("[models.my-model]\nschema = 9").unwrap();
    assert_eq!(
        (
            third.profile("my-model").schema,
            third.profile("my-model").encoding
        ),
        (9, R50kBase)
    );
    assert_eq!(third.dated(), "2031-02");
}

#[test]
fn each_mistake_is_named_with_its_place_and_key() {
    let table = [
        ("modles = 5", "line 1, column 1", "unknown field `modles`"),
        (
            "[models.x]\nencodin = 'x'",
            "line 2, column 1",
            "unknown field `encodin`",
        ),
        (
            "[models.x]\nencoding = 'x'",
            "line 2, column 12",
            "encoding: unknown variant `x`",
        ),
        (
            "[models.x]\nschema = -1",
            "line 2, column 10",
            "schema: invalid value",
        ),
        (
            "[models.x]\ntiles = { base = 'x' }",
            "line 2, column 18",
            "base: invalid type",
        ),
        (
            "[models.x]\ntiles = { base = 1 }",
            "line 2, column 9",
            "tiles: missing field `each`",
        ),
        (
            "[models.x]\ntiles = { base = 1, each = 1, side = 0, short = 1 }",
            "line 2, column 38",
            "side: invalid value",
        ),
        (
            "[models.x]\npatches = { multiplier = 0, high = { budget = 1, side = 1 } }",
            "line 2, column 26",
            "multiplier: invalid value: floating point `0.0`, expected a number such as 1.62",
        ),
        (
            "[models.x]\npatches = { multiplier = 1.23456, high = { budget = 1, side = 1 } }",
            "line 2",
            "at most four decimals",
        ),
        (
            "[models.x]\npatches = { multiplier = nan, high = { budget = 1, side = 1 } }",
            "line 2",
            "a number such as 1.62",
        ),
        (
            "[models.x]\npatches = { multiplier = 'x', high = { budget = 1, side = 1 } }",
            "line 2",
            "a number such as 1.62",
        ),
        (
            "[models.x]\npatches = { multiplier = 1, high = { budget = 1, side = 1 }, auto = 'x' }",
            "line 2",
            "auto: unknown variant `x`",
        ),
        (
            "[models.x]\ntiles = { base = 1, each = 1, side = 1, short = 1 }\n\
             patches = { multiplier = 1, high = { budget = 1, side = 1 } }",
            "line 3, column 11: patches",
            "tiles or patches, not both",
        ),
        (
            "[models.x]\nlike = 'y'",
            "line 2, column 8: like",
            "\"y\" is of no family",
        ),
        (
            "[models.x]\nlike = 'x'",
            "line 2, column 8: like",
            "goes round",
        ),
        (
            "[models.x]\nlike = 'y'\n[models.y]\nlike = 'x'",
            "line 2, column 8: like",
            "goes round",
        ),
        (
            "[models.x]\nlike = 'x-y'\n[models.x-y]",
            "line 2, column 8: like",
            "goes round",
        ),
        ("[models.'a/b']", "line 1, column 9: \"a/b\"", "no provider"),
        ("[models.'ft:b']", "line 1, column 9: \"ft:b\"", "no colon"),
        (
            "[models.'']",
            "line 1, column 9: \"\"",
            "fewer than 64 bytes",
        ),
        (
            "[families.f]\nmodels = ['x', 'a:b']",
            "line 2, column 16: \"a:b\"",
            "no colon",
        ),
        (
            "[families.f]\nschema = 5",
            "line 1",
            "missing field `models`",
        ),
        (
            "[models.x]\nschema = 5\n[families.f]\nmodels = ['X']\nschema = 5",
            "line 4, column 11: \"X\"",
            "its schema is said twice",
        ),
        ("[models", "line 1", ""),
        (
            "[models.gpt-4.1]\nschema = 5",
            "line 1, column 15",
            "quotes: [models.\"gpt-4.1\"]",
        ),
    ];
    for (step, (text, place, word)) in table.into_iter().enumerate() {
        let error = ModelTable::from_toml(text).unwrap_err().to_string();
        assert!(error.starts_with(place), "step {step}: {error}");
        assert!(error.contains(word), "step {step}: {error}");
    }
    let error = ModelTable::from_file("no-such-file.toml")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("models file no-such-file.toml: "),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The search finds what trying every family finds, the longest first.
    #[test]
    fn the_longest_family_is_found(
        families in prop::collection::btree_set("[ab]{1,3}(-[ab]{1,2}){0,2}", 0..12),
        names in prop::collection::vec("[ab]{0,3}([-.][ab0]{0,2}){0,3}", 0..20),
    ) {
        let profiles = families.iter().map(|name| (name.clone(), Profile::BARE)).collect();
        let table = ModelTable::new(String::new(), file::Written::default(), profiles, Profile::BARE);
        for name in &names {
            let tried = families.iter().filter(|family| belongs(name.as_bytes(), family.as_bytes()));
            let longest = tried.max_by_key(|family| family.len());
            let found = table.family(name.as_bytes()).map(|family| &family.name);
            prop_assert_eq!(found, longest, "{} in {:?}", name, families);
        }
    }

    #[test]
    fn any_name_has_a_profile(name in any::<String>()) {
        let _ = ModelTable::default().profile(&name);
    }
}
