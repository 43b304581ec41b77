//! Providers, their table, and prices that are built in.

use crate::harness::{Folder, chats, simulator};

#[test]
fn built_in_prices_say_their_date_and_a_file_overrules_them() {
    let api = simulator();
    let folder = Folder::with_input(chats(4));
    let run = folder.run(&api.base_url());
    let run = run.args(["--prices", "builtin", "--max-cost", "5", "--summary", "-"]);
    let output = run.ends_with(0);
    output.says(&["built-in prices as of 2026-11"]);
    assert!(
        output.summary()["cost"]
            .as_f64()
            .is_some_and(|cost| cost > 0.0)
    );
    folder.write("free.toml", "[models.gpt-4o-mini]\ninput = 0\noutput = 0\n");
    let run = folder.run(&api.base_url());
    let prices = ["--prices", "builtin", "--prices", "free.toml"];
    let output = run
        .args(prices)
        .args(["--fresh", "--summary", "-"])
        .ends_with(0);
    assert_eq!(output.summary()["cost"].as_f64(), Some(0.0));
}

#[test]
fn a_provider_that_is_not_in_the_table_and_a_table_that_is_wrong_end_before_anything_is_sent() {
    let api = simulator();
    let folder = Folder::with_input(chats(1));
    let run = folder.run(&api.base_url()).args(["--provider", "nobody"]);
    let output = run.ends_with(2);
    output.says(&["--provider nobody: there are ", "anthropic"]);
    folder.write("table.toml", "[[provider]]\nname = \"acme\"\nhots = []\n");
    let run = folder.run(&api.base_url());
    let output = run.args(["--provider-table", "table.toml"]).ends_with(2);
    output.says(&[
        "--provider-table",
        "table.toml",
        "line 3",
        "unknown field `hots`",
    ]);
    assert!(!folder.path("in.results.jsonl").exists());
    folder.write("table.toml", "[[provider]]\nname = \"acme\"\n");
    let run = folder.run(&api.base_url());
    run.args(["--provider-table", "table.toml", "--provider", "acme"])
        .ends_with(0);
}
