//! `recapture`: the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    recapture::cli::main()
}
