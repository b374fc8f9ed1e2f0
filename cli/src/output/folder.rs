//! A folder that appears whole or not at all: filled beside its place under a temporary name, then renamed.
//!
//! A process that is killed while it fills one leaves `.syncline-….tmp`; nothing has the output's name before all is there.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempDir};

use super::atomic::{LAST_NUMBER, Target, sync_folder};
use super::error::OutputError;

/// An output folder that has been checked.
#[derive(Debug, Clone)]
pub struct FolderTarget {
    path: PathBuf,
    beside: Target,
    force: bool,
}

impl FolderTarget {
    /// Checks `path` before the work starts. An existing folder makes the output's name get the next free number; with `force`
    /// it is replaced, if it holds nothing but `names` (paths below it).
    ///
    /// # Errors
    /// When the folder above is missing or not writable, or there is something that would be lost.
    pub fn check(path: &Path, force: bool, names: &[PathBuf]) -> Result<Self, OutputError> {
        // `frames/` means the folder itself.
        let path: PathBuf = path.components().collect();
        let name = path.file_name().ok_or_else(|| OutputError::NoName { path: path.clone() })?;
        let beside = Target::check(&path.with_file_name(temporary_name(name)), true)?;
        let target = Self { path, beside, force };
        if force {
            target.check_nothing_lost(names)?;
        }
        Ok(target)
    }

    fn check_nothing_lost(&self, names: &[PathBuf]) -> Result<(), OutputError> {
        let Ok(kind) = self.path.symlink_metadata() else { return Ok(()) };
        let lost = |what: PathBuf| OutputError::WouldLose { folder: self.path.clone(), what };
        if !kind.is_dir() {
            return Err(lost(PathBuf::new()));
        }
        let mut waiting = vec![PathBuf::new()];
        while let Some(folder) = waiting.pop() {
            let entries = fs::read_dir(self.path.join(&folder)).map_err(|e| self.io("look into", e))?;
            for entry in entries {
                let entry = entry.map_err(|e| self.io("look into", e))?;
                let below = folder.join(entry.file_name());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    waiting.push(below);
                } else if !names.contains(&below) {
                    return Err(lost(below));
                }
            }
        }
        Ok(())
    }

    /// An empty folder to be filled.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin(&self) -> Result<Filling, OutputError> {
        let mut builder = Builder::new();
        builder.prefix(".syncline-").suffix(".tmp");
        #[cfg(unix)]
        {
            // The user's umask decides, as for any other folder.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o777));
        }
        let folder = builder.tempdir_in(self.beside.folder()).map_err(|e| self.io("make a folder next to", e))?;
        Ok(Filling { target: self.clone(), folder })
    }

    fn io(&self, during: &'static str, reason: io::Error) -> OutputError {
        OutputError::Io { during, path: self.path.clone(), reason }
    }

    fn numbered(&self, number: u32) -> PathBuf {
        if number == 1 {
            return self.path.clone();
        }
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!("_{number}"));
        self.path.with_file_name(name)
    }
}

fn temporary_name(name: &std::ffi::OsStr) -> OsString {
    let mut hidden = OsString::from(".syncline-");
    hidden.push(name);
    hidden
}

/// A folder that is being filled; dropped, it is gone with all that is in it.
#[derive(Debug)]
pub struct Filling {
    target: FolderTarget,
    folder: TempDir,
}

impl Filling {
    /// Where it is until it has its name.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file at a path below the folder.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, name: &Path, bytes: &[u8]) -> Result<(), OutputError> {
        let file = self.create(name)?;
        let written = (&file).write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(|e| self.target.io("write into", e))
    }

    /// Copies a file as it is.
    ///
    /// # Errors
    /// When the disk refuses, or the file is gone.
    pub fn copy(&self, name: &Path, from: &Path) -> Result<(), OutputError> {
        let mut source = File::open(from).map_err(|e| self.target.io("copy what belongs into", e))?;
        let mut file = self.create(name)?;
        let copied = io::copy(&mut source, &mut file).and_then(|_| file.sync_all());
        copied.map_err(|e| self.target.io("write into", e))
    }

    fn create(&self, name: &Path) -> Result<File, OutputError> {
        let path = self.folder.path().join(name);
        let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
        folder.and_then(|()| File::create_new(&path)).map_err(|e| self.target.io("write into", e))
    }

    /// Gives the folder its name and returns it.
    ///
    /// # Errors
    /// When the disk refuses; then neither the output nor the temporary folder exists, and a replaced one is back.
    pub fn finish(self) -> Result<PathBuf, OutputError> {
        let Self { target, folder } = self;
        sync_folder(folder.path()).map_err(|e| target.io("flush", e))?;
        let named = if target.force { replace(&target, &folder)? } else { take_free_name(&target, &folder)? };
        // It has another name now: nothing is left to be removed.
        let _ = folder.keep();
        sync_folder(target.beside.folder()).map_err(|e| target.io("flush the folder of", e))?;
        Ok(named)
    }
}

fn take_free_name(target: &FolderTarget, folder: &TempDir) -> Result<PathBuf, OutputError> {
    for number in 1..=LAST_NUMBER {
        let path = target.numbered(number);
        match rename_new(folder.path(), &path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(target.io("name", e)),
        }
    }
    Err(OutputError::NoFreeName { path: target.path.clone(), tried: LAST_NUMBER - 1 })
}

/// The old folder goes aside, and comes back should the new one not take its name.
fn replace(target: &FolderTarget, folder: &TempDir) -> Result<PathBuf, OutputError> {
    let mut aside = None;
    if target.path.symlink_metadata().is_ok() {
        let place = Builder::new().prefix(".syncline-").suffix(".old").tempdir_in(target.beside.folder());
        let place = place.map_err(|e| target.io("make a folder next to", e))?;
        let old = place.path().join("old");
        fs::rename(&target.path, &old).map_err(|e| target.io("replace", e))?;
        aside = Some((place, old));
    }
    if let Err(e) = rename_new(folder.path(), &target.path) {
        if let Some((place, old)) = aside
            && let Err(stuck) = fs::rename(&old, &target.path)
        {
            tracing::warn!("{} is now at {}: {stuck}", target.path.display(), old.display());
            let _ = place.keep();
        }
        return Err(target.io("replace", e));
    }
    Ok(target.path.clone())
}

/// Renames to a name that nothing has yet.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // A file system that cannot promise it.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            other => return Ok(other?),
        }
    }
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn fill(target: &FolderTarget, text: &str) -> Filling {
        let filling = target.begin().unwrap();
        filling.write(Path::new("a.txt"), text.as_bytes()).unwrap();
        filling.write(Path::new("deep/er/b.txt"), b"b").unwrap();
        filling
    }

    #[test]
    fn folders_appear_whole_and_take_nobodys_name() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("out");
        fs::create_dir(&place).unwrap();
        let target = FolderTarget::check(&place.join(""), false, &[]).unwrap();
        let filling = fill(&target, "1");
        assert_eq!(names(dir.path()).len(), 2);
        let written = filling.finish().unwrap();
        assert_eq!(written, dir.path().join("out_2"));
        assert_eq!(names(dir.path()), ["out", "out_2"]);
        assert_eq!(fs::read(written.join("deep/er/b.txt")).unwrap(), b"b");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode(&written), mode(&place));
        }
        // Dropped before its end: nothing is left.
        drop(fill(&target, "2"));
        assert_eq!(names(dir.path()), ["out", "out_2"]);
    }

    #[test]
    fn force_replaces_only_what_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("out");
        let own = ["a.txt", "deep/er/b.txt"].map(PathBuf::from);
        fill(&FolderTarget::check(&place, true, &own).unwrap(), "1").finish().unwrap();
        let again = FolderTarget::check(&place, true, &own).unwrap();
        assert_eq!(fill(&again, "2").finish().unwrap(), place);
        assert_eq!(
            (names(dir.path()), fs::read(place.join("a.txt")).unwrap()),
            (vec!["out".to_owned()], b"2".to_vec())
        );
        fs::write(place.join("deep/mine.txt"), "mine").unwrap();
        let refused = FolderTarget::check(&place, true, &own).unwrap_err();
        assert!(refused.to_string().contains("mine.txt") && refused.exit_code() == 9, "{refused}");
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(FolderTarget::check(&dir.path().join("file"), true, &own).is_err());
        let none = FolderTarget::check(&dir.path().join("no/out"), false, &[]).unwrap_err();
        assert!(matches!(none, OutputError::NoFolder { .. }), "{none}");
        assert!(FolderTarget::check(Path::new("/"), false, &[]).is_err());
    }
}
