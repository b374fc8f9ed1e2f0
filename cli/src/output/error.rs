//! What can go wrong with an output file.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An output that was not written, or a picture whose embedded data could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The file system said no.
    #[error("cannot {during} {path}: {reason}; nothing was left behind, choose another place with -o")]
    Io {
        /// What was being done, as an infinitive.
        during: &'static str,
        /// The output path.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// The folder of the output does not exist.
    #[error("the folder {folder} does not exist; make it with: mkdir -p '{folder}'")]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// What should be the output's folder is a file.
    #[error("{folder} is no folder, so {path} cannot be in it; choose another place with -o")]
    NotFolder {
        /// The path given.
        path: PathBuf,
        /// The part of it that is something else.
        folder: PathBuf,
    },
    /// The output path is a folder.
    #[error("{path} is a folder; give a file in it, such as -o '{example}'")]
    IsFolder {
        /// The path given.
        path: PathBuf,
        /// A file name in it.
        example: PathBuf,
    },
    /// The output path ends in `..` or `/`.
    #[error("'{path}' names no file; give one, such as -o picture.png")]
    NoName {
        /// The path given.
        path: PathBuf,
    },
    /// `name.png`, `name_2.png` … all exist.
    #[error("{path} and {tried} numbered names after it exist; choose another name, or overwrite with --force")]
    NoFreeName {
        /// The path given.
        path: PathBuf,
        /// How many names were tried.
        tried: u32,
    },
    /// A picture with NaN or infinity in it is never written.
    #[error(
        "numeric failure: {count} of {total} picture values are NaN or infinite, the first at x {x}, y {y}; no file was written, try --precision f32"
    )]
    NonFinite {
        /// How many values.
        count: usize,
        /// Of how many.
        total: usize,
        /// Column of the first.
        x: usize,
        /// Row of the first.
        y: usize,
    },
    /// Not a PNG, or a broken one.
    #[error("{path} could not be read as a PNG: {reason}")]
    NotPng {
        /// The file.
        path: PathBuf,
        /// The decoder's reason.
        reason: String,
    },
}

impl OutputError {
    /// The command's exit status for this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            OutputError::NotPng { .. } => 3,
            OutputError::NonFinite { .. } => 8,
            OutputError::Io { .. }
            | OutputError::NoFolder { .. }
            | OutputError::NotFolder { .. }
            | OutputError::IsFolder { .. }
            | OutputError::NoName { .. }
            | OutputError::NoFreeName { .. } => 9,
        }
    }
}
