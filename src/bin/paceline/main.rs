//! The `paceline` command: a thin face over the library's public API.

mod advice; //   what can be typed when a run cannot begin
mod args; //     what may be said on the command line
mod ask; //      `paceline limits`
mod check; //    models of flags, against those of the input
mod clients; //  clients of `paceline serve`
mod config; //   flags from a file, and where each flag comes from
mod count; //    `paceline count`
mod descriptors; // the limit of open files
mod display; //  where a run stands, on standard error
mod enforced; // from a table of limits to what the simulator enforces
mod eta; //      how long a run still takes
mod exit; //     exit statuses, and errors as one line
mod extract; //  rows with their answers
mod files; //    the files of a run, held against one another
mod generate; // completions and manual pages
mod held; //     what holds a run back
mod in_flight; // what caps the requests in flight, in words
mod input; //    what is run, from flags
mod limits; //   limits from flags and files
mod logger; //   the library's log, on standard error
mod mask; //     keys, kept off the screen
mod mistake; //  a flag that cannot be used
mod models; //   how models are counted, from a file
mod names; //    names of files that a run writes
mod notice; //   what a run has to say while it runs
mod numbers; //  numbers as people read them
mod pace; //     how fast a run goes
mod plain; //    text from elsewhere, safe for a terminal
mod plan; //     `paceline run --dry-run`, and the table of `paceline count`
mod prompt; //   what makes requests of rows, from flags
mod reasons; //  why requests fail, in words
mod report; //   `--report`: a run as a page
mod run; //      `paceline run`
mod say; //      words on standard error, results on standard output
mod serve; //    `paceline serve`
mod server; //   the API to talk to
mod several; //  one input over several models
#[cfg(feature = "redis")]
mod share; //    limits shared over a store
mod signals; //  Ctrl-C, SIGTERM and SIGHUP
mod simulate; // `paceline simulate`, and the simulator behind `run --simulate`
mod status; //   `paceline status`
mod summary; //  the end of a run, for people and for programs
mod utc; //      the time of day

use std::env;
use std::process::ExitCode;

use args::Command;
use exit::Exit;

fn main() -> ExitCode {
    let arguments = match config::arguments(&env::args_os().collect::<Vec<_>>()) {
        Ok(arguments) => arguments,
        Err(exit) => return exit.into(),
    };
    say::set_style(say::Style {
        format: arguments.log_format,
        is_quiet: arguments.quiet,
    });
    logger::install(arguments.verbose);
    descriptors::raise();
    signals::outlive_limits();
    let config = arguments.config;
    let result = match arguments.command {
        Command::Run(mut arguments) => {
            names::carry_part(&mut arguments);
            several::run(&mut arguments)
        }
        Command::Extract(arguments) => extract::extract(&arguments),
        Command::Serve(arguments) => serve::serve(&arguments, config.as_deref()),
        Command::Status(arguments) => status::status(&arguments),
        Command::Simulate(arguments) => simulate::simulate(&arguments),
        Command::Count(arguments) => count::count(&arguments),
        Command::Limits(arguments) => ask::ask(&arguments),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man { folder } => generate::manual(&folder),
    };
    let exit = result.unwrap_or_else(|error| Exit::of_error(&error));
    log::logger().flush();
    exit.into()
}
