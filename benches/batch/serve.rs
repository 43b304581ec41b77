//! The server: this program once more, which answers at once and without limits.

use std::env;
use std::io::{BufRead, BufReader, Read, stdin};
use std::process::{Child, Command, ExitCode, Stdio};

use paceline::sim::{SimConfig, SimLimits, Simulator};

use crate::Result;

pub(crate) const FLAG: &str = "--serve";

/// Serves until standard input ends, which it does with the process that holds it.
pub(crate) fn serve() -> Result<ExitCode> {
    let simulator = Simulator::start(SimConfig::new().default_limits(SimLimits::default()))?;
    println!("{}", simulator.base_url());
    stdin().read_to_end(&mut Vec::new())?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) struct Server {
    child: Child,
    url: String,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .arg(FLAG)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        let said = child.stdout.take().ok_or("no standard output")?;
        BufReader::new(said).read_line(&mut url)?;
        let url = url.trim().to_owned();
        Ok(Self { child, url })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
