//! A non-blocking pipe, FIFO or terminal on the event loop.

use rustix::fs::OFlags;
use rustix::io::Errno;
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::unix::AsyncFd;

/// Most bytes taken by one read. One buffer serves the whole process: it is used up before the next `await`.
const BUFFER: usize = 32 << 10;

thread_local! {
    static SHARED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// An open descriptor that can be waited for.
#[derive(Debug)]
pub struct Channel(AsyncFd<OwnedFd>);

impl Channel {
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&fd)?;
        rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
        // SAFETY: the `OwnedFd` stays open, and the same, for as long as the `AsyncFd` has it.
        Ok(Channel(unsafe { AsyncFd::register(fd) }?))
    }

    /// Waits for bytes, hands them to `take`, and returns how many there were; 0 at the end. A terminal
    /// whose last user has gone (EIO) is at its end.
    pub async fn read_with(&self, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            let result = ready.try_io(|fd| read_shared(fd.as_fd(), &mut take));
            match result {
                Ok(Err(error)) if error.raw_os_error() == Some(libc::EIO) => return Ok(0),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return result,
                Err(_would_block) => {}
            }
        }
    }

    /// Writes what fits now; 0 when nothing does.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match rustix::io::write(self.0.get_ref(), bytes) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            other => Ok(other?),
        }
    }

    /// Waits for room and writes what fits.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.writable().await?;
            match ready.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), bytes)?)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return result,
                Err(_would_block) => {}
            }
        }
    }

    /// Bytes that could be read now.
    pub fn waiting(&self) -> u64 {
        rustix::io::ioctl_fionread(self.0.get_ref()).unwrap_or(0)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

fn read_shared(fd: BorrowedFd<'_>, take: &mut impl FnMut(&[u8])) -> io::Result<usize> {
    SHARED.with_borrow_mut(|buffer| {
        buffer.resize(BUFFER, 0);
        let count = rustix::io::read(fd, &mut buffer[..])?;
        if count > 0 {
            take(&buffer[..count]);
        }
        Ok(count)
    })
}
