//! `recapture`: the command line.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A meeting is some thousands of small pieces of memory, made on one thread and given back on another: the system's own
/// allocator takes a tenth of the processor time for them.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    recapture::cli::main()
}
