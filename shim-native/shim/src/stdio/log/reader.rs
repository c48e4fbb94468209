//! How far somebody else has read a log: a log driver, which hands the lines on.

use serde::Deserialize;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// Its note of where it is, kept by the reader itself (docs/logs.md).
#[derive(Debug)]
pub struct Reader {
    note: PathBuf,
}

/// A place in a log.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Place {
    /// Of the file it reads, whatever that is called by now.
    pub inode: u64,
    /// Nanoseconds since 1970 at which that was made: the number of a file that went is soon another's.
    pub born: String,
    /// Bytes of it that it is done with.
    pub offset: u64,
}

impl Place {
    pub fn is_in(&self, file: &Metadata) -> bool {
        let born = file
            .created()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        self.inode == file.ino() && self.born == born.map_or(0, |since| since.as_nanos()).to_string()
    }
}

impl Reader {
    pub fn new(note: PathBuf) -> Self {
        Reader { note }
    }

    /// `None`: it has not begun.
    pub fn place(&self) -> Option<Place> {
        serde_json::from_slice(&std::fs::read(&self.note).ok()?).ok()
    }
}
