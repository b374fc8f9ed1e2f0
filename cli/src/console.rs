//! Lines on the two streams: results on stdout, everything else on stderr.
//!
//! A reader that has gone away (`syncline devices | head -1`) wants no more lines; that stops no job and is no failure.

use std::fmt::Display;
use std::io::{self, Write};

use crate::exit::Failure;

/// One line of the result.
///
/// # Errors
/// With code 9 when stdout is a file on a full disk, for example.
pub fn result(line: impl Display) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure { code: 9, message: format!("cannot write to standard output: {e}") }.into())
        }
        _ => Ok(()),
    }
}

/// One line for the person in front of it. When that cannot be shown there is nowhere left to say so.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Text out of a file, safe on a terminal: control characters but line ends and tabs as escapes.
pub fn escaped(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let cells = line.split('\t').map(|cell| syncline_loader::escaped(cell, usize::MAX));
        cells.collect::<Vec<_>>().join("\t")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(escaped("a\x1b[2J\tb\r\nSteps: 1"), "a\\u{1b}[2J\tb\\r\nSteps: 1");
    }
}
