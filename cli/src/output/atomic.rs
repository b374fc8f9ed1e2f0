//! Files that appear whole or not at all: temporary file in the same folder, write, flush to disk, rename, flush the
//! folder. A crash or a full disk at any moment leaves the old state.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{Builder, NamedTempFile};

use super::error::OutputError;

/// Last number tried after a taken name: `picture.png`, `picture_2.png` … `picture_9999.png`.
pub(super) const LAST_NUMBER: u32 = 9999;

/// Windows refuses to replace a file that a viewer or a virus scanner holds open for a moment.
const RENAME_ATTEMPTS: u32 = if cfg!(windows) { 10 } else { 1 };

/// An output path that has been checked: its folder exists and can be written to.
#[derive(Debug, Clone)]
pub struct Target {
    path: PathBuf,
    folder: PathBuf,
    force: bool,
}

impl Target {
    /// Checks `path` before the work starts, by making and removing a temporary file next to it. With `force` an
    /// existing file will be replaced, otherwise the output gets the next free number.
    ///
    /// # Errors
    /// When the folder is missing or not writable, or `path` is a folder.
    pub fn check(path: &Path, force: bool) -> Result<Self, OutputError> {
        let folder = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
            Some(parent) => parent.to_owned(),
            None => return Err(OutputError::NoName { path: path.to_owned() }),
        };
        if path.is_dir() {
            return Err(OutputError::IsFolder { path: path.to_owned(), example: path.join("picture.png") });
        }
        if path.file_name().is_none() || path.as_os_str().to_string_lossy().ends_with(std::path::is_separator) {
            return Err(OutputError::NoName { path: path.to_owned() });
        }
        if !folder.is_dir() {
            let path = path.to_owned();
            let exists = folder.exists();
            return Err(if exists {
                OutputError::NotFolder { path, folder }
            } else {
                OutputError::NoFolder { folder }
            });
        }
        let target = Self { path: path.to_owned(), folder, force };
        target.temporary().and_then(NamedTempFile::close).map_err(|e| target.io("write to the folder of", e))?;
        Ok(target)
    }

    /// Writes the file with `write` and returns its real path: `path` itself, or with a number where that existed.
    ///
    /// # Errors
    /// When `write` fails or the disk does; then neither the output nor the temporary file exists.
    pub fn write(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<PathBuf, OutputError> {
        let mut file = self.temporary().map_err(|e| self.io("make a file next to", e))?;
        let mut buffered = BufWriter::new(&mut file);
        write(&mut buffered).and_then(|()| buffered.flush()).map_err(|e| self.io("write", e))?;
        drop(buffered);
        file.as_file().sync_all().map_err(|e| self.io("flush to disk", e))?;
        let written = if self.force { self.replace(file)? } else { self.take_free_name(file)? };
        sync_folder(&self.folder).map_err(|e| self.io("flush the folder of", e))?;
        Ok(written)
    }

    pub(super) fn temporary(&self) -> io::Result<NamedTempFile> {
        let mut builder = Builder::new();
        builder.prefix(".syncline-").suffix(".tmp");
        #[cfg(unix)]
        {
            // The user's umask decides who may read the picture, as for any other file; tempfile's default is 0600.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        builder.tempfile_in(&self.folder)
    }

    fn replace(&self, mut file: NamedTempFile) -> Result<PathBuf, OutputError> {
        let mut attempt = 1;
        loop {
            match file.persist(&self.path) {
                Ok(_) => return Ok(self.path.clone()),
                Err(refused) if attempt < RENAME_ATTEMPTS => {
                    file = refused.file;
                    std::thread::sleep(Duration::from_millis(20 * u64::from(attempt)));
                    attempt += 1;
                }
                Err(refused) => return Err(self.io("replace", refused.error)),
            }
        }
    }

    /// Renames to the first name that does not exist. The system refuses taken names itself, so two commands that run
    /// at once cannot overwrite each other.
    fn take_free_name(&self, mut file: NamedTempFile) -> Result<PathBuf, OutputError> {
        for number in 1..=LAST_NUMBER {
            let path = self.numbered(number);
            match file.persist_noclobber(&path) {
                Ok(_) => return Ok(path),
                Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => file = refused.file,
                Err(refused) => return Err(self.io("name", refused.error)),
            }
        }
        Err(OutputError::NoFreeName { path: self.path.clone(), tried: LAST_NUMBER - 1 })
    }

    fn numbered(&self, number: u32) -> PathBuf {
        if number == 1 {
            return self.path.clone();
        }
        let mut name = self.path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("_{number}"));
        if let Some(extension) = self.path.extension() {
            name.push(".");
            name.push(extension);
        }
        self.path.with_file_name(name)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn io(&self, during: &'static str, reason: io::Error) -> OutputError {
        OutputError::Io { during, path: self.path.clone(), reason }
    }
}

/// The rename itself is on disk only when its folder is. Windows has no such call; some network file systems refuse it.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
#[path = "atomic_tests.rs"]
mod tests;
