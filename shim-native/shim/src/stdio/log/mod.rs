//! The log of a process, in the format of Docker's json-file driver, rotated by size.
//!
//! A line is `{"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.000000000Z"}`. Output that has
//! no newline within 16 KiB is split there; the pieces lack the `\n`. Bytes that are not UTF-8 become
//! U+FFFD, as in Docker.

mod drops;
mod encode;
mod files;
mod reader;
mod ring;

use super::sink::Stream;
use super::target::Gantry;
use encode::{encode, next_line};
use files::LogFiles;
use ring::Ring;
use std::io;
use std::time::SystemTime;

pub use encode::MAX_LINE;
pub use ring::Snapshot;

/// Takes output as it comes and logs it line by line.
#[derive(Debug)]
pub struct JsonLog {
    outlet: Outlet,
    /// `,"attrs":{…}` or nothing.
    attrs: String,
    /// Unfinished lines of stdout and stderr.
    partial: [Vec<u8>; 2],
    /// Encoded lines on their way to the file.
    pending: Vec<u8>,
}

/// How lines get into the files.
#[derive(Debug)]
enum Outlet {
    /// At once: output waits for the disk, and nothing is lost.
    Direct(LogFiles),
    /// By a thread, as far as there is room for what waits.
    Ring(Ring),
}

impl JsonLog {
    /// Opens the log for appending; `Ok(None)` when none was asked for.
    pub fn open(target: &Gantry) -> io::Result<Option<Self>> {
        let Some(path) = &target.log else { return Ok(None) };
        let files = LogFiles::open(path, target)?;
        let outlet = match target.buffer {
            None => Outlet::Direct(files),
            Some(capacity) => Outlet::Ring(Ring::start(files, capacity as usize)?),
        };
        let attrs = target.attrs.as_ref().map(|attrs| format!(",\"attrs\":{attrs}"));
        Ok(Some(JsonLog {
            outlet,
            attrs: attrs.unwrap_or_default(),
            partial: Default::default(),
            pending: Vec::new(),
        }))
    }

    /// Logs every complete line of `bytes` (with what came before) and keeps the rest for later.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let now = SystemTime::now();
        let mut text = std::mem::take(&mut self.partial[stream as usize]);
        text.extend_from_slice(bytes);
        let mut rest = text.as_slice();
        while let Some(length) = next_line(rest) {
            let (line, after) = rest.split_at(length);
            self.add_line(stream, line, now);
            rest = after;
        }
        self.partial[stream as usize] = rest.to_vec();
        self.flush();
    }

    /// Logs an unfinished line at the stream's end, without inventing a newline.
    pub fn end(&mut self, stream: Stream) {
        let rest = std::mem::take(&mut self.partial[stream as usize]);
        if !rest.is_empty() {
            self.add_line(stream, &rest, SystemTime::now());
            self.flush();
        }
    }

    /// The unfinished line of `stream`, which is in no file yet.
    pub fn unfinished(&self, stream: Stream) -> &[u8] {
        &self.partial[stream as usize]
    }

    /// Opens what is logged so far for reading. Later lines are past the lengths returned. `WouldBlock`: try again soon.
    pub fn snapshot(&self) -> io::Result<Snapshot> {
        match &self.outlet {
            Outlet::Direct(files) => Ok((files.open_all()?, Vec::new())),
            Outlet::Ring(ring) => ring.snapshot(),
        }
    }

    /// The log's reader is so far behind that the container should wait for it.
    pub fn is_held(&self) -> bool {
        matches!(&self.outlet, Outlet::Direct(files) if files.is_held())
    }

    /// Resolves when all lines so far are in the files; `None`: they are.
    pub fn settled(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        match &self.outlet {
            Outlet::Direct(_) => None,
            Outlet::Ring(ring) => Some(ring.settled()),
        }
    }

    fn add_line(&mut self, stream: Stream, line: &[u8], time: SystemTime) {
        encode(&mut self.pending, stream, line, &self.attrs, time);
        if let Outlet::Ring(ring) = &self.outlet {
            ring.push(&self.pending);
            self.pending.clear();
        }
    }

    fn flush(&mut self) {
        if let Outlet::Direct(files) = &mut self.outlet {
            files.append(&self.pending);
        }
        self.pending.clear();
        self.pending.shrink_to(MAX_LINE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn log(dir: &Path, max_size: u64, max_file: u32) -> JsonLog {
        let log = Some(dir.join("x.log"));
        JsonLog::open(&Gantry {
            log,
            max_size,
            max_file,
            ..Gantry::default()
        })
        .unwrap()
        .unwrap()
    }

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn writes_whole_lines_and_the_rest_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), 0, 1);
        log.write(Stream::Stdout, b"one\ntw");
        log.write(Stream::Stderr, b"err\n");
        log.write(Stream::Stdout, b"o\nthree");
        log.end(Stream::Stdout);
        let got: Vec<_> = lines(&dir.path().join("x.log"))
            .iter()
            .map(|l| {
                (
                    l["log"].as_str().unwrap().to_owned(),
                    l["stream"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        let want = [
            ("one\n", "stdout"),
            ("err\n", "stderr"),
            ("two\n", "stdout"),
            ("three", "stdout"),
        ];
        assert_eq!(got, want.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn splits_long_lines_between_characters() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), 0, 1);
        let text = format!("{}\n", "é".repeat(20_000)).replacen('é', "x", 1);
        log.write(Stream::Stdout, text.as_bytes());
        let got = lines(&dir.path().join("x.log"));
        assert!(got.len() == 3 && got.iter().all(|l| l["log"].as_str().unwrap().len() <= MAX_LINE));
        let joined: String = got.iter().map(|l| l["log"].as_str().unwrap()).collect();
        assert_eq!(joined, text);
    }

    #[test]
    fn rotates_by_size_and_keeps_so_many_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), 200, 3);
        for number in 0..20 {
            log.write(Stream::Stdout, format!("line {number}\n").as_bytes());
        }
        let files = ["x.log.2", "x.log.1", "x.log"].map(|name| lines(&dir.path().join(name)));
        let kept: Vec<_> = files
            .iter()
            .flatten()
            .map(|l| l["log"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(kept.last().unwrap(), "line 19\n");
        assert!(kept.len() >= 6 && kept.len() < 12, "{kept:?}");
        assert!(!dir.path().join("x.log.3").exists());
        assert_eq!(log.snapshot().unwrap().0.len(), 3);
    }

    #[test]
    fn one_file_starts_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), 100, 1);
        for number in 0..9 {
            log.write(Stream::Stdout, format!("line {number}\n").as_bytes());
        }
        assert_eq!(
            lines(&dir.path().join("x.log")).last().unwrap()["log"],
            "line 8\n"
        );
        assert!(std::fs::metadata(dir.path().join("x.log")).unwrap().len() < 200);
    }

    /// A log whose reader has read `offset` bytes of the file that is `number` by now.
    fn read_so_far(dir: &Path, number: u32, offset: u64) {
        use std::os::unix::fs::MetadataExt;
        let name = if number == 0 {
            "x.log".into()
        } else {
            format!("x.log.{number}")
        };
        let file = std::fs::metadata(dir.join(name)).unwrap();
        let born = file
            .created()
            .unwrap()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let place =
            serde_json::json!({ "inode": file.ino(), "born": born.as_nanos().to_string(), "offset": offset });
        std::fs::write(dir.join("note"), place.to_string()).unwrap();
    }

    fn read_log(dir: &Path, buffer: Option<u64>) -> JsonLog {
        let target = Gantry {
            log: Some(dir.join("x.log")),
            max_size: 200,
            max_file: 2,
            reader: Some(dir.join("note")),
            buffer,
            ..Gantry::default()
        };
        JsonLog::open(&target).unwrap().unwrap()
    }

    #[test]
    fn nothing_goes_that_its_reader_has_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = read_log(dir.path(), None);
        for number in 0..20 {
            log.write(Stream::Stdout, format!("line {number}\n").as_bytes());
        }
        assert!(log.is_held());
        let live = dir.path().join("x.log");
        let (old, new) = (lines(&dir.path().join("x.log.1")), lines(&live));
        assert_eq!(old.len() + new.len(), 20);
        let first = std::fs::metadata(dir.path().join("x.log.1")).unwrap().len();
        read_so_far(dir.path(), 1, first);
        assert!(!log.is_held());
        log.write(Stream::Stdout, b"more\n");
        assert_eq!(lines(&live).len(), 1);
        assert!(log.is_held() || std::fs::metadata(&live).unwrap().len() < 200);
    }

    #[test]
    fn non_blocking_counts_what_its_reader_missed() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = read_log(dir.path(), Some(1 << 20));
        for number in 0..100 {
            log.write(Stream::Stdout, format!("line {number}\n").as_bytes());
        }
        assert!(!log.is_held());
        let settled = log.settled().unwrap();
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(settled);
        let drops: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.path().join("x.log.drops")).unwrap()).unwrap();
        let kept = lines(&dir.path().join("x.log.1")).len() + lines(&dir.path().join("x.log")).len();
        assert!(drops["lines"].as_u64().unwrap() > 80, "{drops}, {kept} kept");
    }
}
