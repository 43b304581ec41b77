//! The files: prose and code of this package, put together anew, with words of no language among
//! them, because a text of many megabytes has more different words than a small one.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::Result;

/// About 2,000 tokens.
const PROMPT: usize = 8_000;
/// Of the user's message, where there is a shared prompt.
const QUESTION: usize = 120;
/// Of the only message, where there is none.
const MESSAGE: usize = 2_000;

pub(crate) struct Files {
    /// Requests that have nothing in common.
    pub(crate) different: PathBuf,
    /// Requests with one system prompt.
    pub(crate) shared: PathBuf,
    /// A text.
    pub(crate) text: PathBuf,
}

impl Files {
    pub(crate) fn make(folder: &Path, bytes: usize) -> Result<Self> {
        let files = Self {
            different: folder.join("different.jsonl"),
            shared: folder.join("shared.jsonl"),
            text: folder.join("text.txt"),
        };
        let mut writer = Sentences::new()?;
        let prompt = writer.text(PROMPT);
        batch(&files.different, bytes, || {
            vec![("user", writer.text(MESSAGE))]
        })?;
        batch(&files.shared, bytes, || {
            vec![("system", prompt.clone()), ("user", writer.text(QUESTION))]
        })?;
        let (mut text, mut written) = (BufWriter::new(File::create(&files.text)?), 0);
        while written < bytes {
            let more = writer.text(10_000);
            text.write_all(more.as_bytes())?;
            written += more.len();
        }
        text.flush()?;
        Ok(files)
    }
}

fn batch(
    path: &Path,
    bytes: usize,
    mut messages: impl FnMut() -> Vec<(&'static str, String)>,
) -> Result<()> {
    let (mut file, mut written, mut number) = (BufWriter::new(File::create(path)?), 0, 0);
    while written < bytes {
        let messages = messages().into_iter();
        let messages: Vec<_> = messages
            .map(|(role, content)| json!({"role": role, "content": content}))
            .collect();
        let line = json!({
            "custom_id": format!("request-{number}"),
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "gpt-4.1", "max_completion_tokens": 16, "messages": messages},
        });
        let line = format!("{line}\n");
        file.write_all(line.as_bytes())?;
        written += line.len();
        number += 1;
    }
    Ok(file.flush()?)
}

struct Sentences {
    lines: Vec<String>,
    chance: fastrand::Rng,
}

impl Sentences {
    fn new() -> Result<Self> {
        let mut lines = Vec::new();
        collect(Path::new(env!("CARGO_MANIFEST_DIR")), &mut lines)?;
        Ok(Self {
            lines,
            chance: fastrand::Rng::with_seed(1),
        })
    }

    fn text(&mut self, len: usize) -> String {
        let mut text = String::new();
        while text.len() < len {
            let line = &self.lines[self.chance.usize(..self.lines.len())];
            text.push_str(line);
            // One word in twenty or so.
            if self.chance.bool() {
                let letters = 2 + self.chance.usize(..9);
                text.push(' ');
                text.extend((0..letters).map(|_| self.chance.lowercase()));
            }
            text.push(if self.chance.u8(..) < 60 { '\n' } else { ' ' });
        }
        text
    }
}

/// The lines of the package's documents and sources, three in four of them prose.
fn collect(root: &Path, lines: &mut Vec<String>) -> Result<()> {
    let mut files: Vec<_> = fs::read_dir(root)?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files.iter().map(fs::DirEntry::path) {
        let (name, is_folder) = (file.file_name().unwrap_or_default(), file.is_dir());
        match file.extension().and_then(|extension| extension.to_str()) {
            _ if is_folder && (root.ends_with("src") || name == "src") => {
                collect(&file, lines)?;
            }
            Some("md") => {
                let text = fs::read_to_string(&file)?;
                lines.extend(text.lines().map(str::to_owned));
            }
            Some("rs") => {
                let text = fs::read_to_string(&file)?;
                let comments = text.lines().filter(|line| line.contains("//"));
                lines.extend(comments.map(|line| line.trim().replace("//", "")));
                lines.extend(text.lines().step_by(12).map(str::to_owned));
            }
            _ => {}
        }
    }
    Ok(())
}
