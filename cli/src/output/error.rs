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
    /// Replacing a folder would take something away that is not made again.
    #[error(
        "{folder} holds something that would not be written again: '{what}'; remove it, or choose another place with -o"
    )]
    WouldLose {
        /// The folder, or what is in its place.
        folder: PathBuf,
        /// A file in it.
        what: PathBuf,
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
    /// An encoder refused the picture.
    #[error("the picture cannot be a .{format} file: {reason}; choose another format or a smaller --size")]
    Encode {
        /// Extension of the format.
        format: &'static str,
        /// The encoder's reason.
        reason: String,
    },
    /// A name that says no format.
    #[error("{path}: found {found}, expected .png, .jpg, .exr, .hdr or .ktx2 at its end; give such a name with -o")]
    NoFormat {
        /// The path given.
        path: PathBuf,
        /// Its end.
        found: String,
    },
    /// A layout or format that the consumer does not take.
    #[error("{consumer} takes {accepted}, found {found}; give one of these with --layout and the end of -o")]
    NotTaken {
        /// `--for`'s value, or what stands for none.
        consumer: String,
        /// What it takes.
        accepted: String,
        /// What was asked for.
        found: String,
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
            OutputError::NoFormat { .. } | OutputError::NotTaken { .. } => 2,
            OutputError::Io { .. }
            | OutputError::NoFolder { .. }
            | OutputError::NotFolder { .. }
            | OutputError::IsFolder { .. }
            | OutputError::NoName { .. }
            | OutputError::WouldLose { .. }
            | OutputError::Encode { .. }
            | OutputError::NoFreeName { .. } => 9,
        }
    }
}
