//! `completions`.

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};
use crate::console;

/// Writes the script; made in memory first, since the generator panics where a pipe is closed.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "syncline", &mut script);
    console::result(String::from_utf8_lossy(&script).trim_end())
}
