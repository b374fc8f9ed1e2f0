//! The `syncline` command: files and flags in, files out.
//!
//! Result paths go to stdout, everything else to stderr. Exit codes: see [`mod@exit`].

mod args;
mod commands;
mod console;
mod device;
mod examples;
mod exit;
mod input;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            if e.use_stderr() && std::env::args_os().any(|arg| arg == "--json") {
                let text = e.render().to_string();
                let message = text.trim_start_matches("error: ").trim_end_matches("try '--help'.\n");
                let message = message.trim_end_matches("For more information, ").trim();
                return exit::report(true, &exit::Failure::usage(message).into());
            }
            // Help and version are no failures. A closed pipe cannot be reported anywhere.
            let _ = e.print();
            return if e.use_stderr() { ExitCode::from(exit::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    progress::init_logging(&cli.global);
    let result = match &cli.command {
        Command::Txt2img(args) => commands::images::txt2img(&cli.global, args),
        Command::Img2img(args) => commands::images::img2img(&cli.global, args),
        Command::Rerun(args) => commands::rerun::run(&cli.global, args),
        Command::Panorama(args) => commands::panorama::run(&cli.global, args),
        Command::Sphere(args) => commands::panorama::sphere(&cli.global, args),
        Command::Tile(args) => commands::flat::tile(&cli.global, args),
        Command::Torus(args) => commands::flat::torus(&cli.global, args),
        Command::Inpaint(args) => commands::inpaint::run(&cli.global, args),
        Command::Edit(args) => commands::edit::run(&cli.global, args),
        Command::EditSet(args) => commands::edit_set::run(&cli.global, args),
        Command::Reproject(args) => commands::reproject::run(&cli.global, args),
        Command::Pair(args) => commands::pair::run(&cli.global, args),
        Command::Ablation(args) => commands::ablation::run(&cli.global, args),
        Command::ContactSheet(args) => commands::contact_sheet::run(&cli.global, args),
        Command::Metrics(args) => commands::metrics::run(&cli.global, args),
        Command::Verify(args) => commands::verify::run(&cli.global, args),
        Command::Bench(args) => commands::bench::run(&cli.global, args),
        Command::Devices(args) => commands::devices::run(&cli.global, args),
        Command::Inspect(args) => commands::inspect::run(&cli.global, args),
        Command::Completions(args) => commands::completions::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(cli.global.json, &error),
    }
}
