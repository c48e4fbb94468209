//! Feeding a child its input and collecting its output, until it ends.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::{Context, Result, SysError};

/// Both ends close on exec.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).call("pipe2")
}

/// Input still to be written; the pipe is closed with the last byte.
pub struct Input {
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
    written: usize,
}

impl Input {
    pub fn new(pipe: Option<OwnedFd>, bytes: Vec<u8>) -> Result<Self> {
        if let Some(pipe) = &pipe {
            nonblocking(pipe)?;
        }
        Ok(Self {
            pipe,
            bytes,
            written: 0,
        })
    }

    /// A child that does not read its input is its own business: EPIPE ends the writing, not the call.
    fn advance(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        match rustix::io::write(pipe, &self.bytes[self.written..]) {
            Ok(count) => self.written += count,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => self.written = self.bytes.len(),
        }
        if self.written == self.bytes.len() {
            self.pipe = None;
        }
    }
}

/// One output stream of the child.
pub struct Output {
    pipe: Option<std::fs::File>,
    pub bytes: Vec<u8>,
    limit: usize,
    name: &'static str,
}

impl Output {
    pub fn new(pipe: OwnedFd, limit: usize, name: &'static str) -> Result<Self> {
        nonblocking(&pipe)?;
        Ok(Self {
            pipe: Some(pipe.into()),
            bytes: Vec::new(),
            limit,
            name,
        })
    }

    /// Reads what is there now.
    fn drain(&mut self) -> Result<()> {
        let mut chunk = [0; 16 * 1024];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.keep(&chunk[..count])?,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).call("read"),
            }
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        if self.bytes.len() + bytes.len() > self.limit {
            let what = format!(
                "the program wrote more than {} bytes to {}",
                self.limit, self.name
            );
            return Err(SysError::refused("EMSGSIZE", what));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

fn nonblocking(fd: impl AsFd) -> Result<()> {
    fcntl_setfl(fd, OFlags::NONBLOCK).call("fcntl")
}

/// Runs until the process behind `pidfd` has ended. Its output is read once more then, but not to its end:
/// what it started may live on and hold the pipes.
pub fn converse(
    pidfd: &OwnedFd,
    input: &mut Input,
    outputs: &mut [Output; 2],
    deadline: Instant,
) -> Result<()> {
    loop {
        let ended = wait(pidfd, input, outputs, deadline)?;
        input.advance();
        for output in outputs.iter_mut() {
            output.drain()?;
        }
        if ended {
            return Ok(());
        }
    }
}

/// Sleeps until something can be done; true when the process has ended.
fn wait(pidfd: &OwnedFd, input: &Input, outputs: &[Output; 2], deadline: Instant) -> Result<bool> {
    let mut fds = vec![PollFd::new(pidfd, PollFlags::IN)];
    fds.extend(input.pipe.iter().map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
    fds.extend(
        outputs
            .iter()
            .filter_map(|output| output.pipe.as_ref())
            .map(|pipe| PollFd::new(pipe, PollFlags::IN)),
    );
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => {
                return Err(SysError::refused(
                    "ETIMEDOUT",
                    "the program did not end in time and was killed",
                ));
            }
            Ok(_) => return Ok(!fds[0].revents().is_empty()),
            Err(Errno::INTR) => {}
            error => return error.map(|_| false).call("poll"),
        }
    }
}
