//! `--share`: one limit for several runs, and how it stands.

use paceline::sim::{SimConfig, SimLimits, Simulator};

use crate::harness::{Folder, chats};
use crate::redis_server::Server;

const SECRET: &str = "Zq81xT0p-hunter2";

#[test]
fn two_runs_share_one_limit_and_it_can_be_looked_at() {
    let Some(store) = Server::start() else { return };
    // 600 requests a minute, of which half a second's worth may come at once.
    let limits = SimLimits::none().requests_per_minute(600);
    let config = SimConfig::new().default_limits(limits);
    let api = Simulator::start(config.burst(std::time::Duration::from_secs(3))).unwrap();
    let folders = [0; 2].map(|_| Folder::with_input(chats(15)));
    let url = store.url();
    let run = |folder: &Folder| {
        let flags = ["--rpm", "600", "--burst-seconds", "1", "--summary", "-"];
        let run = folder.paceline(["run", "in.jsonl", "--base-url", &api.base_url()]);
        run.args(flags)
            .args(["--share", &url, "--max-retries", "0"])
            .start()
    };
    let runs = folders.each_ref().map(run);
    for run in runs {
        run.ends_with(0);
    }
    assert_eq!(api.report().refused(), 0);
    for folder in &folders {
        folder.assert_each_once(15);
    }
    let output = folders[0]
        .paceline(["limits", "--share", &url])
        .ends_with(0);
    for words in [
        "gpt-4o-mini\n",
        " of 600 requests per minute\n",
        "30 granted in all",
    ] {
        assert!(output.stdout.contains(words), "{words}: {output}");
    }
    let one = folders[0].paceline(["limits", "--share", &url, "gpt-4o-mini-2024-07-18"]);
    // Levels rise from one look to the next.
    let but_levels = |text: &str| -> Vec<String> {
        let but_level = |line: &str| {
            line.split(" left of ")
                .last()
                .unwrap_or_default()
                .to_owned()
        };
        text.lines().map(but_level).collect()
    };
    let one = one.ends_with(0).stdout;
    assert_eq!(but_levels(&one), but_levels(&output.stdout));
    let none = folders[0]
        .paceline(["limits", "--share", &url, "o3"])
        .ends_with(1);
    assert!(none.stdout.contains("no process has shared"), "{none}");
}

#[test]
fn a_password_is_taken_from_variables_alone_and_never_said() {
    let Some(store) = Server::with(&["--requirepass", SECRET]) else {
        return;
    };
    let folder = Folder::with_input(chats(1));
    let bare = store.url();
    let with_password = bare.replace("redis://", &format!("redis://:{SECRET}@"));
    for command in [["run", "in.jsonl"], ["limits", "o3"]] {
        let output = folder.paceline(command).args(["--share", &with_password]);
        let output = output.ends_with(2);
        output.says(&["PACELINE_SHARE_PASSWORD", "PACELINE_SHARE_URL"]);
        assert!(!format!("{}{}", output.stdout, output.stderr).contains(SECRET));
    }
    let limits = || folder.paceline(["limits", "--share", &bare]);
    limits().ends_with(2).says(&["cannot be used", "NOAUTH"]);
    let right = limits().env("PACELINE_SHARE_PASSWORD", SECRET).ends_with(1);
    assert!(right.stdout.contains("no process has shared"), "{right}");
    let wrong = limits()
        .env("PACELINE_SHARE_PASSWORD", "swordfish")
        .ends_with(2);
    assert!(!wrong.stderr.contains("swordfish"), "{wrong}");

    let api = crate::harness::simulator();
    let run = folder
        .run(&api.base_url())
        .env("PACELINE_SHARE_URL", &with_password);
    run.ends_with(0);
    folder.assert_each_once(1);
    let seen = limits().env("PACELINE_SHARE_PASSWORD", SECRET).ends_with(0);
    assert!(seen.stdout.contains("gpt-4o-mini"), "{seen}");
}

#[test]
fn a_store_that_is_not_there_is_gone_without_or_not_as_told() {
    let folder = Folder::with_input(chats(1));
    let api = crate::harness::simulator();
    let nowhere = format!("redis://127.0.0.1:{}", crate::redis_server::free_port());
    let run = |rule| {
        let run = folder
            .run(&api.base_url())
            .args(["--share", &nowhere, "--max-retries", "0"]);
        run.args(["--share-on-outage", rule])
    };
    let output = run("fail").ends_with(1);
    output.says(&["cannot be used"]);
    let output = run("divide").ends_with(0);
    output.says(&["cannot be used", "each process continues with its part"]);
    folder.assert_each_once(1);
    let wrong = folder
        .paceline(["run", "in.jsonl", "--share", "http://h"])
        .ends_with(2);
    wrong.says(&["redis://host:6379"]);
}
