//! Images and files that a table names: addresses, or files in its folder.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The largest file, in bytes. More than any provider takes.
const MOST: u64 = 50 * 1024 * 1024;

/// The folders of whose files requests may be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Folders {
    /// Of the table, where paths begin that are not absolute.
    base: Option<PathBuf>,
    others: Vec<PathBuf>,
}

impl Folders {
    /// The first one is that where paths begin that are not absolute.
    pub(super) fn allow(&mut self, folder: &Path) -> std::io::Result<()> {
        let folder = folder.canonicalize()?;
        match &self.base {
            None => self.base = Some(folder),
            Some(_) => self.others.push(folder),
        }
        Ok(())
    }

    /// What a chat request has of an address or a path: `None` for an empty cell.
    pub(super) fn part(&self, cell: &str) -> Result<Option<Value>, String> {
        let cell = cell.trim();
        if cell.is_empty() {
            return Ok(None);
        }
        let lower = |length: usize| cell.get(..length).unwrap_or_default().to_ascii_lowercase();
        let mut schemes = ["http://", "https://", "data:"].into_iter();
        if schemes.any(|scheme| lower(scheme.len()) == scheme) {
            return Ok(Some(image(cell)));
        }
        let wrong = |what: &dyn std::fmt::Display| format!("{cell:?}: {what}");
        let base = self.base.as_ref();
        let base = base.ok_or_else(|| wrong(&"no folder is allowed for files"))?;
        // Links and `..` are followed first, so that what they lead to is compared.
        let path = base
            .join(cell)
            .canonicalize()
            .map_err(|error| wrong(&error))?;
        let is_inside = |folder: &PathBuf| path.starts_with(folder);
        if !is_inside(base) && !self.others.iter().any(is_inside) {
            return Err(wrong(
                &"lies outside the folder of the table, and in no other that is allowed",
            ));
        }
        if !path.is_file() {
            return Err(wrong(&"is no file"));
        }
        let bytes = read(&path).map_err(|error| wrong(&error))?;
        if bytes.len() as u64 > MOST {
            return Err(wrong(&format!("has more than {} MiB", MOST >> 20)));
        }
        let media = media_type(&bytes)
            .ok_or_else(|| wrong(&"is neither an image (PNG, JPEG, GIF, WebP) nor a PDF file"))?;
        let data = format!("data:{media};base64,{}", STANDARD.encode(&bytes));
        if media != PDF {
            return Ok(Some(image(&data)));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = json!({"filename": name, "file_data": data});
        Ok(Some(json!({"type": "file", "file": file})))
    }
}

fn image(url: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}

/// A file, and one byte more than the largest has.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

const PDF: &str = "application/pdf";

/// What a file is, by its first bytes: names lie.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some(PDF),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

    fn folders() -> (tempfile::TempDir, Folders) {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["table/photos", "allowed", "secret"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for (name, bytes) in [
            ("table/photos/a.png", PNG),
            ("table/doc.pdf", b"%PDF-1.7"),
            ("table/notes.txt", b"mine"),
            ("allowed/b.png", PNG),
            ("secret/c.png", PNG),
        ] {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let mut folders = Folders::default();
        folders.allow(&dir.path().join("table")).unwrap();
        folders.allow(&dir.path().join("allowed")).unwrap();
        (dir, folders)
    }

    #[test]
    fn addresses_stay_and_files_are_put_in() {
        let (dir, folders) = folders();
        let url = |cell: &str| folders.part(cell).unwrap().unwrap();
        assert_eq!(
            url(" https://h/a.png")["image_url"]["url"],
            "https://h/a.png"
        );
        assert_eq!(url("DATA:image/png;base64,AAA=")["type"], "image_url");
        let data = format!("data:image/png;base64,{}", STANDARD.encode(PNG));
        let absolute = dir.path().join("allowed/b.png");
        for cell in [
            "photos/a.png",
            "./photos/../photos/a.png",
            absolute.to_str().unwrap(),
        ] {
            assert_eq!(url(cell)["image_url"]["url"], data, "{cell}");
        }
        let pdf = url("doc.pdf");
        assert_eq!(pdf["file"]["filename"], "doc.pdf");
        assert_eq!(folders.part("  ").unwrap(), None);
        assert_eq!(Folders::default().part(" ").unwrap(), None);
    }

    #[test]
    fn what_is_no_image_or_lies_elsewhere_is_refused() {
        let (dir, folders) = folders();
        let secret = dir.path().join("secret/c.png");
        for (cell, said) in [
            ("../secret/c.png", "outside the folder"),
            ("photos/../../secret/c.png", "outside the folder"),
            (secret.to_str().unwrap(), "outside the folder"),
            ("/etc/passwd", "outside the folder"),
            ("missing.png", "missing.png"),
            ("photos", "is no file"),
            ("notes.txt", "is neither an image"),
        ] {
            let error = folders.part(cell).unwrap_err();
            assert!(error.contains(said), "{cell}: {error}");
        }
        assert!(
            Folders::default()
                .part("a.png")
                .unwrap_err()
                .contains("no folder")
        );
        #[cfg(unix)]
        {
            let link = dir.path().join("table/link.png");
            std::os::unix::fs::symlink(&secret, link).unwrap();
            assert!(
                folders
                    .part("link.png")
                    .unwrap_err()
                    .contains("outside the folder")
            );
        }
    }
}
