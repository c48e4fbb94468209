//! The bytes of a layer as they are stored: a part of a file, read ahead.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt;

const BUFFER: usize = 256 * 1024;

/// Reads by position, so the file's own offset stays where it is.
pub struct Source {
    file: File,
    next: u64,
    /// Not to be read past.
    end: u64,
    buffer: Box<[u8]>,
    start: usize,
    filled: usize,
}

impl Source {
    /// `length` bytes from `offset`; `None`: to the end of the file.
    pub fn new(file: File, offset: u64, length: Option<u64>) -> Self {
        let end = length.map_or(u64::MAX, |length| offset.saturating_add(length));
        Self {
            file,
            next: offset,
            end,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            filled: 0,
        }
    }

    /// Position in the file of the next byte to be consumed.
    pub fn position(&self) -> u64 {
        self.next - (self.filled - self.start) as u64
    }

    /// Up to `count` bytes (a handful) without consuming them; fewer only at the end.
    pub fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.filled - self.start < count {
            self.buffer.copy_within(self.start..self.filled, 0);
            (self.start, self.filled) = (0, self.filled - self.start);
            if self.load()? == 0 {
                break;
            }
        }
        Ok(&self.buffer[self.start..self.filled.min(self.start + count)])
    }

    /// Appends to the buffer what the file gives in one read.
    fn load(&mut self) -> io::Result<usize> {
        let room = (self.buffer.len() - self.filled)
            .min(usize::try_from(self.end - self.next).unwrap_or(usize::MAX));
        loop {
            match self
                .file
                .read_at(&mut self.buffer[self.filled..self.filled + room], self.next)
            {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.filled += count;
                    self.next += count as u64;
                    return Ok(count);
                }
            }
        }
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.filled {
            (self.start, self.filled) = (0, 0);
            self.load()?;
        }
        Ok(&self.buffer[self.start..self.filled])
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
