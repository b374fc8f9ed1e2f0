//! Names, races, refusals, and processes that die or run out of disk in the middle of a write.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn put(target: &Target, text: &str) -> PathBuf {
    target.write(|w| w.write_all(text.as_bytes())).unwrap()
}

#[test]
fn existing_files_get_numbers_and_are_never_touched() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::check(&dir.path().join("a.b.png"), false).unwrap();
    assert_eq!(files_in(dir.path()), [""; 0], "the check leaves nothing behind");
    let names: Vec<_> = ["one", "two", "three"].iter().map(|text| put(&target, text)).collect();
    assert_eq!(names, ["a.b.png", "a.b_2.png", "a.b_3.png"].map(|n| dir.path().join(n)));
    for (path, text) in names.iter().zip(["one", "two", "three"]) {
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
    assert_eq!(files_in(dir.path()), ["a.b.png", "a.b_2.png", "a.b_3.png"]);
}

#[test]
fn names_without_extension_and_hidden_names_are_numbered_too() {
    let dir = tempfile::tempdir().unwrap();
    for (name, second) in [("plain", "plain_2"), (".hidden", ".hidden_2")] {
        let target = Target::check(&dir.path().join(name), false).unwrap();
        assert_eq!(put(&target, "x"), dir.path().join(name));
        assert_eq!(put(&target, "y"), dir.path().join(second));
    }
}

#[test]
fn force_replaces_and_only_then() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    fs::write(&path, "old").unwrap();
    let target = Target::check(&path, true).unwrap();
    let failed = target.write(|w| {
        w.write_all(b"half")?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    });
    assert_eq!(failed.unwrap_err().exit_code(), 9);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old", "a failed write leaves the old file");
    assert_eq!(put(&target, "new"), path);
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(files_in(dir.path()), ["a.png"]);
}

#[test]
fn a_failed_write_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::check(&dir.path().join("a.png"), false).unwrap();
    let failed = target.write(|w| {
        w.write_all(&[7; 100_000])?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    });
    assert!(matches!(failed, Err(OutputError::Io { during: "write", .. })), "{failed:?}");
    assert_eq!(files_in(dir.path()), [""; 0]);
}

#[test]
fn writers_at_the_same_time_all_keep_their_work() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::check(&dir.path().join("a.png"), false).unwrap();
    let texts: Vec<String> = (0..16).map(|i| format!("{i:02}").repeat(5000)).collect();
    std::thread::scope(|scope| {
        for text in &texts {
            scope.spawn(|| put(&target, text));
        }
    });
    let mut found: Vec<String> =
        files_in(dir.path()).iter().map(|n| fs::read_to_string(dir.path().join(n)).unwrap()).collect();
    found.sort();
    assert_eq!(found, texts);
}

#[test]
fn paths_that_cannot_be_files_are_refused_before_any_work() {
    let dir = tempfile::tempdir().unwrap();
    let check = |path: &str| Target::check(&dir.path().join(path), true).unwrap_err();
    assert!(matches!(check(""), OutputError::IsFolder { .. }));
    assert!(matches!(check(".."), OutputError::IsFolder { .. }));
    assert!(matches!(check("missing/a.png"), OutputError::NoFolder { .. }));
    assert!(matches!(check("new/"), OutputError::NoName { .. }));
    fs::write(dir.path().join("file"), "").unwrap();
    assert!(matches!(check("file/a.png"), OutputError::NotFolder { .. }));
    assert!(matches!(Target::check(Path::new(""), false), Err(OutputError::NoName { .. })));
    assert!(matches!(
        Target::check(Path::new("/"), false),
        Err(OutputError::NoName { .. } | OutputError::IsFolder { .. })
    ));
    assert_eq!(check("missing/a.png").exit_code(), 9);
    assert_eq!(files_in(dir.path()), ["file"]);
}

#[test]
fn a_folder_that_appears_meanwhile_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    let forced = Target::check(&path, true).unwrap();
    let careful = Target::check(&path, false).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(forced.write(|w| w.write_all(b"x")).unwrap_err().exit_code(), 9);
    assert_eq!(put(&careful, "x"), dir.path().join("a_2.png"));
    assert_eq!(files_in(dir.path()), ["a.png", "a_2.png"]);
}

#[cfg(unix)]
#[test]
fn links_are_replaced_or_left_but_never_followed() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (link, victim) = (dir.path().join("a.png"), elsewhere.path().join("victim"));
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    assert_eq!(put(&Target::check(&link, false).unwrap(), "x"), dir.path().join("a_2.png"));
    assert_eq!(put(&Target::check(&link, true).unwrap(), "y"), link);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
    let dangling = dir.path().join("b.png");
    std::os::unix::fs::symlink(elsewhere.path().join("nothing"), &dangling).unwrap();
    assert_eq!(put(&Target::check(&dangling, false).unwrap(), "z"), dir.path().join("b_2.png"));
    assert_eq!(files_in(elsewhere.path()), ["victim"]);
}

#[cfg(unix)]
#[test]
fn permissions_follow_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("reference"), "").unwrap();
    let written = put(&Target::check(&dir.path().join("a.png"), false).unwrap(), "x");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&written), mode(&dir.path().join("reference")));
}

/// `/proc/self` refuses new files even to root; a mode of 0555 refuses them to everybody else.
#[cfg(target_os = "linux")]
#[test]
fn folders_that_refuse_files_are_noticed_before_any_work() {
    use std::os::unix::fs::PermissionsExt;
    let refused = Target::check(Path::new("/proc/self/a.png"), false).unwrap_err();
    assert!(matches!(refused, OutputError::Io { .. }) && refused.exit_code() == 9, "{refused}");
    let dir = tempfile::tempdir().unwrap();
    let target = Target::check(&dir.path().join("a.png"), false).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let bound_by_modes = File::create(dir.path().join("trial")).is_err();
    if bound_by_modes {
        assert_eq!(Target::check(&dir.path().join("a.png"), false).unwrap_err().exit_code(), 9);
        assert_eq!(target.write(|w| w.write_all(b"x")).unwrap_err().exit_code(), 9);
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Version `n` of the file: its number over and over, so that a mixture of two versions or a cut shows.
fn version(n: u64) -> Vec<u8> {
    n.to_le_bytes().repeat(64 * 1024)
}

/// Runs this test binary again with only `test` in it and `folder` in its environment.
fn again(shell_prefix: &str, test: &str, folder: &Path) -> Command {
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{shell_prefix} exec \"$0\" \"$@\"")).arg(exe);
    command.args(["--exact", &format!("output::atomic::tests::{test}"), "--nocapture"]);
    command.env("SYNCLINE_TEST_FOLDER", folder).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn folder_of_child() -> Option<PathBuf> {
    std::env::var_os("SYNCLINE_TEST_FOLDER").map(PathBuf::from)
}

#[cfg(unix)]
#[test]
fn a_killed_process_leaves_a_whole_file() {
    if let Some(folder) = folder_of_child() {
        let target = Target::check(&folder.join("a.png"), true).unwrap();
        for n in 0.. {
            target.write(|w| w.write_all(&version(n))).unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    let mut versions = std::collections::BTreeSet::new();
    let changed = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    for kill in 0..40_u64 {
        let before = changed(&path);
        let mut child = again("", "a_killed_process_leaves_a_whole_file", dir.path()).spawn().unwrap();
        let started = Instant::now();
        // The first file shows that the child is in its loop; then a moment that differs from kill to kill.
        while changed(&path) == before && started.elapsed().as_secs() < 60 {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_micros(kill * 613 % 7919));
        child.kill().unwrap();
        child.wait().unwrap();
        if let Ok(bytes) = fs::read(&path) {
            let n = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            assert!(bytes == version(n), "kill {kill}: torn file of {} bytes", bytes.len());
            versions.insert(n);
        }
        // Between two names the file is whole, and the next writer takes it away.
        for name in files_in(dir.path()).iter().filter(|n| *n != "a.png") {
            if cfg!(target_os = "linux") {
                assert_eq!(name, ".syncline-a.png.new");
                assert_eq!(fs::read(dir.path().join(name)).unwrap().len(), version(0).len());
            } else {
                fs::remove_file(dir.path().join(name)).unwrap();
            }
        }
    }
    put(&Target::check(&path, true).unwrap(), "the last");
    assert_eq!(files_in(dir.path()), ["a.png"]);
    assert!(!versions.is_empty(), "no child ever wrote a file");
}

/// A limit on the file size with its signal ignored makes the kernel fail the write half way, as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_the_system_cuts_short_leaves_nothing() {
    if let Some(folder) = folder_of_child() {
        let target = Target::check(&folder.join("a.png"), false).unwrap();
        let failed = target.write(|w| w.write_all(&version(1))).unwrap_err();
        assert_eq!(failed.exit_code(), 9);
        assert!(failed.to_string().starts_with("cannot write "), "{failed}");
        // The parent takes this file as the sign that the write did fail.
        fs::create_dir(folder.join("failed as it should")).unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child =
        again("trap '' XFSZ; ulimit -f 64;", "a_write_that_the_system_cuts_short_leaves_nothing", dir.path());
    assert!(child.status().unwrap().success());
    assert_eq!(files_in(dir.path()), ["failed as it should"]);
}
