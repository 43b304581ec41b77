//! What is measured, in a process of its own. Each prints the nanoseconds that it took for its
//! work, without its start, and a sum that can be compared.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use paceline::batch::{Input, Run};
use paceline::tokens::Encoding;
use paceline::{Limits, RateLimitedClient};

use crate::Result;

/// Says that a process is one of these.
pub(crate) const FLAG: &str = "--child";
/// No limit, as far as this goes.
const PLENTY: u64 = 1_000_000_000_000_000;

/// A process to be started, once a round.
pub(crate) struct Task {
    program: String,
    arguments: Vec<String>,
    /// What a child prints nothing of: the whole process is timed.
    is_silent: bool,
}

/// What it took.
pub(crate) struct Took {
    pub(crate) time: Duration,
    /// Tokens, where the work is to count.
    pub(crate) sum: Option<u64>,
}

impl Task {
    /// This benchmark's own work on a file, on some of the cores or on all.
    pub(crate) fn itself(work: &str, file: &Path, cores: Option<&str>) -> Self {
        let itself = env::args().next().unwrap_or_default();
        let file = file.display().to_string();
        let own = [itself.as_str(), FLAG, work, &file];
        let bound = cores
            .filter(|_| has_taskset())
            .map(|cores| ["taskset", "-c", cores]);
        let words = bound.into_iter().flatten().chain(own);
        let mut words = words.map(str::to_owned);
        Self {
            program: words.next().unwrap_or_default(),
            arguments: words.collect(),
            is_silent: false,
        }
    }

    /// `wc -w`.
    pub(crate) fn words(file: &Path) -> Self {
        Self {
            program: "wc".to_owned(),
            arguments: vec!["-w".to_owned(), file.display().to_string()],
            is_silent: true,
        }
    }

    pub(crate) fn run(&self) -> Result<Took> {
        let started = Instant::now();
        let output = Command::new(&self.program)
            .args(&self.arguments)
            .stderr(Stdio::inherit())
            .output()?;
        let whole = started.elapsed();
        if !output.status.success() {
            return Err(format!("{} {:?} failed", self.program, self.arguments).into());
        }
        if self.is_silent {
            return Ok(Took {
                time: whole,
                sum: None,
            });
        }
        let text = String::from_utf8(output.stdout)?;
        let mut numbers = text.split_whitespace().map(str::parse);
        Ok(Took {
            time: Duration::from_nanos(numbers.next().ok_or("it printed nothing")??),
            sum: numbers.next().transpose()?,
        })
    }
}

fn has_taskset() -> bool {
    let found = Command::new("taskset").arg("--version").output();
    found.is_ok_and(|output| output.status.success())
}

/// Python's tiktoken, if there is one.
pub(crate) struct Python {
    program: String,
    script: String,
    ranks: String,
}

impl Python {
    pub(crate) fn find(folder: &Path) -> Result<Option<Self>> {
        let program = env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let import = Command::new(&program)
            .args(["-c", "import tiktoken"])
            .output();
        if !import.is_ok_and(|output| output.status.success()) {
            return Ok(None);
        }
        let Some(ranks) = ranks() else {
            return Ok(None);
        };
        let script = folder.join("tiktoken_counts.py");
        fs::write(&script, include_str!("tiktoken_counts.py"))?;
        Ok(Some(Self {
            program,
            script: script.display().to_string(),
            ranks: ranks.display().to_string(),
        }))
    }

    pub(crate) fn task(&self, file: &Path) -> Task {
        Task {
            program: self.program.clone(),
            arguments: vec![
                self.script.clone(),
                self.ranks.clone(),
                file.display().to_string(),
            ],
            is_silent: false,
        }
    }
}

/// The file with the ranks of `o200k_base`.
fn ranks() -> Option<PathBuf> {
    const NAME: &str = "o200k_base.tiktoken";
    if let Some(folder) = env::var_os("PACELINE_RANKS") {
        return Some(Path::new(&folder).join(NAME)).filter(|file| file.exists());
    }
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cargo")))?;
    let registries = fs::read_dir(home.join("registry/src")).ok()?.flatten();
    let packages = registries.filter_map(|registry| fs::read_dir(registry.path()).ok());
    let mut files = packages
        .flatten()
        .flatten()
        .filter(|package| {
            package
                .file_name()
                .to_string_lossy()
                .starts_with("tiktoken-rs-")
        })
        .map(|package| package.path().join("assets").join(NAME));
    files.find(|file| file.exists())
}

/// A child.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let [work, file] = arguments else {
        return Err("a work and a file are needed".into());
    };
    let encoding = Encoding::O200kBase;
    let started = Instant::now();
    let (took, sum) = match work.as_str() {
        "plan" => {
            encoding.preload();
            let started = Instant::now();
            let tokens = plan(file)?;
            (started.elapsed(), tokens)
        }
        "text" => {
            encoding.preload();
            let started = Instant::now();
            let tokens = encoding.count_reader(File::open(file)?)?;
            (started.elapsed(), tokens)
        }
        "short" => short(file, |text| encoding.count(text))?,
        "short-reference" => {
            let reference = tiktoken_rs::o200k_base_singleton();
            short(file, |text| reference.count_ordinary(text) as u64)?
        }
        "first" => {
            let tokens = encoding.count("tiktoken is great!");
            (started.elapsed(), tokens)
        }
        "load" => {
            encoding.preload();
            (started.elapsed(), 6)
        }
        "load-reference" => {
            tiktoken_rs::o200k_base_singleton();
            (started.elapsed(), 6)
        }
        other => return Err(format!("unknown work {other}").into()),
    };
    println!("{} {sum}", took.as_nanos());
    Ok(ExitCode::SUCCESS)
}

/// The tokens of the messages of a batch file.
fn plan(file: &str) -> Result<u64> {
    let limits = Limits::builder().tokens_per_minute(PLENTY);
    let client = RateLimitedClient::builder()
        .api_key("not-needed")
        .prompt_rule(paceline::tokens::PromptRule::Tokens)
        .limits(limits.build()?)
        .build()?;
    let plan = Run::new(client, Input::file(file)?).plan()?;
    if !plan.bad_lines.is_empty() {
        return Err(format!("{:?}", plan.bad_lines).into());
    }
    Ok(plan.prompt_tokens())
}

/// Counts 50,000 texts of 20 characters, ten times.
fn short(file: &str, count: impl Fn(&str) -> u64) -> Result<(Duration, u64)> {
    let text = fs::read_to_string(file)?;
    let characters: Vec<char> = text.chars().take(1_000_000).collect();
    let texts: Vec<String> = characters.chunks(20).map(String::from_iter).collect();
    count("warm up");
    let started = Instant::now();
    let sums = (0..10).map(|_| texts.iter().map(|text| count(text)).sum::<u64>());
    let sum = sums.sum();
    Ok((started.elapsed(), sum))
}
