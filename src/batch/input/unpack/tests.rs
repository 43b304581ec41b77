//! Packed streams: whole, cut at each byte, damaged at each bit, made of anything.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;

const TEXT: &str = "How far is the moon? How far is the sun? How far is the moon from the sun?\n\
    How far is it?\n";
/// The text as the `zstd` command packs it, with a checksum.
const BY_ZSTD: &[u8] =
    b"\x28\xb5\x2f\xfd\x24\x5a\x95\x01\x00\x44\x02\x48\x6f\x77\x20\x66\x61\x72\x20\
    \x69\x73\x20\x74\x68\x65\x20\x6d\x6f\x6f\x6e\x3f\x20\x73\x75\x6e\x3f\x20\x20\
    \x66\x72\x6f\x6d\x0a\x69\x74\x3f\x0a\x04\x00\xc0\x88\xa2\x0a\xcd\x54\xa2\x63\
    \x37\x99\x77\x58\x09\xb3";
/// A frame of four bytes that mean nothing.
const SKIPPED: &[u8] = b"\x5a\x2a\x4d\x18\x04\0\0\0\x28\xb5\x2f\xfd";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    compress_to_vec(text, CompressionLevel::Fastest)
}

/// Gives one byte at a time, as a slow pipe does.
struct Slow(io::Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(1);
        self.0.read(&mut buffer[..most])
    }
}

/// All that can be read, and how it ended.
fn read(reader: impl Read + Send + 'static) -> (Vec<u8>, io::Result<usize>) {
    let mut bytes = Vec::new();
    let result = unpacked(reader).read_to_end(&mut bytes);
    (bytes, result)
}

fn read_bytes(bytes: &[u8]) -> (Vec<u8>, io::Result<usize>) {
    read(io::Cursor::new(bytes.to_vec()))
}

#[test]
fn what_is_packed_is_read_as_it_was() {
    let text = TEXT.as_bytes();
    let long: Vec<u8> = TEXT.bytes().cycle().take(700_000).collect();
    let table = [
        (text.to_vec(), text.to_vec()),
        (vec![], vec![]),
        (vec![0x1f], vec![0x1f]),
        (ZSTD[..3].to_vec(), ZSTD[..3].to_vec()),
        (b"Plain".to_vec(), b"Plain".to_vec()),
        (gzip(text), text.to_vec()),
        (gzip(b""), vec![]),
        (
            [gzip(text), gzip(b""), gzip(b"x")].concat(),
            [text, b"x"].concat(),
        ),
        (BY_ZSTD.to_vec(), text.to_vec()),
        (zstd(b""), vec![]),
        (
            [SKIPPED, BY_ZSTD, &zstd(b"x"), SKIPPED].concat(),
            [text, b"x"].concat(),
        ),
        (gzip(&long), long.clone()),
        (zstd(&long), long.clone()),
    ];
    for (step, (bytes, expected)) in table.into_iter().enumerate() {
        let (found, result) = read_bytes(&bytes);
        assert!(result.is_ok(), "step {step}: {result:?}");
        assert!(found == expected, "step {step}");
        let (found, result) = read(Slow(io::Cursor::new(bytes)));
        assert!(result.is_ok() && found == expected, "step {step}, slowly");
    }
}

#[test]
fn what_is_cut_short_is_called_truncated_and_what_was_there_is_read() {
    let packed = [(gzip(TEXT.as_bytes()), "gzip"), (BY_ZSTD.to_vec(), "zstd")];
    for (bytes, name) in packed {
        // From where it is known what it is.
        for length in 4..bytes.len() {
            let (found, result) = read_bytes(&bytes[..length]);
            let error = result.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{length}");
            let message = format!("the {name} data is truncated: its end is missing");
            assert_eq!(error.to_string(), message, "after {length} bytes");
            assert!(TEXT.as_bytes().starts_with(&found), "after {length} bytes");
            let second = [&bytes[..], &bytes[..length]].concat();
            let (found, result) = read_bytes(&second);
            assert!(result.is_err(), "the second, after {length} bytes");
            assert!(found.starts_with(TEXT.as_bytes()), "the first one is whole");
        }
    }
}

#[test]
fn what_is_damaged_is_never_read_as_something_else() {
    for (bytes, name) in [(gzip(TEXT.as_bytes()), "gzip"), (BY_ZSTD.to_vec(), "zstd")] {
        let mut damaged = 0;
        for at in 4..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let (found, result) = read_bytes(&bytes);
                match result {
                    Ok(_) => assert!(found == TEXT.as_bytes(), "{name}: bit {bit} of {at}"),
                    Err(error) => {
                        let message = error.to_string();
                        let start = format!("the {name} data is ");
                        assert!(message.starts_with(&start), "{message}");
                        damaged += usize::from(message[start.len()..].starts_with("damaged: "));
                    }
                }
            }
        }
        assert!(
            damaged > bytes.len(),
            "{name}: {damaged} of {} bytes",
            bytes.len()
        );
    }
    let (_, result) = read_bytes(&[&gzip(b"x"), &b"rubbish, and more"[..]].concat());
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("the gzip data is damaged")
    );
}

/// Fails as a disk does.
struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is on fire"))
    }
}

#[test]
fn what_cannot_be_read_is_said_as_it_is() {
    for start in [&gzip(TEXT.as_bytes())[..20], &BY_ZSTD[..20], b"", b"plain"] {
        let reader = io::Cursor::new(start.to_vec()).chain(Failing);
        let (_, result) = read(reader);
        let error = result.unwrap_err().to_string();
        assert!(error.contains("the disk is on fire"), "{start:?}: {error}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(
        start in prop_oneof![
            Just(&GZIP[..]), Just(&b"\x1f\x8b\x08\0\0\0\0\0\0\xff"[..]),
            Just(&ZSTD[..]), Just(SKIPPED), Just(&BY_ZSTD[..12]), Just(&b""[..]),
        ],
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let _ = read_bytes(&[start, &rest].concat());
    }

    #[test]
    fn any_text_comes_back(text in prop::collection::vec(any::<u8>(), 0..3_000)) {
        for packed in [gzip(&text), zstd(&text)] {
            let (found, result) = read_bytes(&packed);
            prop_assert!(result.is_ok(), "{result:?}");
            prop_assert!(found == text);
        }
    }
}
