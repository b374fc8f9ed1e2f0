//! Several files that belong together: all of them, or none.
//!
//! Every file is written and flushed under a temporary name first; then all are renamed, and when one of these renames fails
//! the others are taken back. No system renames several files at once: a machine that loses power within the milliseconds
//! of the renames can keep some of them, each whole.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use super::atomic::{LAST_NUMBER, Target, sync_folder};
use super::error::OutputError;

/// Names of a set, checked before the work starts.
#[derive(Debug, Clone)]
pub struct FileSet {
    base: PathBuf,
    suffixes: Vec<&'static str>,
    /// The checks of the first number's names.
    targets: Vec<Target>,
    force: bool,
}

impl FileSet {
    /// One file per suffix: `sky.png` gives `sky_px.png` …, `sky*.png` gives `skypx.png` …; an existing one makes the whole set
    /// `sky_2_px.png` …, or is replaced with `force`.
    ///
    /// # Errors
    /// As [`Target::check`].
    pub fn check(base: &Path, suffixes: &[&'static str], force: bool) -> Result<Self, OutputError> {
        // What is wrong with the name itself is told of that name.
        Target::check(base, force)?;
        let names = suffixes.iter().map(|suffix| name(base, 1, suffix));
        let targets = names.map(|name| Target::check(&name, force)).collect::<Result<_, _>>()?;
        Ok(Self { base: base.to_owned(), suffixes: suffixes.to_vec(), targets, force })
    }

    /// Writes one file per suffix and returns their real paths.
    ///
    /// # Errors
    /// When the disk or the folder refuses; then no file of the set exists, and replaced ones are back.
    ///
    /// # Panics
    /// When there is another number of contents.
    pub fn write(&self, contents: &[Vec<u8>]) -> Result<Vec<PathBuf>, OutputError> {
        assert_eq!(contents.len(), self.targets.len(), "contents of a set of files");
        let files = self.targets.iter().zip(contents).map(|(target, bytes)| {
            let mut file = target.temporary().map_err(|e| target.io("make a file next to", e))?;
            file.write_all(bytes).map_err(|e| target.io("write", e))?;
            file.as_file().sync_all().map_err(|e| target.io("flush to disk", e))?;
            Ok(file)
        });
        let files = files.collect::<Result<Vec<NamedTempFile>, OutputError>>()?;
        let written = if self.force { self.replace(files)? } else { self.take_free_names(files)? };
        sync_folder(self.targets[0].folder()).map_err(|e| self.targets[0].io("flush the folder of", e))?;
        Ok(written)
    }

    fn names(&self, number: u32) -> Vec<PathBuf> {
        self.suffixes.iter().map(|suffix| name(&self.base, number, suffix)).collect()
    }

    fn take_free_names(&self, files: Vec<NamedTempFile>) -> Result<Vec<PathBuf>, OutputError> {
        let mut waiting: Vec<TempPath> = files.into_iter().map(NamedTempFile::into_temp_path).collect();
        for number in 1..=LAST_NUMBER {
            let names = self.names(number);
            if names.iter().any(|name| name.symlink_metadata().is_ok()) {
                continue;
            }
            match persist_all(waiting, &names) {
                Ok(()) => return Ok(names),
                // Another command was faster with one of them.
                Err((back, refused)) if refused.kind() == io::ErrorKind::AlreadyExists => waiting = back,
                Err((_, refused)) => return Err(self.targets[0].io("name", refused)),
            }
        }
        Err(OutputError::NoFreeName { path: self.base.clone(), tried: LAST_NUMBER - 1 })
    }

    /// Moves what is there aside, renames, and moves it back should a rename fail.
    fn replace(&self, files: Vec<NamedTempFile>) -> Result<Vec<PathBuf>, OutputError> {
        let names = self.names(1);
        let mut aside: Vec<(PathBuf, TempPath)> = Vec::new();
        let restore = |aside: Vec<(PathBuf, TempPath)>| {
            for (name, old) in aside {
                // Nothing more can be done for one that does not go back; it must not be deleted either.
                if let Err(kept) = old.persist(&name) {
                    tracing::warn!("{} is now at {}: {}", name.display(), kept.path.display(), kept.error);
                    let _ = kept.path.keep();
                }
            }
        };
        for (name, target) in names.iter().zip(&self.targets) {
            if name.symlink_metadata().is_err() {
                continue;
            }
            let moved = target.temporary().map(NamedTempFile::into_temp_path).and_then(|old| {
                if name.is_dir() {
                    return Err(io::Error::from(io::ErrorKind::IsADirectory));
                }
                fs::rename(name, &old).map(|()| old)
            });
            match moved {
                Ok(old) => aside.push((name.clone(), old)),
                Err(e) => {
                    restore(aside);
                    return Err(target.io("replace", e));
                }
            }
        }
        let files = files.into_iter().map(NamedTempFile::into_temp_path).collect();
        match persist_all(files, &names) {
            Ok(()) => Ok(names),
            Err((_, refused)) => {
                restore(aside);
                Err(self.targets[0].io("replace", refused))
            }
        }
    }
}

/// Renames every file to its name, none of which may exist. After a failure all are under their temporary names again.
fn persist_all(files: Vec<TempPath>, names: &[PathBuf]) -> Result<(), (Vec<TempPath>, io::Error)> {
    let mut done: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut files = files.into_iter();
    let mut refused = None;
    let mut back = Vec::new();
    for name in names {
        let Some(file) = files.next() else { break };
        let temporary = file.to_path_buf();
        match file.persist_noclobber(name) {
            Ok(()) => done.push((temporary, name.clone())),
            Err(e) => {
                refused = Some(e.error);
                back.push(e.path);
                break;
            }
        }
    }
    let Some(refused) = refused else { return Ok(()) };
    let mut all = Vec::new();
    for (temporary, name) in done {
        if fs::rename(&name, &temporary).is_ok()
            && let Ok(path) = TempPath::try_from_path(temporary)
        {
            all.push(path);
        }
    }
    all.extend(back);
    all.extend(files);
    Err((all, refused))
}

/// `sky.png` with number 2 and suffix `px`: `sky_2_px.png`.
fn name(base: &Path, number: u32, suffix: &str) -> PathBuf {
    let stem = base.file_stem().unwrap_or_default().to_string_lossy();
    let counted = |text: &str| if number == 1 { text.to_owned() } else { format!("{text}_{number}") };
    let stem = match stem.split_once('*') {
        Some((before, after)) => counted(&format!("{before}{suffix}{after}")),
        None => format!("{}_{suffix}", counted(&stem)),
    };
    let extension = base.extension().map_or(String::new(), |e| format!(".{}", e.to_string_lossy()));
    base.with_file_name(stem + &extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUFFIXES: [&str; 3] = ["px", "nx", "py"];

    fn files_in(folder: &Path) -> Vec<(String, String)> {
        let entry = |e: io::Result<fs::DirEntry>| {
            let path = e.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap_or_else(|_| "a folder".to_owned()))
        };
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(entry).collect();
        files.sort();
        files
    }

    fn contents(text: &str) -> Vec<Vec<u8>> {
        SUFFIXES.iter().map(|suffix| format!("{text} {suffix}").into_bytes()).collect()
    }

    fn file(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn sets_share_a_number_and_take_nobodys_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("sky_nx.png"), "mine").unwrap();
        let set = FileSet::check(&dir.path().join("sky.png"), &SUFFIXES, false).unwrap();
        let written = set.write(&contents("a")).unwrap();
        assert_eq!(written, ["sky_2_px.png", "sky_2_nx.png", "sky_2_py.png"].map(|n| dir.path().join(n)));
        set.write(&contents("b")).unwrap();
        let expected = [
            file("sky_2_nx.png", "a nx"),
            file("sky_2_px.png", "a px"),
            file("sky_2_py.png", "a py"),
            file("sky_3_nx.png", "b nx"),
            file("sky_3_px.png", "b px"),
            file("sky_3_py.png", "b py"),
            file("sky_nx.png", "mine"),
        ];
        assert_eq!(files_in(dir.path()), expected);
    }

    #[test]
    fn a_star_is_where_the_suffix_goes() {
        assert_eq!(name(Path::new("a/sky-*-b.png"), 1, "px"), Path::new("a/sky-px-b.png"));
        assert_eq!(name(Path::new("*.png"), 2, "px"), Path::new("px_2.png"));
        assert_eq!(name(Path::new("sky"), 1, "px"), Path::new("sky_px"));
    }

    #[test]
    fn force_replaces_all_or_leaves_all() {
        let dir = tempfile::tempdir().unwrap();
        let set = FileSet::check(&dir.path().join("sky.png"), &SUFFIXES, true).unwrap();
        fs::write(dir.path().join("sky_px.png"), "old").unwrap();
        set.write(&contents("new")).unwrap();
        let new = [file("sky_nx.png", "new nx"), file("sky_px.png", "new px"), file("sky_py.png", "new py")];
        assert_eq!(files_in(dir.path()), new);
        // A folder under the last name cannot be replaced: the first two get their old contents back.
        fs::remove_file(dir.path().join("sky_py.png")).unwrap();
        fs::create_dir(dir.path().join("sky_py.png")).unwrap();
        let refused = set.write(&contents("newer")).unwrap_err();
        assert_eq!(refused.exit_code(), 9);
        let kept = [file("sky_nx.png", "new nx"), file("sky_px.png", "new px"), file("sky_py.png", "a folder")];
        assert_eq!(files_in(dir.path()), kept);
    }

    #[test]
    fn a_name_taken_in_the_middle_takes_the_others_back() {
        let dir = tempfile::tempdir().unwrap();
        let set = FileSet::check(&dir.path().join("sky.png"), &SUFFIXES, false).unwrap();
        let files: Vec<TempPath> = set.targets.iter().map(|t| t.temporary().unwrap().into_temp_path()).collect();
        fs::write(dir.path().join("sky_py.png"), "mine").unwrap();
        let (back, refused) = persist_all(files, &set.names(1)).unwrap_err();
        assert_eq!((back.len(), refused.kind()), (3, io::ErrorKind::AlreadyExists));
        drop(back);
        assert_eq!(files_in(dir.path()), [file("sky_py.png", "mine")]);
    }

    /// A limit on the file size with its signal ignored makes the kernel fail the last write half way, as a full disk does.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_that_gets_full_leaves_no_part_of_a_set() {
        const VARIABLE: &str = "SYNCLINE_TEST_SET_FOLDER";
        let large = vec![vec![1; 1000], vec![2; 1000], vec![3; 1 << 20]];
        if let Some(folder) = std::env::var_os(VARIABLE).map(PathBuf::from) {
            for force in [false, true] {
                let set = FileSet::check(&folder.join("sky.png"), &SUFFIXES, force).unwrap();
                let failed = set.write(&large).unwrap_err();
                assert!(failed.exit_code() == 9 && failed.to_string().starts_with("cannot write "), "{failed}");
            }
            // The parent takes this folder as the sign that the writes did fail.
            fs::create_dir(folder.join("failed as they should")).unwrap();
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("sky_px.png"), "mine").unwrap();
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
        shell.args([
            "--exact",
            "output::file_set::tests::a_disk_that_gets_full_leaves_no_part_of_a_set",
            "--nocapture",
        ]);
        assert!(shell.env(VARIABLE, dir.path()).output().unwrap().status.success());
        let left = [file("failed as they should", "a folder"), file("sky_px.png", "mine")];
        assert_eq!(files_in(dir.path()), left);
    }

    #[test]
    fn sets_written_at_the_same_time_do_not_mix() {
        let dir = tempfile::tempdir().unwrap();
        let set = FileSet::check(&dir.path().join("sky.png"), &SUFFIXES, false).unwrap();
        std::thread::scope(|scope| {
            for i in 0..8 {
                let set = &set;
                scope.spawn(move || set.write(&contents(&i.to_string())).unwrap());
            }
        });
        let files = files_in(dir.path());
        assert_eq!(files.len(), 24, "{files:?}");
        for (name, text) in &files {
            let other = name.replace("_nx", "_px").replace("_py", "_px");
            let writer = |text: &str| text.split(' ').next().unwrap().to_owned();
            let first = &files.iter().find(|(n, _)| *n == other).unwrap().1;
            assert_eq!(writer(text), writer(first), "{name}");
        }
    }

    #[test]
    fn folders_that_are_none_are_told_before_the_work() {
        let dir = tempfile::tempdir().unwrap();
        let refused = FileSet::check(&dir.path().join("no/sky.png"), &SUFFIXES, false).unwrap_err();
        assert!(matches!(refused, OutputError::NoFolder { .. }), "{refused}");
        fs::create_dir(dir.path().join("sky_px.png")).unwrap();
        let refused = FileSet::check(&dir.path().join("sky.png"), &SUFFIXES, false).unwrap_err();
        assert!(matches!(refused, OutputError::IsFolder { .. }), "{refused}");
    }
}
