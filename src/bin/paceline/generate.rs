//! Completions and manual pages, made from the flags.

use std::fs;
use std::path::Path;

use clap_complete::Shell;
use clap_mangen::Man;
use paceline::{Error, Result};

use crate::args;
use crate::exit::Exit;
use crate::say::{self, say};

/// Prints the completions of a shell.
pub(crate) fn completions(shell: Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "paceline", &mut script);
    say::data(&String::from_utf8_lossy(&script)).map(|()| Exit::Success)
}

/// Writes a page for the command, and one for each of its commands.
pub(crate) fn manual(folder: &Path) -> Result<Exit> {
    let mut command = args::command();
    command.build();
    let commands = command
        .get_subcommands()
        .filter(|it| it.get_name() != "help");
    let commands = commands.map(|it| (format!("paceline-{}", it.get_name()), it.clone()));
    let mut pages: Vec<_> = commands.collect();
    pages.push(("paceline".to_owned(), command));
    for (name, command) in pages {
        let path = folder.join(format!("{name}.1"));
        let mut page = Vec::new();
        let made = Man::new(command.display_name(&name)).render(&mut page);
        made.and_then(|()| fs::write(&path, page))
            .map_err(|source| Error::Io {
                path: path.clone(),
                source,
            })?;
        say!("{}", path.display());
    }
    Ok(Exit::Success)
}
