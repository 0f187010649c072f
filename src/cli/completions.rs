//! `recapture completions` and `recapture man`: what a shell and `man` know of the commands, made from the commands.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::progress::say;
use super::{Cli, Failure, output};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture completions bash > /etc/bash_completion.d/recapture
  recapture completions zsh > ~/.zfunc/_recapture
  recapture completions fish > ~/.config/fish/completions/recapture.fish")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture man --to /usr/local/share/man/man1
  recapture man --to man && man -l man/recapture-recover.1")]
pub(super) struct Man {
    /// The folder to write them to; it is made
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

pub(super) fn completions(arguments: &Completions) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "recapture", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(output::done())
}

/// Writes a page for the program and one for each of its commands.
pub(super) fn man(arguments: &Man) -> Result<ExitCode, Failure> {
    let folder = &arguments.to;
    let could_not =
        |error| Failure::CouldNotRun(format!("{} cannot be written to: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(could_not)?;
    let mut program = Cli::command();
    // Names each page, and the heading in it, by the whole command: recapture-buffer-purge.
    program.build();
    let pages = write(&program, folder).map_err(could_not)?;
    say(&format!("{pages} pages are in {}; `man -l` shows one", folder.display()));
    Ok(output::done())
}

fn write(command: &clap::Command, folder: &Path) -> std::io::Result<usize> {
    let page =
        clap_mangen::Man::new(command.clone()).source(concat!("recapture ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render(&mut text)?;
    std::fs::write(folder.join(page.get_filename()), text)?;
    let below =
        command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help");
    below.map(|command| write(command, folder)).try_fold(1, |pages, more| Ok(pages + more?))
}
