//! How far somebody else has read a log: a log driver, which hands the lines on.

use serde::Deserialize;
use std::path::PathBuf;

/// Its note of where it is, kept by the reader itself (docs/logs.md).
#[derive(Debug)]
pub struct Reader {
    note: PathBuf,
}

/// A place in a log.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Place {
    /// Of the file it reads, whatever that is called by now.
    pub inode: u64,
    /// Bytes of it that it is done with.
    pub offset: u64,
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
