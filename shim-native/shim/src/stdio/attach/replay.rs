//! Turns a log back into the output it was made of.

use super::protocol::{self, Hello};
use crate::stdio::log::JsonLog;
use crate::stdio::sink::Stream;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Cursor, Read};

/// Frames are handed out in pieces of about this size.
const PIECE: usize = 32 << 10;

/// The state of a log at one moment, to be sent at the client's pace.
pub struct Replay {
    files: VecDeque<Box<dyn BufRead + Send>>,
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
        let (files, waiting) = log.snapshot()?;
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
            .into_iter()
            .map(|(file, length)| Box::new(BufReader::new(file.take(length))) as Box<dyn BufRead + Send>)
            .chain([Box::new(Cursor::new(waiting)) as Box<dyn BufRead + Send>])
            .collect();
        Ok(Replay {
            files,
            unfinished,
            hello,
        })
    }

    /// The next frames; empty when there are no more. Neighbouring lines of one stream share a frame.
    pub fn next(&mut self) -> io::Result<Vec<u8>> {
        let (mut frames, mut text, mut kind) = (Vec::new(), Vec::new(), protocol::STDOUT);
        let mut bytes = Vec::new();
        while frames.len() + text.len() < PIECE {
            let Some(file) = self.files.front_mut() else { break };
            bytes.clear();
            if file.read_until(b'\n', &mut bytes)? == 0 {
                self.files.pop_front();
                continue;
            }
            let Some((next, line)) = self.parse(&bytes) else {
                continue;
            };
            if next != kind {
                flush(&mut frames, kind, &mut text);
                kind = next;
            }
            text.extend_from_slice(line.log.as_bytes());
        }
        flush(&mut frames, kind, &mut text);
        if frames.is_empty() {
            frames = std::mem::take(&mut self.unfinished);
        }
        Ok(frames)
    }

    /// A line the client wants, with its frame type. One damaged by a full disk or a crash is left out.
    fn parse<'a>(&self, line: &'a [u8]) -> Option<(u8, Line<'a>)> {
        let line: Line<'a> = serde_json::from_slice(line).ok()?;
        let (kind, wanted) = match &*line.stream {
            "stderr" => (protocol::STDERR, self.hello.stderr),
            _ => (protocol::STDOUT, self.hello.stdout),
        };
        wanted.then_some((kind, line))
    }
}

fn flush(frames: &mut Vec<u8>, kind: u8, text: &mut Vec<u8>) {
    if !text.is_empty() {
        protocol::push_frame(frames, kind, text);
        text.clear();
    }
}
