//! Logging programs (`binary://`): fed by pipes, outside the shim's event loop.
//!
//! The program gets stdout at fd 3, stderr at fd 4 and says at fd 5 that it is ready.

use super::channel::Channel;
use super::target::Binary;
use crate::log;
use crate::reaper::{Exit, Reaper};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a logger may take to say that it is ready.
const READY: Duration = Duration::from_secs(10);
/// Head start before SIGTERM: at the end of its input a logger should end by itself.
const WIND_UP: Duration = Duration::from_secs(1);
/// Time between SIGTERM and SIGKILL.
const TERMINATE: Duration = Duration::from_secs(12);

/// A running logger.
#[derive(Debug)]
pub struct Logger {
    pid: i32,
    exit: oneshot::Receiver<Exit>,
}

/// The logger, and the pipes to give to the container.
pub struct Started {
    pub logger: Logger,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// Runs the program and waits until it is ready.
pub async fn start(target: &Binary, id: &str, namespace: &str, reaper: &Reaper) -> io::Result<Started> {
    let (out_reader, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (err_reader, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    let (ready_reader, ready) = pipe_with(PipeFlags::CLOEXEC)?;
    let handed = [out_reader.as_raw_fd(), err_reader.as_raw_fd(), ready.as_raw_fd()];
    let mut command = Command::new(&target.program);
    command
        .args(&target.arguments)
        .env("CONTAINER_ID", id)
        .env("CONTAINER_NAMESPACE", namespace);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: `place` only calls fcntl and dup2, which are async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(move || place(handed)) };
    let pid = command
        .spawn()
        .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", target.program.display())))?
        .id() as i32;
    let logger = Logger {
        pid,
        exit: reaper.watch(pid),
    };
    drop((out_reader, err_reader, ready));
    let said = timeout(READY, Channel::new(ready_reader)?.read_with(|_| ())).await;
    let problem = match said {
        Ok(Ok(0)) if target.strict => "ended without being ready",
        Ok(Ok(_)) => {
            return Ok(Started {
                logger,
                stdout,
                stderr,
            });
        }
        Ok(Err(error)) => return Err(error),
        Err(_) => "was not ready in 10 s",
    };
    logger.signal(libc::SIGKILL);
    Err(io::Error::other(format!(
        "logging program {} {problem}",
        target.program.display()
    )))
}

/// Moves `fds` to 3, 4 and 5, past each other: first out of the way, then into place (which also clears
/// close-on-exec).
fn place(fds: [RawFd; 3]) -> io::Result<()> {
    for (target, fd) in (3..).zip(fds.map(|fd| {
        // SAFETY: plain system call on a descriptor this process owns.
        unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10) }
    })) {
        // SAFETY: as above; a failed duplication (-1) makes this fail with EBADF.
        if unsafe { libc::dup2(fd, target) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

impl Logger {
    /// Lets the logger finish, asks it to, and makes it, in that order.
    pub async fn stop(mut self) {
        for (patience, signal) in [(WIND_UP, libc::SIGTERM), (TERMINATE, libc::SIGKILL)] {
            if timeout(patience, &mut self.exit).await.is_ok() {
                return;
            }
            log::debug!("logger {} still runs, sending signal {signal}", self.pid);
            self.signal(signal);
        }
    }

    fn signal(&self, signal: i32) {
        // SAFETY: plain system call. The pid is not reused: it is unreaped, or `exit` would be filled.
        unsafe { libc::kill(self.pid, signal) };
    }
}
