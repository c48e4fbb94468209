//! A file's bytes: shared where the file system can, copied inside the kernel where not, and holes stay holes.

use std::os::fd::OwnedFd;

use rustix::fs::{self, SeekFrom};
use rustix::io::{self, Errno};

use crate::error::{Context, Result};

/// Copies contents, and remembers what this pair of file systems cannot do.
#[derive(Default)]
pub struct Contents {
    cannot_clone: bool,
    cannot_copy_in_kernel: bool,
    pub copied: u64,
    pub cloned: u64,
}

impl Contents {
    /// `made` is empty.
    pub fn copy(&mut self, source: &OwnedFd, made: &OwnedFd, size: u64) -> Result<()> {
        if size == 0 || self.clone(source, made)? {
            return Ok(());
        }
        fs::ftruncate(made, size).call("ftruncate")?;
        let mut at = 0;
        while let Some((start, end)) = next_data(source, at, size)? {
            self.range(source, made, start, end)?;
            at = end;
        }
        Ok(())
    }

    /// FICLONE: both files share their extents until one is written to.
    fn clone(&mut self, source: &OwnedFd, made: &OwnedFd) -> Result<bool> {
        if self.cannot_clone {
            return Ok(false);
        }
        match fs::ioctl_ficlone(made, source) {
            Ok(()) => {
                self.cloned += 1;
                Ok(true)
            }
            // Not this file system, or not across two of them.
            Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::NOTTY | Errno::NOSYS) => {
                self.cannot_clone = true;
                Ok(false)
            }
            // Not this file: a swap file, or one without checksums beside one with them.
            Err(Errno::INVAL | Errno::TXTBSY | Errno::PERM) => Ok(false),
            error => error.map(|()| false).call("FICLONE"),
        }
    }

    fn range(&mut self, source: &OwnedFd, made: &OwnedFd, start: u64, end: u64) -> Result<()> {
        let (mut from, mut to) = (start, start);
        while from < end && !self.cannot_copy_in_kernel {
            let length = usize::try_from(end - from).unwrap_or(usize::MAX).min(1 << 30);
            match fs::copy_file_range(source, Some(&mut from), made, Some(&mut to), length) {
                // Shorter than it was.
                Ok(0) => return Ok(()),
                Ok(count) => self.copied += count as u64,
                Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    self.cannot_copy_in_kernel = true;
                }
                error => error.map(drop).call("copy_file_range")?,
            }
        }
        self.through_memory(source, made, from, end)
    }

    fn through_memory(&mut self, source: &OwnedFd, made: &OwnedFd, start: u64, end: u64) -> Result<()> {
        let mut at = start;
        let mut chunk = vec![0; if start < end { 256 * 1024 } else { 0 }];
        while at < end {
            let wanted = chunk.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            let count = match io::pread(source, &mut chunk[..wanted], at) {
                Err(Errno::INTR) => continue,
                count => count.call("pread")?,
            };
            if count == 0 {
                break;
            }
            write_all(made, &chunk[..count], at)?;
            at += count as u64;
            self.copied += count as u64;
        }
        Ok(())
    }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8], mut at: u64) -> Result<()> {
    while !bytes.is_empty() {
        match io::pwrite(file, bytes, at) {
            Err(Errno::INTR) => {}
            count => {
                let count = count.call("pwrite")?;
                bytes = &bytes[count..];
                at += count as u64;
            }
        }
    }
    Ok(())
}

/// The next stretch that is no hole, at or after `at`.
fn next_data(file: &OwnedFd, at: u64, size: u64) -> Result<Option<(u64, u64)>> {
    if at >= size {
        return Ok(None);
    }
    let start = match fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) => start,
        // A hole up to the end.
        Err(Errno::NXIO) => return Ok(None),
        // A file system that knows no holes.
        Err(Errno::INVAL) => return Ok(Some((at, size))),
        error => error.call("lseek")?,
    };
    let end = fs::seek(file, SeekFrom::Hole(start)).call("lseek")?;
    Ok(Some((start, end.min(size))).filter(|(start, end)| start < end))
}
