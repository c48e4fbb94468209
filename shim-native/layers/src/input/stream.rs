//! Decompression and hashing on one thread, so that the caller's thread only writes files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};

use super::decompress::Decompressor;
use crate::error::{Context, LayerError, Result};

/// Large enough that handing it over costs nothing, small enough to stay in the second-level cache.
const CHUNK: usize = 256 * 1024;
/// Chunks between the threads: a burst of small files should not stall the decompressor.
const AHEAD: usize = 16;

/// The uncompressed stream, in chunks, with its position.
pub struct Stream {
    chunks: Receiver<Result<Vec<u8>>>,
    spent: Sender<Vec<u8>>,
    producer: Option<JoinHandle<[u8; 32]>>,
    cancel: Arc<AtomicBool>,
    chunk: Vec<u8>,
    start: usize,
    position: u64,
    max_bytes: u64,
}

/// What the whole stream was.
pub struct Summary {
    pub sha256: [u8; 32],
    pub bytes: u64,
}

impl Stream {
    pub fn new(decompressor: Decompressor, max_bytes: u64, cancel: Arc<AtomicBool>) -> Result<Self> {
        let (full, chunks) = sync_channel(AHEAD);
        let (spent, empty) = channel();
        let producer = std::thread::Builder::new()
            .name("layer-input".to_owned())
            .spawn(move || produce(decompressor, &full, &empty))
            .call("clone", b"layer-input")?;
        let (chunk, start, position) = (Vec::new(), 0, 0);
        Ok(Self {
            chunks,
            spent,
            producer: Some(producer),
            cancel,
            chunk,
            start,
            position,
            max_bytes,
        })
    }

    /// Bytes consumed so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The bytes at hand, at least one; empty at the end of the stream.
    pub fn available(&mut self) -> Result<&[u8]> {
        while self.start == self.chunk.len() {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(LayerError::Cancelled);
            }
            let Ok(next) = self.chunks.recv() else {
                return Ok(&[]);
            };
            // The producer may be gone; then nobody wants the buffer.
            let _ = self.spent.send(std::mem::replace(&mut self.chunk, next?));
            self.start = 0;
            if self.position + self.chunk.len() as u64 > self.max_bytes {
                return Err(LayerError::limit(format!(
                    "more than {} bytes uncompressed",
                    self.max_bytes
                )));
            }
        }
        Ok(&self.chunk[self.start..])
    }

    pub fn consume(&mut self, count: usize) {
        self.start += count;
        self.position += count as u64;
    }

    /// Fills `into`, or as much of it as there is.
    pub fn read_full(&mut self, into: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < into.len() {
            let available = self.available()?;
            if available.is_empty() {
                break;
            }
            let count = available.len().min(into.len() - done);
            into[done..done + count].copy_from_slice(&available[..count]);
            self.consume(count);
            done += count;
        }
        Ok(done)
    }

    /// Hands `count` bytes to `sink`, in as many pieces as they come.
    pub fn transfer(&mut self, count: u64, mut sink: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let available = self.available()?;
            if available.is_empty() {
                return Err(LayerError::archive(format!(
                    "it ends {left} bytes before the end of this entry's data"
                )));
            }
            let piece = available.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            sink(&available[..piece])?;
            self.consume(piece);
            left -= piece as u64;
        }
        Ok(())
    }

    /// Reads on to the end, whatever is there: the digest covers it.
    pub fn finish(mut self) -> Result<Summary> {
        loop {
            let count = self.available()?.len();
            if count == 0 {
                break;
            }
            self.consume(count);
        }
        let producer = self.producer.take().map(JoinHandle::join);
        match producer {
            Some(Ok(sha256)) => Ok(Summary {
                sha256,
                bytes: self.position,
            }),
            _ => Err(LayerError::archive("the decompressing thread panicked")),
        }
    }
}

/// An early end of the consumer ends the producer at its next chunk, because nobody takes it.
fn produce(
    mut decompressor: Decompressor,
    full: &SyncSender<Result<Vec<u8>>>,
    empty: &Receiver<Vec<u8>>,
) -> [u8; 32] {
    let mut hash = Sha256::new();
    loop {
        let mut chunk = empty.try_recv().unwrap_or_default();
        chunk.resize(CHUNK, 0);
        let outcome = fill(&mut decompressor, &mut chunk);
        let length = *outcome.as_ref().unwrap_or(&0);
        chunk.truncate(length);
        hash.update(&chunk);
        let (ended, failed) = (matches!(outcome, Ok(0)), outcome.is_err());
        if ended || full.send(outcome.map(|_| chunk)).is_err() || failed {
            return hash.finalize().into();
        }
    }
}

fn fill(decompressor: &mut Decompressor, chunk: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < chunk.len() {
        match decompressor.read(&mut chunk[done..])? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}
