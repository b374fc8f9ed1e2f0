//! Files that have no name until they are complete: a process that is killed leaves nothing behind. Linux only; elsewhere, and
//! on file systems without them, files have temporary names.

use std::fs::File;
use std::io;
use std::path::Path;

/// A new file in `folder` without a name, or `None` where there is no such thing.
#[cfg(target_os = "linux")]
pub(super) fn create(folder: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // Its name is given through there.
    if !Path::new("/proc/self/fd").is_dir() {
        return None;
    }
    let flags = rustix::fs::OFlags::TMPFILE.bits() as i32;
    File::options().read(true).write(true).mode(0o666).custom_flags(flags).open(folder).ok()
}

/// Gives it a name that nothing has yet.
#[cfg(target_os = "linux")]
pub(super) fn link(file: &File, path: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    let (here, flags) = (rustix::fs::CWD, rustix::fs::AtFlags::SYMLINK_FOLLOW);
    Ok(rustix::fs::linkat(here, open.as_str(), here, path, flags)?)
}

/// See above.
#[cfg(not(target_os = "linux"))]
pub(super) fn create(_folder: &Path) -> Option<File> {
    None
}

/// See above.
#[cfg(not(target_os = "linux"))]
pub(super) fn link(_file: &File, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
