//! The one place with `unsafe`: mapping a weight file into memory.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::{Detail, LoadError, Result};

/// A read-only mapping that remembers its file, so that a change of length can be seen before each read.
#[derive(Debug)]
pub struct Mapped {
    map: Mmap,
    file: File,
    path: PathBuf,
}

impl Mapped {
    /// Maps a whole file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| LoadError::io(path, e))?;
        // SAFETY: the mapping is read-only and private to this type, and every reader sees it as plain bytes, for which
        // any content is valid. What remains is another process that shortens or rewrites the file while it is mapped:
        // `check_length` is called before every read of a tensor, and nothing that was validated once (offsets, lengths)
        // is read from the mapping a second time.
        #[expect(unsafe_code, reason = "memory-mapping is unsafe by nature; see the SAFETY comment")]
        let map = unsafe { Mmap::map(&file) }.map_err(|e| LoadError::io(path, e))?;
        Ok(Mapped { map, file, path: path.to_path_buf() })
    }

    /// The bytes as they were when the file was opened.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Fails when the file has another length than it had when it was opened.
    pub fn check_length(&self) -> Result<()> {
        let now = self.file.metadata().map_err(|e| LoadError::io(&self.path, e))?.len();
        if now == self.map.len() as u64 {
            return Ok(());
        }
        let detail = Detail::new(self.path.display().to_string(), "the file changed while it was being read")
            .found(format!("{now} bytes"))
            .expected(format!("{} bytes, as when it was opened", self.map.len()))
            .next("wait until the download has finished, then run the command again");
        Err(LoadError::Changed(Box::new(detail)))
    }
}
