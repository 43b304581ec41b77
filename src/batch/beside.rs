//! Files that are written beside another, whose place they take when they are whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The name of a file beside another: one that no output of a user's has.
pub(super) fn name_beside(path: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".paceline-{what}"));
    PathBuf::from(name)
}

/// Makes a new file of such a name, and locks it. What a killed run left there goes; a link that
/// somebody has laid there is not followed.
///
/// # Errors
///
/// [`Error::Batch`] when another run is writing to it, [`Error::Io`] when it cannot be made.
pub(super) fn create_beside(name: &Path) -> Result<File> {
    let fail = |error| Error::io(name, error);
    match fs::symlink_metadata(name) {
        Ok(data) if data.is_file() => {
            let left = OpenOptions::new().write(true).open(name).map_err(fail)?;
            lock(&left, name)?;
            fs::remove_file(name).map_err(fail)?;
        }
        Ok(data) if !data.is_dir() => fs::remove_file(name).map_err(fail)?,
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    let file = options.open(name).map_err(fail)?;
    lock(&file, name)?;
    Ok(file)
}

/// Keeps other runs away from a file.
pub(super) fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let message = format!("{}: another run is writing to it", path.display());
            Err(Error::Batch(message))
        }
        // Some file systems have no locks. A run there is as good as it can be.
        Err(TryLockError::Error(error)) => {
            log::warn!("{}: {error}", path.display());
            Ok(())
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let dir = TempDir::new().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let name = name_beside(&dir.path().join("a.csv"), "part");
        std::os::unix::fs::symlink(&victim, &name).unwrap();
        drop(create_beside(&name).unwrap());
        assert!(fs::symlink_metadata(&name).unwrap().is_file());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }
}
