//! Where a new layer goes: hashed, compressed, hashed again, written.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use zstd::stream::write::Encoder as ZstdEncoder;

use crate::error::{Context, LayerError, Result};
use crate::input::Compression;

/// The same as containerd's and Docker's defaults.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// Counts and hashes what passes through.
pub struct Hashed<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W> Hashed<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            bytes: 0,
        }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

type Stored = Hashed<BufWriter<File>>;

enum Compressor {
    None(Stored),
    Gzip(Box<GzEncoder<Stored>>),
    Zstd(ZstdEncoder<'static, Stored>),
}

impl Write for Compressor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(stored) => stored.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that becomes a layer.
pub struct Output(Hashed<Compressor>);

/// Digests (sha256) and sizes on both sides of the compression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub diff_sha256: [u8; 32],
    pub uncompressed_bytes: u64,
    pub sha256: [u8; 32],
    pub bytes: u64,
}

impl Output {
    /// The gzip header carries no name and no time, so the same content gives the same bytes.
    pub fn new(file: File, compression: Compression) -> Result<Self> {
        let stored = Hashed::new(BufWriter::with_capacity(1 << 20, file));
        let compressor = match compression {
            Compression::None => Compressor::None(stored),
            Compression::Gzip => Compressor::Gzip(Box::new(GzEncoder::new(
                stored,
                flate2::Compression::new(GZIP_LEVEL),
            ))),
            Compression::Zstd => {
                Compressor::Zstd(ZstdEncoder::new(stored, ZSTD_LEVEL).call("zstd", b"layer")?)
            }
            Compression::Auto => return Err(LayerError::archive("a new layer needs its compression named")),
        };
        Ok(Self(Hashed::new(compressor)))
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).call("write", b"layer")
    }

    /// Does not sync: whoever commits the file decides that.
    pub fn finish(self) -> Result<Written> {
        let plain = self.0;
        let stored = match plain.inner {
            Compressor::None(stored) => Ok(stored),
            Compressor::Gzip(encoder) => encoder.finish(),
            Compressor::Zstd(encoder) => encoder.finish(),
        };
        let mut stored = stored.call("write", b"layer")?;
        stored.flush().call("write", b"layer")?;
        Ok(Written {
            diff_sha256: plain.hash.finalize().into(),
            uncompressed_bytes: plain.bytes,
            sha256: stored.hash.finalize().into(),
            bytes: stored.bytes,
        })
    }
}
