//! The standard streams of a process without a terminal.

use crate::error::{Error, Step};
use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, Uid, fchown, fstat, makedev};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub(crate) struct Streams {
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

impl Streams {
    /// Gives pipes to the process's user (host ids), so that it may open `/dev/stdout` again. Files,
    /// sockets and devices of the host keep their owner.
    pub(crate) fn give_to(&self, uid: u32, gid: u32) -> Result<(), Error> {
        for stream in [&self.stdin, &self.stdout, &self.stderr] {
            give(stream.as_fd(), uid, gid).map_err(|errno| {
                Error::system(Step::Stdio, format!("giving a pipe to {uid}:{gid}"), errno)
            })?;
        }
        Ok(())
    }

    /// Puts them on 0, 1 and 2. The originals lie above 2 (see [`above_standard`]) or the order would matter.
    pub(crate) fn connect(&self) -> Result<(), Error> {
        let failed = |what: &'static str| move |errno| Error::system(Step::Stdio, what, errno);
        let own = |stream: &OwnedFd| own_null(stream.as_fd());
        rustix::stdio::dup2_stdin(own(&self.stdin).as_ref().unwrap_or(&self.stdin))
            .map_err(failed("stdin"))?;
        rustix::stdio::dup2_stdout(own(&self.stdout).as_ref().unwrap_or(&self.stdout))
            .map_err(failed("stdout"))?;
        rustix::stdio::dup2_stderr(own(&self.stderr).as_ref().unwrap_or(&self.stderr))
            .map_err(failed("stderr"))
    }
}

/// The container's own `/dev/null` for the host's: a checkpoint can hold only files that the container can name.
fn own_null(stream: BorrowedFd<'_>) -> Option<OwnedFd> {
    let is_null = |fd: BorrowedFd<'_>| {
        fstat(fd).is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
                && stat.st_rdev == makedev(1, 3)
        })
    };
    if !is_null(stream) {
        return None;
    }
    // What an image has there may be anything: a link is not followed, a FIFO not waited for.
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let own = rustix::fs::openat(CWD, "/dev/null", flags, Mode::empty()).ok()?;
    is_null(own.as_fd()).then_some(own)
}

fn give(stream: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<(), Errno> {
    let stat = fstat(stream)?;
    let is_pipe = FileType::from_raw_mode(stat.st_mode) == FileType::Fifo;
    if !is_pipe || (stat.st_uid, stat.st_gid) == (uid, gid) {
        return Ok(());
    }
    match fchown(stream, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
        // A fifo on a read-only file system, or in a user namespace that does not map its owner.
        Err(Errno::ROFS | Errno::PERM | Errno::INVAL) => Ok(()),
        other => other,
    }
}

/// The same stream on a number above 2, whatever the caller's own streams look like.
pub(crate) fn above_standard(fd: OwnedFd) -> Result<OwnedFd, Error> {
    use std::os::fd::AsRawFd;
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    rustix::io::fcntl_dupfd_cloexec(&fd, 3).map_err(|errno| Error::system(Step::Stdio, "dup", errno))
}
