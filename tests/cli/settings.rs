//! Flags from a file, help, completions, and how messages are written.

use serde_json::Value;

use crate::harness::{Folder, chats, simulator};

#[test]
fn a_flag_overrules_a_variable_and_that_overrules_the_file() {
    let folder = Folder::with_input(chats(1));
    folder.write(
        "p.toml",
        "[run]\nbase-url = \"http://file.test/v1\"\ntpm = [\"60k\", \"o3=5k\"]\ngrace = \"1m\"\nfresh = true\n\n[count]\naccounting = \"actual\"\n",
    );
    let shown = |args: &[&str], variable: Option<&str>| {
        let mut run = folder.paceline(["run", "in.jsonl", "--print-config", "--config", "p.toml"]);
        if let Some(url) = variable {
            run = run.env("OPENAI_BASE_URL", url);
        }
        run.args(args).ends_with(0).stdout
    };
    let file = shown(&[], None);
    for line in [
        "[run]\n",
        "base-url = \"http://file.test/v1\" # p.toml:2\n",
        "tpm = [\"60k\", \"o3=5k\"] # p.toml:3\n",
        "grace = \"1m\" # p.toml:4\n",
        "fresh = true # p.toml:5\n",
        "max-retries = \"8\" # default\n",
    ] {
        assert!(file.contains(line), "{line}: {file}");
    }
    let variable = shown(&[], Some("http://variable.test/v1"));
    let line = "base-url = \"http://variable.test/v1\" # OPENAI_BASE_URL\n";
    assert!(variable.contains(line), "{variable}");
    let flags = ["--base-url", "http://flag.test/v1", "--tpm=7"];
    let flag = shown(&flags, Some("http://variable.test/v1"));
    for line in [
        "base-url = \"http://flag.test/v1\" # command line\n",
        "tpm = \"7\" # command line\n",
    ] {
        assert!(flag.contains(line), "{line}: {flag}");
    }
    // What was printed is a file that says the same.
    folder.write("again.toml", &file);
    let again = [
        "run",
        "in.jsonl",
        "--print-config",
        "--config",
        "again.toml",
    ];
    let again = folder.paceline(again).ends_with(0).stdout;
    let plain = |text: &str| -> Vec<String> {
        let lines = text.lines();
        lines
            .map(|line| line.split(" # ").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(plain(&again), plain(&file));
}

#[test]
fn no_file_is_read_that_no_flag_names() {
    let folder = Folder::with_input(chats(1));
    for name in ["paceline.toml", ".paceline.toml"] {
        folder.write(name, "[run]\nbase-url = \"http://attacker.test/v1\"\n");
    }
    let run = folder.paceline(["run", "in.jsonl", "--print-config"]);
    assert!(!run.ends_with(0).stdout.contains("attacker"));
}

#[test]
fn a_run_takes_its_flags_from_a_file() {
    let api = simulator();
    let folder = Folder::with_input(chats(3));
    let base = api.base_url();
    folder.write(
        "p.toml",
        format!("[run]\nbase-url = \"{base}\"\nsummary = \"-\"\nprogress = \"never\"\n"),
    );
    let run = folder.paceline(["--config", "p.toml", "run", "in.jsonl"]);
    assert_eq!(run.ends_with(0).summary()["succeeded"], 3);
}

#[test]
fn mistakes_in_a_file_are_named_with_their_place() {
    let folder = Folder::with_input(chats(1));
    let before = folder.files().len() + 1;
    for (text, words) in [
        (
            "[run]\n\ntmp = 1\n",
            "p.toml:3: paceline run has no flag --tmp",
        ),
        ("[rum]\ntpm = 1\n", "p.toml:1: \"rum\" is no command"),
        ("run = 1\n", "p.toml:1: run has to be a table: [run]"),
        ("[run]\ntpm = \n", "p.toml:2: "),
        (
            "[run]\ntpm = { a = 1 }\n",
            "p.toml:2: tpm has to be a string, a number",
        ),
        (
            "[run]\nconfig = \"x\"\n",
            "p.toml:2: paceline run has no flag --config",
        ),
        ("[run]\ntpm = \"1,5\"\n", "--tpm comes from p.toml:2"),
        (
            "[run]\nmax-cost = \"$5\"\n",
            "flags of --config stand there, too",
        ),
        (
            "[run]\nsimulate = true\nbase-url = \"http://x\"\n",
            "comes from p.toml:",
        ),
        // Also of a command that is not the one that runs.
        (
            "[count]\ntpm = 1\nnone = 1\n",
            "p.toml:3: paceline count has no flag --none",
        ),
    ] {
        folder.write("p.toml", text);
        let run = folder.paceline(["run", "in.jsonl", "--config", "p.toml", "--dry-run"]);
        run.ends_with(2).says(&[words]).prints_nothing();
    }
    let run = folder.paceline(["run", "in.jsonl", "--config", "none.toml"]);
    run.ends_with(2).says(&["--config none.toml: No such file"]);
    assert_eq!(folder.files().len(), before);
}

#[test]
fn quiet_prints_what_is_wrong_and_nothing_else() {
    let api = simulator();
    let folder = Folder::with_input(chats(3));
    let run = folder.run(&api.base_url()).args(["-q"]).ends_with(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    folder.write("in.jsonl", format!("{}{{}}\n", chats(3)));
    let run = folder.run(&api.base_url()).args(["-q"]).ends_with(1);
    run.says(&["in.jsonl:4: ", "failures in "]);
    assert!(!run.stderr.contains("succeeded"), "{run}");
}

#[test]
fn messages_are_json_where_a_program_reads_them() {
    let api = simulator();
    let folder = Folder::with_input(format!("{}{{}}\n", chats(3)));
    let run = folder.run(&api.base_url()).args(["--log-format", "json"]);
    let run = run.ends_with(1);
    let lines: Vec<Value> = run
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let has = |level: &str, words: &str| {
        let mut lines = lines.iter().filter(|line| line["level"] == level);
        lines.any(|line| line["message"].as_str().unwrap().contains(words))
    };
    assert!(has("info", "3 succeeded, 1 failed"), "{run}");
    assert!(has("warning", "in.jsonl:4: "), "{run}");
    let time = lines[0]["time"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.starts_with("20"), "{time}");
    let run = folder.paceline(["run", "none.jsonl", "--log-format", "json"]);
    let run = run.ends_with(2);
    let line: Value = serde_json::from_str(run.stderr.lines().next().unwrap()).unwrap();
    assert_eq!(line["level"], "error");
    assert!(
        line["message"]
            .as_str()
            .unwrap()
            .starts_with("none.jsonl: ")
    );
}

#[test]
fn short_help_is_short() {
    let folder = Folder::new();
    let help = folder.paceline(["run", "-h"]).ends_with(0).stdout;
    let is_option = |line: &&str| line.trim_start().starts_with("--");
    let options: Vec<_> = help.lines().filter(is_option).collect();
    assert_eq!(options.len(), 12, "{help}");
    assert_eq!(help.matches("\n  paceline run ").count(), 3, "{help}");
    let all = folder.paceline(["run", "--help"]).ends_with(0).stdout;
    assert!(all.contains("--disk-full-timeout <TIME>"), "{all}");
    for command in ["run", "count", "simulate", "limits"] {
        let version = folder.paceline([command, "--version"]).ends_with(0).stdout;
        assert_eq!(version, format!("paceline {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn completions_and_manual_pages_are_made() {
    let folder = Folder::new();
    for (shell, words) in [
        ("bash", "complete -F _paceline"),
        ("zsh", "#compdef paceline"),
        ("fish", "complete -c paceline"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let script = folder.paceline(["completions", shell]).ends_with(0).stdout;
        assert!(
            script.contains(words) && script.contains("max-cost"),
            "{shell}"
        );
    }
    folder.paceline(["man", "."]).ends_with(0);
    assert_eq!(folder.files().len(), 10);
    let page = folder.read("paceline-run.1");
    assert!(
        page.contains(".TH paceline-run 1") && page.contains("disk\\-full\\-timeout"),
        "{page}"
    );
    let run = folder.paceline(["man", "none"]).ends_with(2);
    run.says(&["none/paceline-run.1: No such file"]);
}

#[test]
fn counts_are_json_by_model_and_by_request() {
    let folder = Folder::with_input(chats(3));
    let parse = |text: &str| -> Vec<Value> {
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let models = folder
        .paceline(["count", "in.jsonl", "--json"])
        .ends_with(0);
    let models = parse(&models.stdout);
    assert_eq!(models.len(), 1);
    assert_eq!(
        (&models[0]["model"], &models[0]["requests"]),
        (&"gpt-4o-mini".into(), &3.into())
    );
    let requests = folder.paceline(["count", "in.jsonl", "--json=request"]);
    let requests = parse(&requests.ends_with(0).stdout);
    let mut lines: Vec<_> = requests
        .iter()
        .map(|it| it["line"].as_u64().unwrap())
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, [1, 2, 3]);
    let sum = |key: &str| {
        requests
            .iter()
            .map(|it| it[key].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(
        sum("prompt_tokens"),
        models[0]["prompt_tokens"].as_u64().unwrap()
    );
    assert_eq!(
        sum("reserved_tokens"),
        models[0]["reserved_tokens"].as_u64().unwrap()
    );
    folder.write("in.jsonl", format!("{}{{}}\n", chats(1)));
    let bad = folder
        .paceline(["count", "in.jsonl", "--json"])
        .ends_with(1);
    bad.says(&["in.jsonl:2: "]);
}

#[test]
fn a_bound_in_another_currency_than_the_prices_is_refused() {
    let folder = Folder::with_input(chats(1));
    let run = |amount: &str| {
        let run = [
            "run",
            "in.jsonl",
            "--prices",
            "builtin",
            "--dry-run",
            "--max-cost",
            amount,
        ];
        folder.paceline(run)
    };
    run("20 EUR")
        .ends_with(2)
        .says(&["--max-cost is in EUR, and --prices are in USD"]);
    // A shell makes this of an unquoted $20.
    run("0").ends_with(2).says(&["single quotes: '$20'"]);
    run("$20").ends_with(0);
}
