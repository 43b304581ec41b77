//! Files that are whole or not there: written beside their place, and moved to it.

use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::batch::beside::{create_beside, name_beside};
use crate::{Error, Result};

/// Writes a file with `write`. Until all of it is on the disk, `path` holds what it held before.
/// What is no file, such as a pipe, is written to as it is.
pub(super) fn write_whole<T>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<T>,
) -> Result<T> {
    let fail = |error| Error::io(path, error);
    // A link stays a link.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if fs::metadata(path).is_ok_and(|data| !data.is_file()) {
        let file = OpenOptions::new().write(true).open(path).map_err(fail)?;
        let mut writer = BufWriter::new(file);
        let written = write(&mut writer)?;
        writer.flush().map_err(fail)?;
        return Ok(written);
    }
    let beside = name_beside(path, "part");
    let mut writer = BufWriter::new(create_beside(&beside)?);
    let written = write(&mut writer).and_then(|written| {
        let flushed = writer.flush().and_then(|()| writer.get_ref().sync_data());
        let moved = flushed.and_then(|()| fs::rename(&beside, path));
        moved.map(|()| written).map_err(fail)
    });
    if written.is_err() {
        let _ = fs::remove_file(&beside); // half of it is of no use
    }
    written
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn write(path: &Path, text: &str) -> Result<()> {
        write_whole(path, |writer| {
            let written = writer.write_all(text.as_bytes());
            written.map_err(|error| Error::io(path, error))
        })
    }

    fn names(dir: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(dir.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_when_the_next_one_is_whole() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a.csv");
        write(&path, "one").unwrap();
        fs::write(
            dir.path().join("a.csv.paceline-part"),
            "left by a kill, and longer",
        )
        .unwrap();
        write(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        let failed = write_whole(&path, |writer| {
            writer.write_all(&[b'x'; 100_000]).unwrap();
            Err::<(), _>(Error::Batch("no more".to_owned()))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(names(&dir), ["a.csv"]);
    }

    #[test]
    fn two_at_once_are_refused_and_a_place_that_is_none_is_named() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a.csv");
        let refused = write_whole(&path, |_| Ok(write(&path, "inner").unwrap_err()));
        let refused = refused.unwrap().to_string();
        assert!(
            refused.contains("a.csv.paceline-part: another run is writing to it"),
            "{refused}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        let nowhere = dir.path().join("no/a.csv");
        let error = write(&nowhere, "").unwrap_err().to_string();
        assert!(error.contains("no/a.csv"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one_and_what_is_no_file_is_written_to() {
        let dir = TempDir::new().unwrap();
        let (path, link) = (dir.path().join("a.csv"), dir.path().join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        write(Path::new("/dev/null"), "gone").unwrap();
        assert_eq!(names(&dir), ["a.csv", "link"]);
    }
}
