//! As many in flight as there is room for: what caps them is said, nothing is lost by it, and a kill with
//! thousands in flight costs no more than those.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use paceline::sim::{SimConfig, SimLimits, Simulator};

use crate::harness::{Cmd, Folder, chats};

fn api(latency: Duration) -> Simulator {
    let config = SimConfig::new().default_limits(SimLimits::default());
    Simulator::start(config.latency(latency)).unwrap()
}

/// Without limits; counted as the simulator does, which needs no table of tokens.
fn run(folder: &Folder, api: &Simulator) -> Cmd {
    folder
        .run(&api.base_url())
        .args(["--prompt-rule", "characters", "--summary", "-"])
        .args(["--rpm", "1000000000", "--tpm", "1000000000000"])
}

#[test]
fn a_budget_of_memory_caps_what_is_in_flight_and_is_named() {
    let api = api(Duration::from_millis(200));
    let folder = Folder::with_input(chats(200));
    let output = run(&folder, &api).args(["--max-memory", "2M"]).ends_with(0);
    output.says(&[
        "the memory budget (--max-memory allows more)",
        "(capped by --max-memory)",
    ]);
    assert_eq!(
        output.summary()["in_flight_capped_by"],
        "memory",
        "{output}"
    );
    let most = output.summary()["max_in_flight"].as_u64().unwrap();
    assert!((2..=32).contains(&most), "{output}");
    folder.assert_each_once(200);
    // Less than one request needs is one at a time.
    let folder = Folder::with_input(chats(5));
    let output = run(&folder, &api).args(["--max-memory", "1"]).ends_with(0);
    assert_eq!(output.summary()["max_in_flight"], 1, "{output}");
    folder.assert_each_once(5);
}

/// The command before a run as a user whose threads can be capped, if there is one and that can be.
fn as_a_user(folder: &Folder) -> Option<&'static str> {
    let id = Command::new("id").arg("-u").output().ok()?.stdout;
    if id.trim_ascii() != b"0" {
        return Some("");
    }
    let everyone = fs::Permissions::from_mode(0o777);
    fs::set_permissions(folder.path(""), everyone).unwrap();
    let user = "setpriv --reuid=61237 --regid=61237 --clear-groups";
    let can = Command::new("sh")
        .args(["-c", &format!("{user} true")])
        .status();
    can.is_ok_and(|status| status.success()).then_some(user)
}

#[test]
fn a_cap_on_threads_is_named_and_those_that_there_are_go_on() {
    let api = api(Duration::from_millis(100));
    let folder = Folder::with_input(chats(200));
    let Some(user) = as_a_user(&folder) else {
        return; // nobody else may run here
    };
    let capped = |run: Cmd| {
        run.in_shell(&format!(
            "ulimit -u 24 2>/dev/null || ulimit -p 24; exec {user} \"$@\""
        ))
        .ends_with(0)
    };
    let output = capped(run(&folder, &api));
    output.says(&["the limit of threads"]);
    assert_eq!(
        output.summary()["in_flight_capped_by"],
        "threads",
        "{output}"
    );
    folder.assert_each_once(200);
    assert_eq!(folder.read("in.errors.jsonl"), "");
    // A number that is stated is tried, and is seen to be too large.
    let folder = Folder::with_input(chats(200));
    as_a_user(&folder);
    let output = capped(run(&folder, &api).args(["--max-in-flight", "100"]));
    output.says(&["fewer requests at once"]);
    assert_eq!(
        output.summary()["in_flight_capped_by"],
        "threads",
        "{output}"
    );
    folder.assert_each_once(200);
    assert_eq!(folder.read("in.errors.jsonl"), "");
}

/// `PACELINE_LONG=1` kills it with 10,000 in flight.
#[test]
fn a_kill_with_thousands_in_flight_costs_no_more_than_those() {
    let in_flight: usize = match std::env::var_os("PACELINE_LONG") {
        None => 300,
        Some(_) => 10_000,
    };
    let requests = in_flight * 2;
    let folder = Folder::with_input(chats(requests));
    let mut paid = 0;
    // None of them is answered before it is killed.
    let slow = api(Duration::from_secs(600));
    let most = (in_flight + 10).to_string();
    let raised = |run: Cmd| run.in_shell("ulimit -S -n $(ulimit -H -n); exec \"$@\"");
    let mut killed = raised(run(&folder, &slow).args(["--max-in-flight", &most])).start();
    while slow.report().admitted < in_flight as u64 {
        assert!(killed.child.try_wait().unwrap().is_none(), "it has ended");
        thread::sleep(Duration::from_millis(5)); // the API tells nobody
    }
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    paid += slow.report().admitted;
    drop(slow);
    // The next one is killed while it writes.
    let quick = api(Duration::from_millis(50));
    let mut killed = run(&folder, &quick).args(["--max-in-flight", "64"]).start();
    folder.wait_for_lines("in.results.jsonl", in_flight / 2);
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    run(&folder, &quick)
        .args(["--max-in-flight", "64"])
        .ends_with(0);
    folder.assert_each_once(requests);
    paid += quick.report().admitted;
    let twice = paid - requests as u64;
    assert!(
        twice <= in_flight as u64 + 10 + 64,
        "{twice} are paid for twice"
    );
}
