//! Files that appear whole or not at all: temporary file in the same folder, without a name where the system can, write, flush
//! to disk, name, flush the folder. A crash or a full disk at any moment leaves the old state.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{Builder, NamedTempFile};

use super::error::OutputError;
use super::unnamed;

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
        // A file without a name is proof enough, and gone by itself.
        if unnamed::create(&target.folder).is_none() {
            target.temporary().and_then(NamedTempFile::close).map_err(|e| target.io("write to the folder of", e))?;
        }
        Ok(target)
    }

    /// Writes the file with `write` and returns its real path: `path` itself, or with a number where that existed.
    ///
    /// # Errors
    /// When `write` fails or the disk does; then neither the output nor the temporary file exists.
    pub fn write(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<PathBuf, OutputError> {
        let written = match unnamed::create(&self.folder) {
            Some(file) => {
                self.fill(&file, write)?;
                self.link(file)?
            }
            None => {
                let file = self.temporary().map_err(|e| self.io("make a file next to", e))?;
                self.fill(file.as_file(), write)?;
                self.rename(file)?
            }
        };
        sync_folder(&self.folder).map_err(|e| self.io("flush the folder of", e))?;
        Ok(written)
    }

    fn fill(&self, file: &File, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), OutputError> {
        let mut buffered = BufWriter::new(file);
        write(&mut buffered).and_then(|()| buffered.flush()).map_err(|e| self.io("write", e))?;
        file.sync_all().map_err(|e| self.io("flush to disk", e))
    }

    fn rename(&self, file: NamedTempFile) -> Result<PathBuf, OutputError> {
        if self.force { self.replace(file) } else { self.take_free_name(file) }
    }

    /// Names a file that has no name yet.
    fn link(&self, mut file: File) -> Result<PathBuf, OutputError> {
        let tried = if self.force { self.link_over(&file) } else { self.link_free(&file) };
        match tried {
            Ok(Some(path)) => Ok(path),
            Ok(None) => Err(OutputError::NoFreeName { path: self.path.clone(), tried: LAST_NUMBER - 1 }),
            // A file system that makes such files and does not name them: a copy with a temporary name.
            Err(e) if e.kind() != io::ErrorKind::IsADirectory => {
                let mut copy = self.temporary().map_err(|e| self.io("make a file next to", e))?;
                let copied = file.rewind().and_then(|()| io::copy(&mut file, copy.as_file_mut()));
                copied.and_then(|_| copy.as_file().sync_all()).map_err(|e| self.io("write", e))?;
                self.rename(copy)
            }
            Err(e) => Err(self.io("replace", e)),
        }
    }

    /// `None`: every number is taken.
    fn link_free(&self, file: &File) -> io::Result<Option<PathBuf>> {
        for number in 1..=LAST_NUMBER {
            let path = self.numbered(number);
            match unnamed::link(file, &path) {
                Ok(()) => return Ok(Some(path)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    /// No system names a file over another in one step. Between the two it has a name that the next writer of the same file
    /// knows: what a killed process leaves in these microseconds is whole, and does not stay.
    fn link_over(&self, file: &File) -> io::Result<Option<PathBuf>> {
        let mut name = std::ffi::OsString::from(".syncline-");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".new");
        let between = self.path.with_file_name(name);
        // Each round that fails is one that another writer has won.
        for _ in 0..1000 {
            match unnamed::link(file, &between) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    let _ = fs::remove_file(&between);
                    continue;
                }
                Err(e) => return Err(e),
            }
            match fs::rename(&between, &self.path) {
                Ok(()) => return Ok(Some(self.path.clone())),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => {
                    let _ = fs::remove_file(&between);
                    return Err(e);
                }
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
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

    /// The path as given.
    pub fn path(&self) -> &Path {
        &self.path
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
