//! What is generated from the options: completions for shells, and the manual page.

use std::{io, path::PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{
    Cli,
    failure::{Failure, of_stdout},
};

/// `wireroom completions bash > /usr/share/bash-completion/completions/wireroom`
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// Which shell.
    shell: Shell,
}

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The page of one command; without it that of the program.
    command: Option<String>,
    /// Write all pages into this directory, as wireroom.1, wireroom-connect.1 and so on.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "command")]
    directory: Option<PathBuf>,
}

pub(crate) fn completions(options: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "wireroom", &mut script);
    write(&script)
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if let Some(directory) = &options.directory {
        return clap_mangen::generate_to(Cli::command(), directory)
            .map_err(|error| Failure::here(format_args!("{}: {}", directory.display(), crate::dial::plain(&error))));
    }
    let mut whole = Cli::command();
    whole.build();
    let command = match &options.command {
        None => whole,
        Some(name) => whole
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| Failure::usage(format_args!("{name:?} is no command of wireroom")))?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    write(&page)
}

fn write(bytes: &[u8]) -> Result<(), Failure> {
    io::Write::write_all(&mut io::stdout(), bytes).or_else(|error| of_stdout(&error))
}
