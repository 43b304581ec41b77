//! Inputs that are packed with gzip or zstd.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::harness::{Folder, chats, simulator};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    compress_to_vec(text.as_bytes(), CompressionLevel::Fastest)
}

#[test]
fn packed_texts_count_like_what_is_in_them() {
    let folder = Folder::new();
    let text = "How far is the moon?\n".repeat(2_000);
    folder.write("text", &text);
    let plain = folder.paceline(["count", "--text", "text"]).ends_with(0);
    for (name, bytes) in [("text.gz", gzip(&text)), ("packed", zstd(&text))] {
        folder.write(name, &bytes);
        let packed = folder.paceline(["count", "--text", name]).ends_with(0);
        assert_eq!(packed.stdout, plain.stdout, "{name}");
        folder.write(name, &bytes[..bytes.len() / 2]);
        let cut = folder.paceline(["count", "--text", name]).ends_with(2);
        cut.says(&[name, "its end is missing"]);
    }
}

#[test]
fn packed_inputs_run_whatever_their_names_say() {
    let api = simulator();
    let text = chats(60);
    let (start, end) = text.split_at(text.len() / 3);
    let several = [gzip(start), gzip(end)].concat();
    for (step, (name, bytes)) in [
        ("in.jsonl.gz", gzip(&text)),
        ("in.jsonl.zst", zstd(&text)),
        ("in.jsonl.GZ", several),
        ("in.jsonl", [zstd(start), zstd(end)].concat()),
        ("in.gz", text.clone().into_bytes()),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = Folder::new();
        folder.write(name, bytes);
        let run =
            || folder.paceline(["run", name, "--base-url", &api.base_url(), "--summary", "-"]);
        let output = run().args(["--progress", "always"]).ends_with(0);
        assert_eq!(output.summary()["succeeded"], 60, "step {step}: {output}");
        folder.assert_each_once(60);
        let mut files = vec!["in.errors.jsonl", "in.results.jsonl", name];
        files.sort_unstable();
        assert_eq!(folder.files(), files, "step {step}");
        assert_eq!(run().ends_with(0).summary()["resumed"], 60, "step {step}");
        assert_eq!(api.report().received, 60 * (step as u64 + 1));
        let plan = folder.paceline(["run", name, "--dry-run"]).ends_with(0);
        assert!(plan.stdout.contains("60 requests"), "step {step}: {plan}");
        let count = folder.paceline(["count", name]).ends_with(0);
        assert!(count.stdout.contains("60 requests"), "step {step}: {count}");
    }
}

#[test]
fn packed_standard_input_and_packed_tables_run() {
    let api = simulator();
    for packed in [gzip(&chats(30)), zstd(&chats(30))] {
        let folder = Folder::new();
        let run = folder
            .paceline(["run", "-", "--base-url", &api.base_url()])
            .args([
                "--output",
                "in.results.jsonl",
                "--errors",
                "in.errors.jsonl",
            ]);
        run.fed(packed, 0).says(&["30 succeeded"]);
        folder.assert_each_once(30);
    }
    for (name, packed) in [
        ("in.csv.zst", zstd("text\na\n\"b\nc\"\n")),
        ("in.csv.gz", gzip("text\na\n\"b\nc\"\n")),
    ] {
        let folder = Folder::new();
        folder.write(name, packed);
        folder
            .paceline(["run", name, "--base-url", &api.base_url()])
            .args(["--model", "gpt-4o-mini", "--prompt", "{text}"])
            .ends_with(0)
            .says(&["2 succeeded", "results in in.results.jsonl"]);
    }
}

#[test]
fn a_packed_input_that_is_cut_short_is_said_and_what_was_there_is_run() {
    let api = simulator();
    // The second one is cut short, so that the first is there for certain.
    let (whole, cut) = (chats(50), chats(100).replace("\"r", "\"s"));
    for (name, first, second) in [
        ("gzip", gzip(&whole), gzip(&cut)),
        ("zstd", zstd(&whole), zstd(&cut)),
    ] {
        let folder = Folder::with_input([&first[..], &second[..second.len() / 2]].concat());
        let output = folder.run(&api.base_url()).ends_with(2);
        let message = format!("in.jsonl: the {name} data is truncated: its end is missing");
        output.says(&[&message, "the same command resumes the run"]);
        let done = folder.lines("in.results.jsonl").len();
        assert!((50..150).contains(&done), "{name}: {done}");

        folder.write("in.jsonl", [first.clone(), second].concat());
        let output = folder.run(&api.base_url()).ends_with(0);
        output.says(&[&format!("{done} done before")]);
        assert_eq!(folder.lines("in.results.jsonl").len(), 150);

        let mut damaged = first;
        let middle = damaged.len() / 2;
        damaged[middle..middle + 8].fill(0xff);
        folder.write("other.jsonl", damaged);
        let output = folder.paceline(["run", "other.jsonl", "--base-url", &api.base_url()]);
        output
            .ends_with(2)
            .says(&[&format!("other.jsonl: the {name} data is damaged: ")]);
        let cut = folder.path("cut.jsonl");
        std::fs::write(&cut, &gzip(&whole)[..12]).unwrap();
        for more in [&["--simulate"][..], &["--dry-run"]] {
            let output = folder
                .paceline(["run", "cut.jsonl"])
                .args(more)
                .ends_with(2);
            output
                .says(&["cut.jsonl: the gzip data is truncated"])
                .prints_nothing();
        }
        assert!(
            !folder.path("cut.results.jsonl").exists(),
            "nothing was begun"
        );
    }
}
