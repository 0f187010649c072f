//! `recapture config`: the effective configuration, secrets masked, with where each value came from.

use std::fmt::Write;
use std::process::ExitCode;

use recapture_core::config::Loaded;

use super::{Failure, output};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture config
  recapture config --config recapture.toml --set zoom.plan=business --json")]
pub(super) struct Arguments {
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, loaded: &Loaded) -> Result<ExitCode, Failure> {
    let rows = loaded.describe();
    if arguments.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| serde_json::json!({"key": row.key, "value": row.value, "origin": row.origin}))
            .collect();
        output::print_json(&rows)?;
        return Ok(output::done());
    }
    let width = |of: fn(&recapture_core::config::Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let (keys, values) =
        (width(|row| row.key.chars().count()), width(|row| row.value.chars().count()).min(60));
    let mut text = String::new();
    for row in &rows {
        let _ = writeln!(text, "{:keys$}  {:values$}  {}", row.key, row.value, row.origin);
    }
    output::print(&text)?;
    Ok(output::done())
}
