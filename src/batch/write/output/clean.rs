//! A first look at the results of earlier runs, by several threads, for files that are as they should be.
//!
//! Of a large file the lines are parsed in pieces, side by side, and reported in order. At the first
//! thing out of the ordinary (a line that is damaged, without an id or of a failure, a kind of answer that
//! is not looked for) the look ends, and the file is [read line by line](super::repair), which says what it is.

use std::io::{self, BufRead, BufReader};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::lines::Answered;
use super::{Damage, Output, To};
use crate::batch::fingerprint::Fingerprint;
use crate::batch::fs::{Cursor, OpenFile};
use crate::batch::ids::Key;
use crate::batch::inside::is_failure_inside;

/// The part of a file that one thread reads at once, in bytes.
const PIECE: u64 = 1024 * 1024;
/// A file of so few pieces is read as fast by one thread.
const FEW: u64 = 4;
/// More threads wait for the one that takes in what they find.
const MOST_THREADS: usize = 4;

/// An answer that stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) struct KnownAnswer {
    pub(in crate::batch) key: Key,
    /// The request that it is of, where that is known.
    pub(in crate::batch) of: Option<Fingerprint>,
}

/// What is read of a line. An id with escapes in it is out of the ordinary, too.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    id: &'a str,
    custom_id: &'a str,
    response: Answered<'a>,
    error: Option<IgnoredAny>,
    #[serde(default)]
    simulated: bool,
}

type Found = Option<Vec<KnownAnswer>>;

impl Output {
    /// Calls `found` with the answers of each piece of the file, in their order, and with the part of the
    /// file that it is. Returns `None` when something is out of the ordinary; earlier calls are then void.
    pub(in crate::batch) fn look_if_clean(
        &self,
        simulated: bool,
        mut found: impl FnMut(Vec<KnownAnswer>, f64),
    ) -> Option<Damage> {
        let To::File(ours) = &self.to else {
            return None;
        };
        let file = &*ours.file;
        let size = file.stat().ok()?.len;
        let pieces = size.div_ceil(PIECE);
        let threads = thread::available_parallelism().map_or(1, usize::from);
        if pieces <= FEW {
            return None;
        }
        let part = PIECE as f64 / size as f64;
        thread::scope(|scope| {
            let readers = readers(scope, file, size, simulated, threads.min(MOST_THREADS))?;
            for reader in readers.iter().cycle().take(usize::try_from(pieces).ok()?) {
                found(reader.recv().ok()??, part);
            }
            Some(Damage::none(size))
        })
    }
}

/// Threads that take turns in the pieces of a file. Each ends when its receiver is dropped.
fn readers<'scope>(
    scope: &'scope Scope<'scope, '_>,
    file: &'scope dyn OpenFile,
    size: u64,
    simulated: bool,
    count: usize,
) -> Option<Vec<Receiver<Found>>> {
    let start = |first: usize| {
        let (tell, told) = sync_channel(1);
        let starts = (0..size).step_by(usize::try_from(PIECE).ok()?);
        let starts = starts.skip(first).step_by(count);
        thread::Builder::new()
            .name("paceline-look".to_owned())
            .spawn_scoped(scope, move || look(file, starts, simulated, &tell))
            .ok()?;
        Some(told)
    };
    (0..count).map(start).collect()
}

fn look(
    file: &dyn OpenFile,
    starts: impl Iterator<Item = u64>,
    simulated: bool,
    tell: &SyncSender<Found>,
) {
    for start in starts {
        // What cannot be read now may be read line by line, and otherwise is said then.
        let found = answers(file, start, simulated).unwrap_or_default();
        let is_over = found.is_none();
        if tell.send(found).is_err() || is_over {
            return;
        }
    }
}

/// The answers in the lines that begin in a piece, if all of them are in order.
fn answers(file: &dyn OpenFile, start: u64, simulated: bool) -> io::Result<Found> {
    // A line that begins with the piece is known by the end of the one before it.
    let mut at = start.saturating_sub(1);
    let mut reader = BufReader::with_capacity(1 << 17, Cursor::new(file, at));
    if start > 0 {
        at += reader.skip_until(b'\n')? as u64;
    }
    let (mut found, mut line) = (Vec::new(), Vec::new());
    while at < start + PIECE {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        at += read as u64;
        match answer(&line, simulated) {
            Some(answer) => found.push(answer),
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

fn answer(line: &[u8], simulated: bool) -> Option<KnownAnswer> {
    // Checked as text first: the parser does not look into strings that it skips.
    let text = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let line: Line<'_> = serde_json::from_str(text).ok()?;
    let is_answer = line.error.is_none()
        && line.simulated == simulated
        && (200..300).contains(&line.response.status_code)
        && !line
            .response
            .body
            .is_some_and(|body| is_failure_inside(body.get()));
    is_answer.then(|| KnownAnswer {
        key: Key::of(line.custom_id),
        of: Fingerprint::from_line_id(line.id),
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::path::Path;

    use super::*;
    use crate::batch::fs::system;

    fn line(number: usize, pad: usize) -> String {
        let text = "x".repeat(pad);
        format!(
            "{{\"id\":\"batch_req_{number:016x}-0000000000000000\",\"custom_id\":\"r{number}\",\"response\":{{\"status_code\":200,\
             \"request_id\":null,\"body\":{{\"choices\":[{{\"message\":{{\"content\":\"hi\"}}}}],\"t\":\"{text}\"}}}},\"error\":null}}\n"
        )
    }

    /// The keys and requests found, and where the file ends; none if it is out of the ordinary.
    fn look_at(text: &str) -> Option<(Vec<KnownAnswer>, u64)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.jsonl");
        std::fs::write(&path, text).unwrap();
        let output = Output::open_to_look(&system(), Path::new(&path)).unwrap();
        let (mut all, mut parts) = (Vec::new(), 0.0);
        let damage = output.look_if_clean(false, |found, part| {
            all.extend(found);
            parts += part;
        })?;
        assert!((1.0..1.3).contains(&parts), "{parts}");
        Some((all, damage.end))
    }

    #[test]
    fn each_line_of_a_large_file_is_told_once_and_in_order() {
        let mut text = String::new();
        let mut count = 0;
        while text.len() < 6 << 20 {
            // Also lines that are longer than a piece.
            let pad = if count == 1_000 { 3 << 20 } else { count % 700 };
            text.push_str(&line(count, pad));
            count += 1;
        }
        let (all, end) = look_at(&text).unwrap();
        let expected = (0..count).map(|number| KnownAnswer {
            key: Key::of(&format!("r{number}")),
            of: Some(Fingerprint(number as u64)),
        });
        assert!(all.into_iter().eq(expected));
        assert_eq!(end, text.len() as u64);
        assert!(
            look_at(&line(1, 10)).is_none(),
            "a small file is read as it was"
        );
    }

    #[test]
    fn a_line_out_of_the_ordinary_ends_the_look() {
        let mut good = String::new();
        for number in 0..8_000 {
            write!(good, "{}", line(number, 700)).unwrap();
        }
        assert!(look_at(&good).is_some());
        let odd = [
            "\n".to_owned(),
            line(1, 1).replace("\"choices\"", "\u{0}"),
            line(1, 1).replace(":200", ":500"),
            line(1, 1).replace("\"error\":null", "\"error\":{}"),
            line(1, 1).replace("\"error\":null", "\"error\":null,\"simulated\":true"),
            line(1, 1).replace("\"custom_id\":\"r1\"", "\"custom_id\":null"),
            line(1, 1).replace(
                r#""choices":[{"message":{"content":"hi"}}],"t":"x""#,
                r#""error":{"message":"no"}"#,
            ),
            line(1, 1)[..50].to_owned(), // the next line follows on the same line
        ];
        for odd in odd {
            let at = good.find("\"r4321\"").unwrap();
            let at = good[..at].rfind('\n').unwrap() + 1;
            let (before, after) = good.split_at(at);
            assert!(
                look_at(&[before, &odd, after].concat()).is_none(),
                "{odd:?}"
            );
        }
        // An end that is missing.
        assert!(look_at(good.trim_end()).is_none());
    }
}
