//! Any bytes as any input: nothing panics, parts are everything, and totals are right.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tempfile::TempDir;

use super::*;

/// What a line came to: the id and the body of its request, or what is wrong with it.
type Outcomes = BTreeMap<u64, std::result::Result<(String, Value), String>>;

fn outcomes(input: Input) -> (Outcomes, Option<String>) {
    let mut requests = input.requests(Ids::default());
    let mut found = Outcomes::new();
    loop {
        match requests.next() {
            Ok(None) => return (found, None),
            Ok(Some(Ok(request))) => {
                found.insert(request.line, Ok((request.custom_id, request.body)));
            }
            Ok(Some(Err(bad))) => {
                found.insert(bad.line, Err(bad.message));
            }
            Err(error) => return (found, Some(error.to_string())),
        }
    }
}

/// Whether an input ended so because none of its lines can be sent.
fn is_refused(end: &Option<String>) -> bool {
    end.as_ref().is_some_and(|end| {
        end.contains("can be sent; the first") || end.contains("cannot be sent; the first")
    })
}

fn prompt(id: Option<&str>) -> Prompt {
    let prompt = Prompt::new("m", "{a}").unwrap();
    id.map_or(prompt.clone(), |id| prompt.id_column(id))
}

/// The kinds of input, over the same bytes.
fn inputs(bytes: &[u8], id: Option<&str>) -> [Input; 5] {
    let reader = || io::Cursor::new(bytes.to_vec());
    let rows = |format| Input::rows_reader("x", reader(), format, prompt(id));
    let line = Prompt::new("m", "{line}").unwrap();
    [
        Input::reader("x", reader()),
        rows(RowFormat::Csv),
        rows(RowFormat::Tsv),
        rows(RowFormat::Jsonl),
        Input::rows_reader("x", reader(), RowFormat::Lines, line),
    ]
}

fn packed(bytes: &[u8]) -> [Vec<u8>; 2] {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    let zstd = compress_to_vec(bytes, CompressionLevel::Fastest);
    [encoder.finish().unwrap(), zstd]
}

/// Text that is nearly an input.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            &b"\n"[..], b"\r\n", b",", b"\"", b"a", b"b,a\n", b"a,b\n1,2\n3,4\n", b"\xff",
            b"\xef\xbb\xbf", b"{\"a\": 1}\n", b"{\"a\": \"x\", \"b\": 2}\n", b"{", b"}", b" ",
        ])
        .prop_map(<[u8]>::to_vec),
        4 => (0..6_u8).prop_map(|id| {
            format!(
                "{{\"custom_id\":\"{id}\",\"url\":\"/v1/embeddings\",\"body\":{{\"model\":\"m\"}}}}\n"
            )
            .into_bytes()
        }),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in text(), cut in 0..300_usize, id in prop::option::of("a|b")) {
        let id = id.as_deref();
        for input in inputs(&bytes, id) {
            outcomes(input);
        }
        for whole in packed(&bytes) {
            for input in inputs(&whole[..cut.min(whole.len())], id) {
                outcomes(input);
            }
        }
    }

    #[test]
    fn what_is_packed_comes_to_the_same(bytes in text()) {
        let is_packed = bytes.starts_with(b"\x1f\x8b");
        prop_assume!(!is_packed);
        let plain = inputs(&bytes, None).map(outcomes);
        for packed in packed(&bytes) {
            for (found, expected) in inputs(&packed, None).map(outcomes).iter().zip(&plain) {
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn parts_are_disjoint_and_everything(
        bytes in text(),
        count in 1..5_u32,
        id in prop::option::of("a|b"),
    ) {
        let id = id.as_deref();
        let whole = inputs(&bytes, id).map(outcomes);
        let mut sums = whole.clone().map(|_| Outcomes::new());
        for index in 1..=count {
            for ((input, sum), (_, end)) in inputs(&bytes, id).into_iter().zip(&mut sums).zip(&whole) {
                let (part, part_end) = outcomes(input.shard(index, count).unwrap());
                // A part with few lines is not refused for them.
                if is_refused(end) {
                    continue;
                }
                prop_assert_eq!(&part_end, end);
                for (line, outcome) in part {
                    prop_assert!(sum.insert(line, outcome).is_none(), "line {line} is in two");
                }
            }
        }
        for (sum, (whole, end)) in sums.iter().zip(&whole) {
            // A part that meets the end before its first good line is refused with that.
            let common = whole.iter().filter(|(line, _)| sum.contains_key(line));
            let common: Outcomes = common.map(|(line, of)| (*line, of.clone())).collect();
            prop_assert_eq!(sum, if end.is_some() { &common } else { whole });
        }
    }

    #[test]
    fn totals_are_what_there_is(bytes in text(), count in 1..4_u32) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("in");
        for bytes in std::iter::once(bytes.clone()).chain(packed(&bytes)) {
            fs::write(&path, bytes).unwrap();
            let lines = || Prompt::new("m", "{line}").unwrap();
            let open: [&dyn Fn() -> Result<Input>; 5] = [
                &|| Input::file(&path),
                &|| Input::rows_in(&path, RowFormat::Csv, prompt(None)),
                &|| Input::rows_in(&path, RowFormat::Tsv, prompt(None)),
                &|| Input::rows_in(&path, RowFormat::Jsonl, prompt(None)),
                &|| Input::rows_in(&path, RowFormat::Lines, lines()),
            ];
            for open in open {
                let Ok(input) = open() else {
                    continue;
                };
                let total = input.total();
                let (found, end) = outcomes(input);
                if end.is_none() {
                    prop_assert_eq!(total, Some(found.len() as u64));
                }
                let mut sum = 0;
                for index in 1..=count {
                    let whole = open().unwrap();
                    prop_assert_eq!(whole.total(), total);
                    let part = whole.shard(index, count).unwrap();
                    let total = part.total();
                    let (found, end) = outcomes(part);
                    if end.is_none() {
                        prop_assert_eq!(total, Some(found.len() as u64));
                    }
                    sum += found.len();
                }
                prop_assert_eq!(sum, found.len());
            }
        }
    }
}

#[test]
fn outputs_stand_beside_the_input_without_its_packing() {
    let dir = TempDir::new().unwrap();
    let beside = |name: &str, shard: Option<(u32, u32)>| {
        let path = dir.path().join(name);
        let line = r#"{"custom_id":"a","url":"/v1/embeddings","body":{"model":"m"}}"#;
        fs::write(&path, line).unwrap();
        let mut input = Input::file(&path).unwrap();
        if let Some((index, count)) = shard {
            input = input.shard(index, count).unwrap();
        }
        let beside = input.beside("results");
        assert_eq!(beside.parent(), path.parent());
        beside.file_name().unwrap().to_str().unwrap().to_owned()
    };
    for (name, expected) in [
        ("in.jsonl", "in.results.jsonl"),
        ("in.jsonl.gz", "in.results.jsonl"),
        ("in.2026.jsonl.ZST", "in.2026.results.jsonl"),
        ("in.csv.zstd", "in.results.jsonl"),
        ("in.gz", "in.results.jsonl"),
        ("in", "in.results.jsonl"),
        (".gz", ".gz.results.jsonl"),
    ] {
        assert_eq!(beside(name, None), expected, "{name}");
    }
    assert_eq!(
        beside("in.jsonl.gz", Some((3, 8))),
        "in.results.3-of-8.jsonl"
    );
    let reader = Input::reader("standard input", io::empty());
    assert_eq!(reader.beside("errors"), Path::new("paceline.errors.jsonl"));
}

#[test]
fn the_name_says_what_rows_are_written_in() {
    for (name, format) in [
        ("a.csv", RowFormat::Csv),
        ("a.CSV.gz", RowFormat::Csv),
        ("b/a.csv.zst", RowFormat::Csv),
        ("a.tsv", RowFormat::Tsv),
        ("a.TAB.gz", RowFormat::Tsv),
        ("a.txt", RowFormat::Jsonl),
        ("a.jsonl", RowFormat::Jsonl),
        ("a.csv.jsonl", RowFormat::Jsonl),
        ("csv", RowFormat::Jsonl),
        ("a.gz", RowFormat::Jsonl),
    ] {
        assert_eq!(RowFormat::of(name), format, "{name}");
    }
}
