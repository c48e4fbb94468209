//! The log file, in the format of Docker's json-file driver, rotated by size.
//!
//! A line is `{"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.000000000Z"}`. Output that has
//! no newline within 16 KiB is split there; the pieces lack the `\n`. Bytes that are not UTF-8 become
//! U+FFFD, as in Docker.

use super::sink::Stream;
use super::target::Gantry;
use crate::log;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Longest text of one line, Docker's own limit.
pub const MAX_LINE: usize = 16 << 10;

/// The files of one process's log.
#[derive(Debug)]
pub struct JsonLog {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: u64,
    max_file: u32,
    /// `,"attrs":{…}` or nothing.
    attrs: String,
    /// Unfinished lines of stdout and stderr.
    partial: [Vec<u8>; 2],
    /// Encoded lines on their way to the file.
    pending: Vec<u8>,
}

impl JsonLog {
    /// Opens the log for appending; `Ok(None)` when none was asked for.
    pub fn open(target: &Gantry) -> io::Result<Option<Self>> {
        let Some(path) = &target.log else { return Ok(None) };
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let file = append(path, false)?;
        let attrs = target
            .tag
            .as_ref()
            .map(|tag| format!(",\"attrs\":{}", serde_json::json!({ "tag": tag })));
        Ok(Some(JsonLog {
            size: file.metadata()?.len(),
            path: path.clone(),
            file,
            max_size: target.max_size,
            max_file: target.max_file,
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

    /// Opens what is logged so far for reading, oldest file first. Later rotation does not disturb the
    /// readers; later lines are past the returned length of the last file.
    pub fn snapshot(&self) -> io::Result<Vec<(File, u64)>> {
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

    fn add_line(&mut self, stream: Stream, line: &[u8], time: SystemTime) {
        if self.max_size > 0 && self.size + self.pending.len() as u64 >= self.max_size {
            self.flush();
            self.rotate();
        }
        encode(&mut self.pending, stream, line, &self.attrs, time);
    }

    /// Writes what is pending, whole or not at all: half a line would spoil the next one.
    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        match self.file.write_all(&self.pending) {
            Ok(()) => self.size += self.pending.len() as u64,
            Err(error) => {
                log::error!("log lines lost in {}: {error}", self.path.display());
                let _ = self.file.set_len(self.size);
            }
        }
        self.pending.clear();
        self.pending.shrink_to(MAX_LINE);
    }

    /// `x.log` → `x.log.1` → `x.log.2` …; with a single file, starts it anew.
    fn rotate(&mut self) {
        for number in (1..self.max_file).rev() {
            let _ = std::fs::rename(numbered(&self.path, number - 1), numbered(&self.path, number));
        }
        match append(&self.path, true) {
            Ok(file) => (self.file, self.size) = (file, 0),
            Err(error) => log::error!("rotating {}: {error}", self.path.display()),
        }
    }
}

/// Length of the first line of `text`, newline included, or of a full piece; `None` if it may grow yet.
fn next_line(text: &[u8]) -> Option<usize> {
    let window = &text[..text.len().min(MAX_LINE + 1)];
    match window.iter().position(|&byte| byte == b'\n') {
        Some(at) => Some(at + 1),
        None if text.len() >= MAX_LINE => Some(piece(&text[..MAX_LINE])),
        None => None,
    }
}

/// Length of `text` less a UTF-8 sequence cut off at its end.
fn piece(text: &[u8]) -> usize {
    let tail = text.iter().rev().take(3).position(|byte| byte & 0xc0 != 0x80);
    let Some(back) = tail else { return text.len() };
    let lead = text[text.len() - 1 - back];
    let needed = match lead {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    if needed > back + 1 {
        text.len() - 1 - back
    } else {
        text.len()
    }
}

fn encode(into: &mut Vec<u8>, stream: Stream, line: &[u8], attrs: &str, time: SystemTime) {
    into.extend_from_slice(b"{\"log\":\"");
    escape(into, line);
    let name = if stream == Stream::Stdout {
        "stdout"
    } else {
        "stderr"
    };
    let time = humantime::format_rfc3339_nanos(time);
    let _ = writeln!(into, "\",\"stream\":\"{name}\"{attrs},\"time\":\"{time}\"}}");
}

/// JSON string escapes as Go writes them, HTML's characters included: readers compare lines bytewise.
fn escape(into: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => into.extend_from_slice(b"\\\""),
                '\\' => into.extend_from_slice(b"\\\\"),
                '\n' => into.extend_from_slice(b"\\n"),
                '\r' => into.extend_from_slice(b"\\r"),
                '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    let _ = write!(into, "\\u{:04x}", character as u32);
                }
                other => into.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for _ in chunk.invalid() {
            into.extend_from_slice(b"\\ufffd");
        }
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

fn append(path: &Path, truncate: bool) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)?;
    if truncate {
        file.set_len(0)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn escapes_as_docker_does() {
        let mut out = Vec::new();
        escape(&mut out, b"<a>&\"\\\t\x1b\xff\n");
        assert_eq!(out, br#"\u003ca\u003e\u0026\"\\\u0009\u001b\ufffd\n"#);
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
        assert_eq!(log.snapshot().unwrap().len(), 3);
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
}
