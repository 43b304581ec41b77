//! An output that is no file: a pipe, a terminal, standard output.
//!
//! Writing to it takes as long as its reader likes, which may be for ever. So a thread of its own
//! writes, all lines that there are at once. Threads that have lines wait for it without the lock of
//! the writer, so they hold up no other. Lines not written when the grace period ends are dropped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Builder;

use parking_lot::{Condvar, Mutex};

use super::STANDARD_OUTPUT;
use crate::batch::terminal;

/// Clones write to the same.
#[derive(Debug, Clone)]
pub(in crate::batch) struct Stream(Arc<Shared>);

/// # Locking
///
/// The lock is held for one look. The thread waits for lines, and those with lines for the thread;
/// each is woken after the state that it waits for was set under the lock.
#[derive(Debug)]
struct Shared {
    /// What messages call it.
    name: PathBuf,
    state: Mutex<State>,
    has_lines: Condvar,
    is_written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What the thread has not taken yet.
    lines: Vec<u8>,
    /// Lines that came, and lines that are written.
    came: u64,
    written: u64,
    /// Why nothing can be written any more.
    failure: Option<Failure>,
    /// No thread waits any more.
    is_closed: bool,
    /// Lines that were not written when it was closed.
    left: u64,
    /// The output is dropped, and the thread may end.
    is_done: bool,
}

#[derive(Debug, Clone)]
struct Failure {
    kind: io::ErrorKind,
    code: Option<i32>,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self {
            kind: error.kind(),
            code: error.raw_os_error(),
        }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure.code {
            Some(code) => Self::from_raw_os_error(code),
            None => failure.kind.into(),
        }
    }
}

/// What came of a line.
#[derive(Debug)]
pub(in crate::batch) enum Sent {
    Written,
    Failed(io::Error),
    /// The stream was closed before.
    Left,
}

/// Ends the thread when the output goes.
#[derive(Debug)]
pub(super) struct Owner(pub(super) Stream);

impl Owner {
    /// A stream to what is at `path`; a pipe is opened by the thread, since that waits for a reader.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let name = match path == Path::new(STANDARD_OUTPUT) {
            true => Path::new("standard output"),
            false => path,
        };
        let is_standard = path == Path::new(STANDARD_OUTPUT);
        let to = match is_standard {
            true => To::Open(standard_output()?),
            false if is_pipe(path) => To::Pipe(path.to_owned()),
            // Appended: a file behind a descriptor, as in `> log`, is not ours to overwrite.
            false => To::Open(OpenOptions::new().append(true).open(path)?),
        };
        let stream = Stream(Arc::new(Shared {
            name: name.to_owned(),
            state: Mutex::default(),
            has_lines: Condvar::new(),
            is_written: Condvar::new(),
        }));
        let shared = Arc::clone(&stream.0);
        let thread = Builder::new().name("paceline-stream".to_owned());
        thread.spawn(move || shared.write_on(to))?;
        Ok(Self(stream))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The flag changes under the lock, so the writing thread sees it in its check or is woken.
        self.0.0.state.lock().is_done = true;
        self.0.0.has_lines.notify_all();
    }
}

enum To {
    Open(File),
    Pipe(PathBuf),
}

impl Stream {
    /// What messages call it.
    pub(in crate::batch) fn name(&self) -> &Path {
        &self.0.name
    }

    /// Writes a line, and waits until it is written or the stream is closed.
    pub(in crate::batch) fn write(&self, line: &[u8]) -> Sent {
        let mut state = self.0.state.lock();
        if let Some(failure) = state.failure.clone() {
            return Sent::Failed(failure.into());
        }
        if state.is_closed {
            state.left += 1;
            return Sent::Left;
        }
        state.lines.extend_from_slice(line);
        state.came += 1;
        let mine = state.came;
        self.0.has_lines.notify_one();
        loop {
            self.0.is_written.wait(&mut state);
            if state.written >= mine {
                return Sent::Written;
            }
            if let Some(failure) = state.failure.clone() {
                return Sent::Failed(failure.into());
            }
            if state.is_closed {
                return Sent::Left;
            }
        }
    }

    /// Ends the wait of every thread, for lines that are written or not.
    pub(in crate::batch) fn close(&self) {
        let mut state = self.0.state.lock();
        if !mem::replace(&mut state.is_closed, true) && state.failure.is_none() {
            state.left = state.came - state.written;
        }
        self.0.is_written.notify_all();
    }

    /// Lines that were not written when it was closed.
    pub(in crate::batch) fn left(&self) -> u64 {
        self.0.state.lock().left
    }
}

impl Shared {
    fn write_on(&self, to: To) {
        let mut file = match to {
            To::Open(file) => file,
            To::Pipe(path) => match OpenOptions::new().write(true).open(path) {
                Ok(file) => file,
                Err(error) => return self.fail(error),
            },
        };
        let is_terminal = file.is_terminal();
        loop {
            let mut state = self.state.lock();
            while state.lines.is_empty() && !state.is_done {
                self.has_lines.wait(&mut state);
            }
            if state.lines.is_empty() || state.is_closed {
                return;
            }
            let (lines, to) = (mem::take(&mut state.lines), state.came);
            drop(state);
            let shown = match is_terminal {
                true => terminal::escaped(&lines),
                false => lines.into(),
            };
            if let Err(error) = file.write_all(&shown) {
                return self.fail(error);
            }
            // The number changes under the lock that `write` holds until it waits: no wake-up is lost.
            self.state.lock().written = to;
            self.is_written.notify_all();
        }
    }

    fn fail(&self, error: io::Error) {
        // Set under the lock that `write` holds until it waits: no wake-up is lost.
        self.state.lock().failure = Some(error.into());
        self.is_written.notify_all();
    }
}

fn is_pipe(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        fs::metadata(path).is_ok_and(|data| data.file_type().is_fifo())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// Without the buffer that `println` has.
fn standard_output() -> io::Result<File> {
    #[cfg(unix)]
    let file = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned();
    #[cfg(windows)]
    let file = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned();
    file.map(File::from)
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::Command;
    use std::thread;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_pipe_that_nobody_reads_holds_up_nobody_once_it_is_closed() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        let owner = Owner::open(&path).unwrap(); // which waits for no reader
        let stream = owner.0.clone();
        thread::scope(|scope| {
            let waits = [(); 3].map(|()| scope.spawn(|| stream.write(b"line\n")));
            while stream.0.state.lock().came < 3 {
                thread::yield_now();
            }
            stream.close();
            for wait in waits {
                assert!(matches!(wait.join().unwrap(), Sent::Left));
            }
        });
        assert!(matches!(stream.write(b"more\n"), Sent::Left));
        assert_eq!(stream.left(), 4);
    }

    #[test]
    fn lines_come_whole_and_in_order_and_a_reader_that_goes_is_an_error() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        let owner = Owner::open(&path).unwrap();
        let mut reader = BufReader::new(File::open(&path).unwrap());
        for number in 0..3 {
            let line = format!("{number}\n");
            assert!(matches!(owner.0.write(line.as_bytes()), Sent::Written));
            let mut read = String::new();
            reader.read_line(&mut read).unwrap();
            assert_eq!(read, line);
        }
        drop(reader);
        for _ in 0..2 {
            let Sent::Failed(error) = owner.0.write(b"x\n") else {
                panic!("nobody reads it");
            };
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
        owner.0.close();
        assert_eq!(owner.0.left(), 0);
    }
}
