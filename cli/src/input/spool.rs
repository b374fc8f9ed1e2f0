//! Frames of a stream on disk instead of in memory: a temporary file without a name, gone with the process.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Records of one length.
#[derive(Debug)]
pub struct Spool {
    file: File,
    record: usize,
    count: usize,
}

impl Spool {
    /// An empty one in the system's folder for temporary files.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn new(record: usize) -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, record, count: 0 })
    }

    /// Records so far.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Appends a record.
    ///
    /// # Errors
    /// When the disk refuses.
    ///
    /// # Panics
    /// When it has another length.
    pub fn push(&mut self, record: &[u8]) -> io::Result<()> {
        assert_eq!(record.len(), self.record, "bytes of a record");
        self.file.seek(SeekFrom::Start((self.count * self.record) as u64))?;
        self.file.write_all(record)?;
        self.count += 1;
        Ok(())
    }

    /// A record.
    ///
    /// # Errors
    /// When the disk refuses, or there are fewer.
    pub fn read(&self, index: usize) -> io::Result<Vec<u8>> {
        let mut record = vec![0; self.record];
        let mut file = &self.file;
        file.seek(SeekFrom::Start((index * self.record) as u64))?;
        file.read_exact(&mut record)?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let mut spool = Spool::new(3).unwrap();
        for i in 0..5 {
            spool.push(&[i; 3]).unwrap();
        }
        assert_eq!((spool.len(), spool.read(3).unwrap()), (5, vec![3; 3]));
        assert!(spool.read(5).is_err());
    }
}
