//! Turns a log back into the output it was made of.

use super::protocol::{self, Hello};
use crate::stdio::json_log::JsonLog;
use crate::stdio::sink::Stream;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Take};

/// Frames are handed out in pieces of about this size.
const PIECE: usize = 32 << 10;

/// The state of a log at one moment, to be sent at the client's pace.
pub struct Replay {
    files: VecDeque<BufReader<Take<File>>>,
    unfinished: Vec<u8>,
    hello: Hello,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
}

impl Replay {
    /// Captures everything `log` has taken so far, the unfinished lines included.
    pub fn capture(log: &JsonLog, hello: Hello) -> io::Result<Self> {
        let files = log.snapshot()?.into_iter();
        let mut unfinished = Vec::new();
        for (stream, kind, wanted) in [
            (Stream::Stdout, protocol::STDOUT, hello.stdout),
            (Stream::Stderr, protocol::STDERR, hello.stderr),
        ] {
            let text = log.unfinished(stream);
            if wanted && !text.is_empty() {
                protocol::push_frame(&mut unfinished, kind, text);
            }
        }
        let files = files
            .map(|(file, length)| BufReader::new(file.take(length)))
            .collect();
        Ok(Replay {
            files,
            unfinished,
            hello,
        })
    }

    /// The next frames; empty when there are no more.
    pub fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut frames = Vec::new();
        let mut line = Vec::new();
        while frames.len() < PIECE {
            let Some(file) = self.files.front_mut() else { break };
            line.clear();
            if file.read_until(b'\n', &mut line)? == 0 {
                self.files.pop_front();
                continue;
            }
            self.add(&mut frames, &line);
        }
        if frames.is_empty() {
            frames = std::mem::take(&mut self.unfinished);
        }
        Ok(frames)
    }

    /// A line damaged by a full disk or a crash is left out.
    fn add(&self, frames: &mut Vec<u8>, line: &[u8]) {
        let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else {
            return;
        };
        let (kind, wanted) = match &*line.stream {
            "stderr" => (protocol::STDERR, self.hello.stderr),
            _ => (protocol::STDOUT, self.hello.stdout),
        };
        if wanted {
            protocol::push_frame(frames, kind, line.log.as_bytes());
        }
    }
}
