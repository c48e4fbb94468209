//! gzip (RFC 1952) and zstd (RFC 8878) streams, of any number of members or frames.
//!
//! What follows the last one and is not another (zero padding, garbage) is left alone, as gzip(1) does:
//! the compressed bytes have a digest of their own.

use std::io::{self, Read};

use flate2::bufread::GzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::source::Source;
use crate::error::{Context, LayerError, Result};

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Told by the first bytes.
    Auto,
    None,
    Gzip,
    Zstd,
}

/// The uncompressed stream.
pub struct Decompressor {
    state: State,
    /// Where the compressed data ended or failed.
    position: u64,
}

enum State {
    Plain(Source),
    Gzip(Box<GzDecoder<Source>>),
    Zstd(ZstdDecoder<'static, Source>),
    Finished,
}

impl Decompressor {
    pub fn new(mut source: Source, compression: Compression) -> Result<Self> {
        let kind = match compression {
            Compression::Auto => detect(source.peek(4).call("read", b"layer")?).unwrap_or(Compression::None),
            named => named,
        };
        let state = match kind {
            Compression::Gzip => State::Gzip(Box::new(GzDecoder::new(source))),
            Compression::Zstd => zstd_frame(source).call("zstd", b"layer")?,
            Compression::None | Compression::Auto => State::Plain(source),
        };
        Ok(Self { state, position: 0 })
    }

    /// As [`Read::read`]; 0 at the end of the stream.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        loop {
            let outcome = match &mut self.state {
                State::Plain(source) => return source.read(into).call("read", b"layer"),
                State::Gzip(member) => member.read(into),
                State::Zstd(frame) => frame.read(into),
                State::Finished => return Ok(0),
            };
            match outcome {
                Ok(0) => self.next_member()?,
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.damaged(&error)),
            }
        }
    }

    fn next_member(&mut self) -> Result<()> {
        let (mut source, kind) = match std::mem::replace(&mut self.state, State::Finished) {
            State::Gzip(member) => (member.into_inner(), Compression::Gzip),
            State::Zstd(frame) => (frame.finish(), Compression::Zstd),
            State::Plain(_) | State::Finished => return Ok(()),
        };
        self.position = source.position();
        let follows = detect(source.peek(4).call("read", b"layer")?);
        if follows == Some(kind) {
            self.state = match kind {
                Compression::Gzip => State::Gzip(Box::new(GzDecoder::new(source))),
                _ => zstd_frame(source).call("zstd", b"layer")?,
            };
        }
        Ok(())
    }

    fn damaged(&self, error: &io::Error) -> LayerError {
        let (format, offset) = match &self.state {
            State::Gzip(member) => ("gzip", member.get_ref().position()),
            State::Zstd(frame) => ("zstd", frame.get_ref().position()),
            State::Plain(_) | State::Finished => ("", self.position),
        };
        let truncated = error.kind() == io::ErrorKind::UnexpectedEof;
        let what = if truncated {
            "it ends too early".to_owned()
        } else {
            error.to_string()
        };
        LayerError::Compression { format, what, offset }
    }
}

fn zstd_frame(source: Source) -> io::Result<State> {
    Ok(State::Zstd(ZstdDecoder::with_buffer(source)?.single_frame()))
}

fn detect(start: &[u8]) -> Option<Compression> {
    match start {
        [0x1f, 0x8b, 8, ..] => Some(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd] => Some(Compression::Zstd),
        // A skippable frame, as eStargz-like tools put in front or at the end.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Some(Compression::Zstd),
        _ => None,
    }
}
