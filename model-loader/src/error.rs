//! One error type for everything that can be wrong with a model on disk.
//!
//! A message names the file, the tensor or key, what was found and what was expected, and ends with one next command.
//! It never has more than six lines, and nothing read from a file reaches a terminal unescaped.

use std::fmt;
use std::path::Path;

/// Short for results of this crate.
pub type Result<T, E = LoadError> = std::result::Result<T, E>;

/// Coarse class of an error; its number is the exit code of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The input file is unreadable, broken, incomplete or of another format.
    BadFile,
    /// The file is sound, but it is not the model that was asked for.
    ModelMismatch,
}

impl ErrorCode {
    /// Exit status of the command line for this class.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorCode::BadFile => 3,
            ErrorCode::ModelMismatch => 4,
        }
    }
}

/// What a message says, field by field. All fields are escaped when printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// The file or directory.
    pub file: String,
    /// Tensor name or configuration key, where one is concerned.
    pub item: Option<String>,
    /// What is wrong, in one sentence without a full stop.
    pub problem: String,
    /// What the file holds.
    pub found: Option<String>,
    /// What it should hold.
    pub expected: Option<String>,
    /// One command or action to try next.
    pub next: Option<String>,
}

impl Detail {
    /// A message about `file`.
    pub fn new(file: impl Into<String>, problem: impl Into<String>) -> Self {
        Detail { file: file.into(), problem: problem.into(), ..Detail::default() }
    }

    /// Names the tensor or key.
    pub fn item(mut self, item: impl Into<String>) -> Self {
        self.item = Some(item.into());
        self
    }

    /// Says what was found.
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// Says what was expected.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says what to do next.
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", escaped(&self.file, 300), escaped(&self.problem, 400))?;
        let rows = [
            ("at", &self.item, 300),
            ("found", &self.found, 1200),
            ("expected", &self.expected, 1200),
            ("next", &self.next, 400),
        ];
        for (label, text, limit) in rows {
            if let Some(text) = text {
                write!(f, "\n  {label}: {}", escaped(text, limit))?;
            }
        }
        Ok(())
    }
}

/// Everything that can go wrong while a model is read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A path does not exist.
    #[error("{0}")]
    NotFound(Box<Detail>),
    /// The operating system refused a read.
    #[error("{detail}")]
    Io {
        /// The message.
        detail: Box<Detail>,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is of another format: LFS pointer, pickle, GGUF, a web page and so on.
    #[error("{0}")]
    WrongFormat(Box<Detail>),
    /// The file ends before its header says it should, or is empty.
    #[error("{0}")]
    Truncated(Box<Detail>),
    /// The header of a safetensors file breaks the format.
    #[error("{0}")]
    BadHeader(Box<Detail>),
    /// One tensor entry of a safetensors file breaks the format.
    #[error("{0}")]
    BadTensor(Box<Detail>),
    /// A tensor holds NaN or infinite values.
    #[error("{0}")]
    NonFinite(Box<Detail>),
    /// The index of a sharded checkpoint and its shards do not fit together.
    #[error("{0}")]
    BadShards(Box<Detail>),
    /// A JSON file cannot be parsed.
    #[error("{0}")]
    BadJson(Box<Detail>),
    /// A model directory lacks a part.
    #[error("{0}")]
    BadLayout(Box<Detail>),
    /// Vocabulary or merges cannot be used.
    #[error("{0}")]
    BadTokenizer(Box<Detail>),
    /// The file changed its length while it was open.
    #[error("{0}")]
    Changed(Box<Detail>),
    /// A configuration asks for something this engine does not implement.
    #[error("{0}")]
    UnsupportedConfig(Box<Detail>),
    /// A tensor that the model needs is not in the file.
    #[error("{0}")]
    MissingTensor(Box<Detail>),
    /// A tensor has another shape than the model needs.
    #[error("{0}")]
    WrongShape(Box<Detail>),
    /// A tensor has an element type that weights cannot have.
    #[error("{0}")]
    WrongDtype(Box<Detail>),
    /// Tensors of the file were neither used nor ignored with a reason, or some were missing.
    #[error("{0}")]
    Unaccounted(Box<Detail>),
}

impl LoadError {
    /// Class of the error.
    pub fn code(&self) -> ErrorCode {
        use LoadError::*;
        match self {
            UnsupportedConfig(_) | MissingTensor(_) | WrongShape(_) | WrongDtype(_) | Unaccounted(_) => {
                ErrorCode::ModelMismatch
            }
            _ => ErrorCode::BadFile,
        }
    }

    /// The fields of the message.
    pub fn detail(&self) -> &Detail {
        use LoadError::*;
        match self {
            Io { detail, .. } => detail,
            NotFound(d) | WrongFormat(d) | Truncated(d) | BadHeader(d) | BadTensor(d) | NonFinite(d) | BadShards(d)
            | BadJson(d) | BadLayout(d) | BadTokenizer(d) | Changed(d) | UnsupportedConfig(d) | MissingTensor(d)
            | WrongShape(d) | WrongDtype(d) | Unaccounted(d) => d,
        }
    }

    /// Wraps a failed read of `path`.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        let file = path.display().to_string();
        if source.kind() == std::io::ErrorKind::NotFound {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            return LoadError::NotFound(Box::new(
                Detail::new(file, "there is no such file or directory").next(format!("ls {}", parent.display())),
            ));
        }
        let detail = Detail::new(file, "cannot be read")
            .found(source.to_string())
            .expected("a readable file")
            .next(format!("ls -l {}", path.display()));
        LoadError::Io { detail: Box::new(detail), source }
    }
}

/// Text from a file, safe to print: control and direction-changing characters as escapes, at most `limit` characters.
pub fn escaped(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for (i, c) in text.chars().enumerate() {
        if i == limit {
            out.push('…');
            break;
        }
        // Bidirectional overrides can make a name look like another one, so they are shown like control characters.
        let hidden =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || hidden {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_control_and_direction_characters() {
        assert_eq!(escaped("a\x1b[2Jb\nc\u{202e}d", 100), "a\\u{1b}[2Jb\\nc\\u{202e}d");
        assert_eq!(escaped("abcdef", 3), "abc…");
    }

    #[test]
    fn a_message_has_at_most_six_lines() {
        let detail = Detail::new("f\n\n", "p\n").item("i\n").found("x\ny").expected("z\r\n").next("ls\n");
        assert_eq!(detail.to_string().lines().count(), 5);
    }

    #[test]
    fn codes_are_exit_statuses() {
        assert_eq!(ErrorCode::BadFile.exit_code(), 3);
        assert_eq!(ErrorCode::ModelMismatch.exit_code(), 4);
        let missing = LoadError::io(Path::new("nowhere/x"), std::io::ErrorKind::NotFound.into());
        assert!(matches!(missing, LoadError::NotFound(_)));
        assert_eq!(missing.code(), ErrorCode::BadFile);
    }
}
