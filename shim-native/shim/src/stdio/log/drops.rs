//! Counting and telling what of a log was dropped.

use super::encode::encode;
use crate::log;
use crate::stdio::sink::Stream;
use serde::{Deserialize, Serialize};
use std::io;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Lines lost because there was no room for them; bytes as they would have been in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Drops {
    pub lines: u64,
    pub bytes: u64,
}

impl Drops {
    pub fn of_line(line: &[u8]) -> Self {
        Drops {
            lines: 1,
            bytes: line.len() as u64,
        }
    }

    /// The line that stands where others are missing.
    pub fn append_note(self, into: &mut Vec<u8>) {
        let Drops { lines, bytes } = self;
        let text =
            format!("gantry: {lines} log lines ({bytes} bytes) were dropped here (mode=non-blocking)\n");
        let attrs = format!(",\"attrs\":{{\"gantry.dropped\":\"{lines}\"}}");
        encode(into, Stream::Stderr, text.as_bytes(), &attrs, SystemTime::now());
    }
}

impl AddAssign for Drops {
    fn add_assign(&mut self, other: Self) {
        self.lines += other.lines;
        self.bytes += other.bytes;
    }
}

/// The sum over a log's life, kept in `<log>.drops`.
#[derive(Debug)]
pub struct Tally {
    path: PathBuf,
    total: Drops,
}

impl Tally {
    /// Goes on from what an earlier run of the container left.
    pub fn open(log: &Path) -> Self {
        let mut path = log.as_os_str().to_owned();
        path.push(".drops");
        let path = PathBuf::from(path);
        let total = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Tally { path, total }
    }

    pub fn add(&mut self, drops: Drops) {
        if drops == Drops::default() {
            return;
        }
        self.total += drops;
        if let Err(error) = self.write() {
            log::error!("{}: {error}", self.path.display());
        }
    }

    /// Readers find the old sum or the new one.
    fn write(&self) -> io::Result<()> {
        let aside = self.path.with_extension("drops-new");
        std::fs::write(&aside, serde_json::to_vec(&self.total)?)?;
        std::fs::rename(aside, &self.path)
    }
}
