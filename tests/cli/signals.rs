//! Killed, interrupted, resumed.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::{Cmd, Folder, Running, chats, simulator};
use crate::server;

/// Limits that let `rate` requests go each second.
fn paced(run: Cmd, rate: u64) -> Cmd {
    let rpm = (rate * 60).to_string();
    run.args(["--rpm", &format!("gpt-4o-mini={rpm}")])
        .args(["--burst-seconds", "1"])
}

#[test]
fn a_killed_run_goes_on_with_each_request_exactly_once() {
    let api = simulator();
    let folder = Folder::with_input(chats(400));
    for lines in [20, 90] {
        let mut running = paced(folder.run(&api.base_url()), 100).start();
        folder.wait_for_lines("in.results.jsonl", lines);
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }
    // As if the kill had come in the middle of a write.
    let mut text = folder.read("in.results.jsonl");
    text.push_str(r#"{"id":"batch_req_00"#);
    folder.write("in.results.jsonl", text);
    let output = folder.run(&api.base_url()).ends_with(0);
    output.says(&["done before", "the last line was cut short"]);
    folder.assert_each_once(400);
}

#[test]
fn a_second_run_on_the_same_output_is_refused_and_harms_nothing() {
    let api = simulator();
    let folder = Folder::with_input(chats(150));
    let first = paced(folder.run(&api.base_url()), 50).start();
    folder.wait_for_lines("in.results.jsonl", 1);
    for more in [&[][..], &["--fresh"]] {
        let second = folder.run(&api.base_url()).args(more).ends_with(2);
        second.says(&["in.results.jsonl: another run is writing to it"]);
    }
    first.ends_with(0);
    folder.assert_each_once(150);
    assert_eq!(api.report().received, 150);
}

#[test]
fn an_interrupted_run_finishes_what_is_in_flight_and_sends_nothing_twice() {
    let api = simulator();
    let folder = Folder::with_input(chats(300));
    for signal in ["INT", "TERM", "HUP"] {
        if signal == "HUP" && hangup_is_ignored() {
            continue; // as for every child of a test under `nohup`
        }
        let before = folder.path("in.results.jsonl");
        let before = std::fs::read_to_string(before).map_or(0, |text| text.lines().count());
        let running = paced(folder.run(&api.base_url()), 60);
        let running = running.args(["--summary", "-"]).start();
        folder.wait_for_lines("in.results.jsonl", before + 5);
        running.signal(signal);
        let status = if signal == "TERM" { 143 } else { 130 };
        let output = running.ends_with(status);
        output.says(&[
            "finishing requests in flight",
            "the same command resumes the run",
        ]);
        assert_eq!(output.summary()["failed"], 0, "{signal}");
        assert!(folder.lines("in.results.jsonl").len() < 300, "{signal}");
    }
    folder.run(&api.base_url()).ends_with(0);
    folder.assert_each_once(300);
    assert_eq!(api.report().received, 300);
}

fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    u64::from_str_radix(mask.unwrap().trim(), 16).unwrap() & 1 != 0
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let api = simulator();
    let folder = Folder::with_input(chats(100));
    let run = paced(folder.run(&api.base_url()), 50);
    let running = run.in_shell(r#"trap "" HUP; exec "$@""#).start();
    folder.wait_for_lines("in.results.jsonl", 1);
    running.signal("HUP");
    running.ends_with(0);
    folder.assert_each_once(100);
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let server = server::silent();
    let folder = Folder::with_input(chats(2));
    let mut running = folder.run(&server.base_url).start();
    server.arrived.recv().unwrap();
    running.signal("INT");
    let _stderr = wait_for_word(&mut running);
    running.signal("INT");
    running.ends_with(130);
}

/// Waits until the command has said that it heard the first signal.
fn wait_for_word(running: &mut Running) -> impl Sized + use<> {
    running.wait_for_word("a second signal stops at once")
}

#[test]
fn what_has_no_answer_when_the_grace_is_over_is_left_undone_and_counted() {
    let server = server::silent();
    let folder = Folder::with_input(chats(3));
    let run = folder.run(&server.base_url);
    let running = run
        .args(["--grace", "0.2", "--summary", "-"])
        .in_shell(r#"exec "$@""#)
        .start();
    (0..3).for_each(|_| server.arrived.recv().unwrap());
    running.signal("TERM");
    let output = running.ends_with(143);
    output.says(&["finishing requests in flight, for at most 0.2 s"]);
    output.says(&["3 requests were still in flight when the grace period ended"]);
    assert_eq!(output.summary()["abandoned"], 3);
    assert_eq!(folder.ids().len(), 0);
}

#[test]
fn an_interrupted_run_begins_nothing_more() {
    let (server, gate) = server::gated("200 OK");
    let folder = Folder::with_input(chats(5));
    let run = folder.run(&server.base_url).args(["--max-in-flight", "1"]);
    let mut running = run.start();
    server.arrived.recv().unwrap();
    running.signal("INT");
    let stderr = wait_for_word(&mut running);
    drop(gate);
    running.ends_with(130);
    drop(stderr);
    assert_eq!(server.arrived.try_iter().count(), 0, "more was sent");
    assert_eq!(folder.lines("in.results.jsonl").len(), 1);
}

#[test]
fn an_interrupt_ends_a_wait_in_the_line() {
    let api = simulator();
    let folder = Folder::with_input(chats(3));
    // The second one's turn comes after a minute.
    let running = folder.run(&api.base_url()).args(["--rpm", "1"]).start();
    folder.wait_for_lines("in.results.jsonl", 1);
    let asked = Instant::now();
    running.signal("INT");
    running.ends_with(130);
    assert!(asked.elapsed() < Duration::from_secs(30), "it waited on");
}

#[test]
fn an_interrupt_ends_a_wait_for_more_input() {
    let api = simulator();
    let folder = Folder::new();
    let mut run = folder.paceline(["run", "-", "--base-url", &api.base_url()]);
    run = run.args(["--output", "out.jsonl", "--errors", "errors.jsonl"]);
    run.command.stdin(Stdio::piped());
    let mut running = run.start();
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(chats(1).as_bytes()).unwrap();
    folder.wait_for_lines("out.jsonl", 1);
    running.signal("INT");
    running.ends_with(130).says(&["1 succeeded"]);
    drop(stdin);
}
