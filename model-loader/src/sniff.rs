//! What a file really is, from its first bytes: most "corrupt model" reports are pointers, pickles or web pages.

use std::path::Path;

use crate::error::{Detail, LoadError, Result, escaped};

/// Real format of a file that was offered as weights.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// Plausibly safetensors: a header length that fits, and `{`.
    Safetensors,
    /// A Git LFS pointer and the size of the file it stands for.
    LfsPointer {
        /// Bytes of the real file, when the pointer says so.
        size: Option<u64>,
    },
    /// A zip archive, as PyTorch writes checkpoints.
    PickleZip,
    /// A bare pickle stream.
    Pickle,
    /// llama.cpp's formats.
    Gguf,
    /// HDF5, as Keras writes weights.
    Hdf5,
    /// A NumPy array.
    Npy,
    /// A compressed archive of the named kind.
    Archive(&'static str),
    /// A picture.
    Picture,
    /// A saved web page.
    Html,
    /// A JSON text.
    Json,
    /// Some other text; its first line.
    Text(String),
    /// No bytes at all.
    Empty,
    /// Nothing but zeros.
    Zeros,
    /// Too few bytes for any header.
    Short,
    /// Starts like safetensors, but the header does not end within the file.
    CutHeader,
    /// None of these.
    Unknown,
}

const MAGICS: [(&[u8], FileKind); 17] = [
    (b"PK\x03\x04", FileKind::PickleZip),
    (b"PK\x05\x06", FileKind::PickleZip),
    (b"\x80\x02", FileKind::Pickle),
    (b"\x80\x03", FileKind::Pickle),
    (b"\x80\x04", FileKind::Pickle),
    (b"\x80\x05", FileKind::Pickle),
    (b"GGUF", FileKind::Gguf),
    (b"tjgg", FileKind::Gguf),
    (b"lmgg", FileKind::Gguf),
    (b"\x89HDF\r\n", FileKind::Hdf5),
    (b"\x93NUMPY", FileKind::Npy),
    (b"7z\xbc\xaf\x27\x1c", FileKind::Archive("7-Zip")),
    (b"\x1f\x8b", FileKind::Archive("gzip")),
    (b"\x28\xb5\x2f\xfd", FileKind::Archive("zstd")),
    (b"Rar!", FileKind::Archive("RAR")),
    (b"\x89PNG", FileKind::Picture),
    (b"\xff\xd8\xff", FileKind::Picture),
];

/// Recognises `bytes`, of which the first 8 KiB are enough together with the whole length.
pub fn sniff(bytes: &[u8]) -> FileKind {
    if bytes.is_empty() {
        return FileKind::Empty;
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return FileKind::LfsPointer { size: lfs_size(bytes) };
    }
    let head = bytes.get(..8192).unwrap_or(bytes);
    if let Some((length, rest)) = head.split_first_chunk::<8>() {
        // A valid header length can look like a pickle's first two bytes, so this comes first. Blanks before the brace are
        // against the format, but the header's own check says so better than "unknown".
        let length = u64::from_le_bytes(*length);
        let fits = length <= bytes.len() as u64 - 8;
        if rest.trim_ascii_start().first() == Some(&b'{') && length <= crate::header::MAX_HEADER {
            return if fits { FileKind::Safetensors } else { FileKind::CutHeader };
        }
    }
    if let Some((_, kind)) = MAGICS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return kind.clone();
    }
    if head.iter().all(|b| *b == 0) {
        return FileKind::Zeros;
    }
    text_kind(head).unwrap_or(if bytes.len() < 16 { FileKind::Short } else { FileKind::Unknown })
}

fn lfs_size(bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes.get(..1024).unwrap_or(bytes)).ok()?;
    text.lines().find_map(|line| line.strip_prefix("size ")).and_then(|n| n.trim().parse().ok())
}

fn text_kind(head: &[u8]) -> Option<FileKind> {
    // A multi-byte character may be cut at the end of the window.
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(e) if e.valid_up_to() + 4 > head.len() => std::str::from_utf8(head.get(..e.valid_up_to())?).ok()?,
        Err(_) => return None,
    };
    let trimmed = text.trim_start_matches('\u{feff}').trim_start();
    let start: String = trimmed.chars().take(16).collect::<String>().to_ascii_lowercase();
    if ["<!doctype", "<html", "<?xml", "<head", "<body", "<script"].iter().any(|tag| start.starts_with(tag)) {
        return Some(FileKind::Html);
    }
    if start.starts_with('{') || start.starts_with('[') {
        return Some(FileKind::Json);
    }
    let printable = !trimmed.is_empty() && !trimmed.chars().any(|c| c.is_control() && !c.is_whitespace());
    printable.then(|| FileKind::Text(trimmed.lines().next().unwrap_or("").chars().take(80).collect()))
}

impl FileKind {
    /// In words, for messages and reports.
    pub fn describe(&self) -> String {
        match self {
            FileKind::Safetensors => "safetensors".into(),
            FileKind::LfsPointer { size: Some(size) } => {
                format!("a Git LFS pointer to a file of {size} bytes, not the file itself")
            }
            FileKind::LfsPointer { size: None } => "a Git LFS pointer, not the file itself".into(),
            FileKind::PickleZip => "a zip archive, most likely a PyTorch pickle checkpoint".into(),
            FileKind::Pickle => "a Python pickle".into(),
            FileKind::Gguf => "a GGUF/GGML file".into(),
            FileKind::Hdf5 => "an HDF5 file".into(),
            FileKind::Npy => "a NumPy array".into(),
            FileKind::Archive(kind) => format!("a {kind} archive"),
            FileKind::Picture => "a picture".into(),
            FileKind::Html => "a web page, most likely an error or login page saved under this name".into(),
            FileKind::Json => "a JSON text".into(),
            FileKind::Text(line) => format!("a text that begins \"{}\"", escaped(line, 80)),
            FileKind::Empty => "no bytes at all".into(),
            FileKind::Zeros => "only zero bytes, most likely an unfinished download".into(),
            FileKind::Short => "fewer than 16 bytes".into(),
            FileKind::CutHeader => "a safetensors header that does not end within the file".into(),
            FileKind::Unknown => "bytes of no known weight format".into(),
        }
    }

    fn advice(&self, file: &str) -> String {
        match self {
            FileKind::LfsPointer { .. } => {
                format!("git lfs pull --include \"{}\"", base_name(file))
            }
            FileKind::PickleZip | FileKind::Pickle => {
                "get the .safetensors file of this model; pickles can run code and are never loaded".into()
            }
            FileKind::Gguf => "get the .safetensors file of this model; quantised GGUF is not supported".into(),
            FileKind::Html | FileKind::Text(_) => {
                format!("open {file} in an editor, then download it again")
            }
            FileKind::Archive(_) => format!("unpack {file} and pass the .safetensors file in it"),
            FileKind::Json => format!("pass the model directory or a .safetensors file instead of {}", base_name(file)),
            FileKind::Hdf5 | FileKind::Npy | FileKind::Picture => "pass a .safetensors file".into(),
            _ => format!("download {} again and compare its size", base_name(file)),
        }
    }

    /// Ok for safetensors, else the error that says what the file is.
    pub fn require_safetensors(&self, file: &str, length: usize) -> Result<()> {
        let detail = |problem: &str| {
            let detail = Detail::new(file, problem).found(format!("{}, {length} bytes in all", self.describe()));
            detail.expected("a safetensors file").next(self.advice(file))
        };
        match self {
            FileKind::Safetensors => Ok(()),
            FileKind::Empty | FileKind::Zeros | FileKind::Short | FileKind::CutHeader => {
                Err(LoadError::Truncated(Box::new(detail("the file is incomplete"))))
            }
            _ => Err(LoadError::WrongFormat(Box::new(detail("not a safetensors file")))),
        }
    }
}

fn base_name(file: &str) -> &str {
    file.rsplit(['/', '\\']).next().unwrap_or(file)
}

/// The unfinished download beside `path`, if a downloader left one.
pub fn unfinished_neighbour(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let endings = ["incomplete", "aria2", "part", "crdownload", "download", "tmp"];
    endings.iter().map(|e| format!("{name}.{e}")).find(|n| path.with_file_name(n).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(length: u64, rest: &str) -> Vec<u8> {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(rest.as_bytes());
        bytes
    }

    #[test]
    fn recognises_what_people_mistake_for_weights() {
        let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3463726504\n";
        assert_eq!(sniff(lfs), FileKind::LfsPointer { size: Some(3_463_726_504) });
        assert_eq!(sniff(b"PK\x03\x04rest of the archive"), FileKind::PickleZip);
        assert_eq!(sniff(b"\x80\x02}q\x00(X\x0a\x00\x00\x00state_dict"), FileKind::Pickle);
        assert_eq!(sniff(b"GGUF\x03\x00\x00\x00lots and lots"), FileKind::Gguf);
        assert_eq!(sniff(b"\n\n <!DOCTYPE html><html>"), FileKind::Html);
        assert_eq!(sniff("\u{feff}<HTML>".as_bytes()), FileKind::Html);
        assert_eq!(sniff(b"{\"error\":\"gated\"}"), FileKind::Json);
        assert_eq!(sniff(b"Entry not found"), FileKind::Text("Entry not found".into()));
        assert_eq!(sniff(b""), FileKind::Empty);
        assert_eq!(sniff(&[0; 4096]), FileKind::Zeros);
        assert_eq!(sniff(&[1, 2, 3]), FileKind::Short);
        assert_eq!(sniff(&[0xfe; 64]), FileKind::Unknown);
    }

    #[test]
    fn a_header_length_that_looks_like_a_pickle_is_still_safetensors() {
        let text = format!("{{{}", " ".repeat(0x280 - 1));
        assert_eq!(sniff(&file(0x280, &text)), FileKind::Safetensors);
        assert_eq!(sniff(&file(0x281, &text)), FileKind::CutHeader);
    }
}
