//! Reading and writing the small files of the cgroup trees, with errors that name file and value.

use crate::error::{Error, Step};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Writes `value` in one call. A missing file is an error too.
pub(super) fn write(directory: &Path, file: &str, value: &str) -> Result<(), Error> {
    try_write(directory, file, value).map_err(|errno| failed(directory, file, Some(value), errno))
}

pub(super) fn try_write(directory: &Path, file: &str, value: &str) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, directory.join(file), flags, Mode::empty())?;
    rustix::io::write(fd, value.as_bytes()).map(drop)
}

pub(super) fn read(directory: &Path, file: &str) -> Result<String, Error> {
    std::fs::read_to_string(directory.join(file)).map_err(|error| {
        failed(
            directory,
            file,
            None,
            Errno::from_io_error(&error).unwrap_or(Errno::IO),
        )
    })
}

/// A file that takes one command with each call of `write`: opened once for many.
pub(super) struct Commands<'d> {
    directory: &'d Path,
    file: &'static str,
    fd: OwnedFd,
}

impl<'d> Commands<'d> {
    pub(super) fn open(directory: &'d Path, file: &'static str) -> Result<Self, Error> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, directory.join(file), flags, Mode::empty())
            .map_err(|errno| failed(directory, file, None, errno))?;
        Ok(Self { directory, file, fd })
    }

    pub(super) fn give(&self, command: &str) -> Result<(), Error> {
        rustix::io::write(&self.fd, command.as_bytes())
            .map(drop)
            .map_err(|errno| failed(self.directory, self.file, Some(command), errno))
    }
}

/// Content of a file that the host may lack.
pub(super) fn read_optional(directory: &Path, file: &str) -> Option<String> {
    std::fs::read_to_string(directory.join(file)).ok()
}

/// A single number; `max` is `u64::MAX`, missing or unreadable is 0.
pub(super) fn number(directory: &Path, file: &str) -> u64 {
    read_optional(directory, file).map_or(0, |text| parse_number(text.trim()))
}

pub(super) fn parse_number(text: &str) -> u64 {
    if text == "max" {
        u64::MAX
    } else {
        text.parse().unwrap_or(0)
    }
}

/// Lines of `name value`.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        Some((name, parse_number(value.trim())))
    })
}

pub(super) fn failed(directory: &Path, file: &str, value: Option<&str>, errno: Errno) -> Error {
    let path = directory.join(file);
    let subject = match value {
        Some(value) => format!("writing {value:?} to {}", path.display()),
        None => format!("reading {}", path.display()),
    };
    Error::system(Step::Cgroup, subject, errno)
}
