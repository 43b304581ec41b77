//! Names of files that a run writes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::args;

/// Puts the part into the names of all files that are written, so that no part overwrites what is
/// another's: `out.jsonl` is `out.3-of-8.jsonl`.
pub(crate) fn carry_part(arguments: &mut args::Run) {
    // Simulated answers never take the place of real ones.
    if let Some(path) = arguments
        .shape
        .extract
        .as_mut()
        .filter(|_| arguments.simulate)
    {
        *path = with_part(path, "simulated");
    }
    let Some(part) = arguments.shape.shard.filter(|shard| shard.count > 1) else {
        return;
    };
    let part = format!("{}-of-{}", part.index, part.count);
    let files = [
        &mut arguments.output,
        &mut arguments.errors,
        &mut arguments.summary,
        &mut arguments.report,
        &mut arguments.shape.extract,
    ];
    for path in files.into_iter().flatten() {
        // Also a file behind a descriptor, as in `--output /dev/stdout > file`.
        let is_descriptor = ["/dev", "/proc"].iter().any(|it| path.starts_with(it));
        let is_special = is_descriptor || path.exists() && !path.is_file();
        if *path != Path::new("-") && !is_special {
            *path = with_part(path, &part);
        }
    }
}

/// The name with the part before its ending, unless it has that already.
fn with_part(path: &Path, part: &str) -> PathBuf {
    let Some(name) = path.file_name() else {
        return path.to_owned();
    };
    if name.to_string_lossy().contains(part) {
        return path.to_owned();
    }
    let mut carrying = OsString::from(path.file_stem().unwrap_or(name));
    carrying.push(format!(".{part}"));
    if let Some(ending) = path.extension() {
        carrying.push(".");
        carrying.push(ending);
    }
    path.with_file_name(carrying)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_stands_before_the_ending_once() {
        let table = [
            ("out.jsonl", "out.3-of-8.jsonl"),
            ("a/answers.csv", "a/answers.3-of-8.csv"),
            ("out", "out.3-of-8"),
            ("out.3-of-8.jsonl", "out.3-of-8.jsonl"),
            (".hidden", ".hidden.3-of-8"),
            ("..", ".."),
        ];
        for (path, expected) in table {
            let found = with_part(Path::new(path), "3-of-8");
            assert_eq!(found, Path::new(expected), "{path}");
        }
    }
}
