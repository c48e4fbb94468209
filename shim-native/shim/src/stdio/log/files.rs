//! The files of a log: appended to, and rotated by size.

use super::drops::Drops;
use super::reader::Reader;
use crate::log;
use crate::stdio::target::Gantry;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// `x.log`, and what it was before it was rotated: `x.log.1`, `x.log.2`, … with growing age.
#[derive(Debug)]
pub struct LogFiles {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: u64,
    max_file: u32,
    /// Who has to have read a file before it goes.
    reader: Option<Reader>,
    /// Whether lines the reader has not read may go all the same.
    drops_unread: bool,
    /// What went unread, since the last [`LogFiles::take_drops`].
    drops: Drops,
}

impl LogFiles {
    /// Opens `path` for appending, with the limits of `target`.
    pub fn open(path: &Path, target: &Gantry) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let file = append(path)?;
        Ok(LogFiles {
            size: file.metadata()?.len(),
            path: path.to_owned(),
            file,
            max_size: target.max_size,
            max_file: target.max_file,
            reader: target.reader.clone().map(Reader::new),
            drops_unread: target.buffer.is_some(),
            drops: Drops::default(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends whole encoded lines, rotating between them.
    pub fn append(&mut self, mut lines: &[u8]) {
        while !lines.is_empty() {
            if self.is_full() && self.may_rotate() {
                self.rotate();
            }
            let (now, later) = lines.split_at(self.fitting(lines));
            self.write(now);
            lines = later;
        }
    }

    /// The live file is full, and must not be rotated yet: the caller should wait before it brings more. What it brings all
    /// the same is kept.
    pub fn is_held(&self) -> bool {
        self.is_full() && !self.may_rotate()
    }

    /// What readers lost since this was last asked.
    pub fn take_drops(&mut self) -> Drops {
        std::mem::take(&mut self.drops)
    }

    fn is_full(&self) -> bool {
        self.max_size > 0 && self.size >= self.max_size
    }

    fn may_rotate(&self) -> bool {
        self.drops_unread || self.reader.is_none() || self.unread_in_oldest().is_none()
    }

    /// Bytes of `lines` up to the line that fills the file.
    fn fitting(&self, lines: &[u8]) -> usize {
        let room = self.max_size.saturating_sub(self.size) as usize;
        if self.max_size == 0 || lines.len() <= room || self.is_held() {
            return lines.len();
        }
        let from = room.saturating_sub(1);
        lines[from..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(lines.len(), |at| from + at + 1)
    }

    /// Writes whole or not at all: half a line would spoil the next one.
    fn write(&mut self, lines: &[u8]) {
        match self.file.write_all(lines) {
            Ok(()) => self.size += lines.len() as u64,
            Err(error) => {
                log::error!("log lines lost in {}: {error}", self.path.display());
                let _ = self.file.set_len(self.size);
            }
        }
    }

    /// `x.log` → `x.log.1` → `x.log.2` …; with a single file, starts another. Who has the oldest open reads on in it.
    fn rotate(&mut self) {
        if self.drops_unread
            && let Some((oldest, from)) = self.unread_in_oldest()
        {
            self.count_unread(&oldest, from);
        }
        if self.max_file == 1 {
            let _ = std::fs::remove_file(&self.path);
        }
        for number in (1..self.max_file).rev() {
            let _ = std::fs::rename(numbered(&self.path, number - 1), numbered(&self.path, number));
        }
        match append(&self.path) {
            Ok(file) => (self.file, self.size) = (file, 0),
            Err(error) => log::error!("rotating {}: {error}", self.path.display()),
        }
    }

    /// The file that the next rotation removes, if its reader is not past it, and where the reader is.
    fn unread_in_oldest(&self) -> Option<(PathBuf, u64)> {
        let reader = self.reader.as_ref()?;
        let oldest = numbered(&self.path, self.max_file - 1);
        let file = std::fs::metadata(&oldest).ok()?;
        let Some(place) = reader.place() else {
            return Some((oldest, 0));
        };
        let is_past = (0..self.max_file - 1)
            .filter_map(|number| std::fs::metadata(numbered(&self.path, number)).ok())
            .any(|newer| place.is_in(&newer));
        match place.is_in(&file) {
            _ if is_past => None,
            true => (place.offset < file.len()).then_some((oldest, place.offset)),
            false => Some((oldest, 0)),
        }
    }

    fn count_unread(&mut self, oldest: &Path, from: u64) {
        let Ok(bytes) = std::fs::read(oldest) else { return };
        let unread = bytes.get(from as usize..).unwrap_or_default();
        self.drops += Drops {
            lines: unread.iter().filter(|&&byte| byte == b'\n').count() as u64,
            bytes: unread.len() as u64,
        };
    }

    /// Opens the files for reading, oldest first, each with its length: what is logged so far. Later rotation does not
    /// disturb the readers.
    pub fn open_all(&self) -> io::Result<Vec<(File, u64)>> {
        let mut files = Vec::new();
        for number in (0..self.max_file).rev() {
            match File::open(numbered(&self.path, number)) {
                Ok(file) => files.push((file.metadata()?.len(), file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files.into_iter().map(|(length, file)| (file, length)).collect())
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}
