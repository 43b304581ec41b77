//! A folder, the command in it, and what came of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use paceline::sim::{SimConfig, SimLimits, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The key that every run has, and that must be seen nowhere.
pub(crate) const KEY: &str = "sk-proj-Zq81xT0pS3cr3tV7";
/// No test may hang. Far above what any takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// A chat request of a few tokens.
pub(crate) fn chat(id: &str, model: &str) -> String {
    json!({
        "custom_id": id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": model,
            "messages": [{"role": "user", "content": "How far is the moon?"}],
            "max_completion_tokens": 16,
        },
    })
    .to_string()
}

/// Requests `r0`, `r1` and so on.
pub(crate) fn chats(count: usize) -> String {
    (0..count)
        .map(|number| chat(&format!("r{number}"), "gpt-4o-mini") + "\n")
        .collect()
}

/// An API without limits that answers at once.
pub(crate) fn simulator() -> Simulator {
    let unlimited = SimConfig::new().default_limits(SimLimits::default());
    Simulator::start(unlimited).unwrap()
}

/// A folder of its own for one test. When it goes, no file in it may hold the key.
pub(crate) struct Folder {
    dir: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    /// A folder with `in.jsonl` in it.
    pub(crate) fn with_input(text: impl AsRef<[u8]>) -> Self {
        let folder = Self::new();
        folder.write("in.jsonl", text);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The names of all files.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The lines of an output file, each whole.
    pub(crate) fn lines(&self, name: &str) -> Vec<Value> {
        let text = self.read(name);
        assert!(text.is_empty() || text.ends_with('\n'), "{name} is torn");
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        text.lines().map(parse).collect()
    }

    /// How often each `custom_id` stands in the results and the errors of `in.jsonl`.
    pub(crate) fn ids(&self) -> BTreeMap<String, usize> {
        let mut ids = BTreeMap::new();
        for name in ["in.results.jsonl", "in.errors.jsonl"] {
            for line in self.lines(name) {
                let id = line["custom_id"].as_str().unwrap_or("(none)");
                *ids.entry(id.to_owned()).or_default() += 1;
            }
        }
        ids
    }

    /// How many whole lines a file has, if it is there.
    pub(crate) fn whole_lines(&self, name: &str) -> usize {
        let bytes = fs::read(self.path(name)).unwrap_or_default();
        bytes.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Fails unless `r0` up to `count` stand in the results and the errors exactly once each.
    pub(crate) fn assert_each_once(&self, count: usize) {
        let ids = self.ids();
        let expected = (0..count).map(|number| (format!("r{number}"), 1)).collect();
        assert_eq!(ids, expected);
    }

    /// Waits until a file has this many lines.
    pub(crate) fn wait_for_lines(&self, name: &str, count: usize) {
        let began = Instant::now();
        loop {
            if self.whole_lines(name) >= count {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{name} has no {count} lines");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The command, in this folder, with a key in its environment.
    pub(crate) fn paceline<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("OPENAI_BASE_URL")
            .env("OPENAI_API_KEY", KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Cmd { command }
    }

    /// `paceline run in.jsonl --base-url URL`, with limits that never hold it up.
    pub(crate) fn run(&self, base_url: &str) -> Cmd {
        self.paceline(["run", "in.jsonl", "--base-url", base_url])
            .args(["--tpm", "1_000_000_000", "--rpm", "100_000_000"])
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        for name in self.files() {
            let bytes = fs::read(self.path(&name)).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(KEY), "{name} holds the key");
        }
    }
}

/// The command before it runs.
pub(crate) struct Cmd {
    pub(crate) command: Command,
}

impl Cmd {
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    pub(crate) fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    /// Runs it through a shell: `script` ends in `exec "$@"`.
    pub(crate) fn in_shell(self, script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]);
        command.arg(self.command.get_program());
        command.args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = self.command.get_current_dir() {
            command.current_dir(dir);
        }
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    pub(crate) fn start(mut self) -> Running {
        let shown = format!("{:?}", self.command);
        let child = self.command.spawn().unwrap();
        let (ended, end) = mpsc::channel::<()>();
        let id = child.id();
        thread::spawn(move || {
            if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                signal(id, "KILL");
            }
        });
        Running {
            child,
            shown,
            _watchdog: ended,
        }
    }

    /// Runs it to its end, which must have this status.
    pub(crate) fn ends_with(self, status: i32) -> Output {
        self.start().ends_with(status)
    }

    /// Runs it with this on its standard input.
    pub(crate) fn fed(mut self, input: impl AsRef<[u8]>, status: i32) -> Output {
        self.command.stdin(Stdio::piped());
        let mut running = self.start();
        let mut stdin = running.child.stdin.take().unwrap();
        // It may have ended before it read anything.
        let _ = stdin.write_all(input.as_ref());
        drop(stdin);
        running.ends_with(status)
    }
}

/// The command while it runs.
pub(crate) struct Running {
    pub(crate) child: Child,
    shown: String,
    _watchdog: mpsc::Sender<()>,
}

impl Running {
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits until standard error has a line with this word. What is returned is to be kept: who
    /// closes it ends what is written to it.
    pub(crate) fn wait_for_word(&mut self, word: &str) -> impl BufRead + use<> {
        let mut stderr = BufReader::new(self.child.stderr.take().unwrap());
        let mut text = String::new();
        while !text.contains(word) {
            let read = stderr.read_line(&mut text).unwrap();
            assert!(read > 0, "{word:?} is not in {text}");
        }
        stderr
    }

    /// Waits for its end, which must have this status, with the rest of what
    /// [`wait_for_word`](Self::wait_for_word) has begun to read, in which this word must be.
    pub(crate) fn wait_for_end(mut self, mut stderr: impl BufRead, word: &str, status: i32) {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        let ended = self.child.wait().unwrap();
        assert_eq!(ended.code(), Some(status), "{}\n{text}", self.shown);
        assert!(text.contains(word), "{word:?} is not in {text}");
    }

    pub(crate) fn ends_with(self, status: i32) -> Output {
        self.ends_in([status])
    }

    /// Waits for its end, which must have one of these statuses.
    pub(crate) fn ends_in<const N: usize>(self, statuses: [i32; N]) -> Output {
        let output = self.child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let output_ = Output {
            command: self.shown,
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        let found = output.status.code();
        assert!(
            statuses.iter().any(|status| found == Some(*status)),
            "the exit status of {output_}\n({}, not {statuses:?})",
            output.status
        );
        for (name, text) in [("output", &output_.stdout), ("error", &output_.stderr)] {
            assert!(!text.contains(KEY), "the key is on standard {name}");
            assert!(!text.contains("panicked"), "{output_}");
        }
        output_
    }
}

/// Sends a signal to one process.
fn signal(id: u32, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &id.to_string()])
        .status();
    assert!(sent.is_ok_and(|sent| sent.success()), "kill -{name} {id}");
}

/// What the command said.
pub(crate) struct Output {
    command: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// Fails unless standard error holds all of these.
    #[track_caller]
    pub(crate) fn says(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {self}");
        }
        self
    }

    /// Fails unless standard output is empty.
    #[track_caller]
    pub(crate) fn prints_nothing(&self) -> &Self {
        assert_eq!(self.stdout, "", "{self}");
        self
    }

    /// Standard output, which holds the JSON of a summary and nothing else.
    #[track_caller]
    pub(crate) fn summary(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "{command}\n--- standard output\n{stdout}\n--- standard error\n{stderr}\n---"
        )
    }
}
