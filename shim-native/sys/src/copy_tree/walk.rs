//! The way through the tree: by descriptors, so that a path may be longer than PATH_MAX and no link is followed.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};

use super::Tally;
use super::attributes::{Attributes, Place};
use super::content::Contents;
use crate::error::{Context, Result, SysError};

/// A directory being copied. What belongs to it is set when it is full: entries change its times.
struct Level {
    entries: Dir,
    made: Arc<OwnedFd>,
    stat: Stat,
}

/// Where the first name of a file with several went, and how many are still to come.
struct FirstName {
    directory: Arc<OwnedFd>,
    name: Vec<u8>,
    left: usize,
}

struct Copy {
    device: u64,
    linked: HashMap<u64, FirstName>,
    contents: Contents,
    tally: Tally,
    stop: Arc<AtomicBool>,
}

/// `to` must not exist. What a failure leaves there is the caller's to remove.
pub fn copy(from: &str, to: &str, stop: Arc<AtomicBool>) -> Result<Tally> {
    let source = fs::openat(CWD, from, DIRECTORY, Mode::empty()).call_on("open", from)?;
    let stat = fs::fstat(&source).call_on("fstat", from)?;
    fs::mkdirat(CWD, to, Mode::RWXU).call_on("mkdir", to)?;
    let made = fs::openat(CWD, to, DIRECTORY, Mode::empty()).call_on("open", to)?;
    let mut copy = Copy {
        device: stat.st_dev,
        linked: HashMap::new(),
        contents: Contents::default(),
        tally: Tally::default(),
        stop,
    };
    copy.tree(source, made, stat).map_err(|mut error| {
        error.what += &format!("; copying '{from}' to '{to}'");
        error
    })?;
    copy.tally.bytes = copy.contents.copied;
    copy.tally.cloned_files = copy.contents.cloned;
    Ok(copy.tally)
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Copy {
    /// Open directories wait on the heap; two descriptors per level.
    fn tree(&mut self, source: OwnedFd, made: OwnedFd, stat: Stat) -> Result<()> {
        let mut levels = vec![level(source, made, stat)?];
        while let Some(level) = levels.last_mut() {
            if self.stop.load(Ordering::Relaxed) {
                return Err(SysError::refused("ECANCELED", "the copy was stopped"));
            }
            let Some(entry) = level.entries.next() else {
                if let Some(full) = levels.pop() {
                    self.leave(&full)?;
                }
                continue;
            };
            let entry = entry.call("getdents64")?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                let below = self.entry(level, name).map_err(|error| named(error, name))?;
                levels.extend(below);
            }
        }
        Ok(())
    }

    /// Copies one entry, or answers the directory that is to be copied next.
    fn entry(&mut self, level: &Level, name: &[u8]) -> Result<Option<Level>> {
        let from = level.entries.fd().call("dirfd")?;
        let stat = fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).call("lstat")?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return self.directory(level, name, stat);
        }
        if stat.st_nlink > 1 && self.link(level, name, &stat)? {
            return Ok(None);
        }
        self.tally.inodes += 1;
        self.file(level, name, &stat)?;
        Ok(None)
    }

    /// The place of a mount is copied as an empty directory.
    fn directory(&mut self, level: &Level, name: &[u8], stat: Stat) -> Result<Option<Level>> {
        let from = level.entries.fd().call("dirfd")?;
        fs::mkdirat(&level.made, name, Mode::RWXU).call("mkdir")?;
        let made = fs::openat(&level.made, name, DIRECTORY, Mode::empty()).call("open")?;
        let source = fs::openat(from, name, DIRECTORY, Mode::empty()).call("open")?;
        if stat.st_dev != self.device {
            return Ok(None);
        }
        self::level(source, made, stat).map(Some)
    }

    fn leave(&mut self, level: &Level) -> Result<()> {
        self.tally.inodes += 1;
        let from = level.entries.fd().call("dirfd")?;
        let attributes = Attributes::of_descriptor(from, &level.stat)?;
        self.tally.skipped_xattrs += attributes.set_on_descriptor(&level.made)?;
        Ok(())
    }

    /// True when the file was copied under another name before, and is a link to that now.
    fn link(&mut self, level: &Level, name: &[u8], stat: &Stat) -> Result<bool> {
        let Some(first) = self.linked.get_mut(&stat.st_ino) else {
            let first = FirstName {
                directory: Arc::clone(&level.made),
                name: name.to_vec(),
                left: usize::try_from(stat.st_nlink).unwrap_or(usize::MAX) - 1,
            };
            self.linked.insert(stat.st_ino, first);
            return Ok(false);
        };
        let old = first.name.as_slice();
        fs::linkat(&first.directory, old, &level.made, name, AtFlags::empty()).call("link")?;
        first.left -= 1;
        if first.left == 0 {
            self.linked.remove(&stat.st_ino);
        }
        Ok(true)
    }

    fn file(&mut self, level: &Level, name: &[u8], stat: &Stat) -> Result<()> {
        let from = level.entries.fd().call("dirfd")?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let source = fs::openat(from, name, flags, Mode::empty()).call("open")?;
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = fs::openat(&level.made, name, flags, Mode::RUSR | Mode::WUSR).call("open")?;
                self.contents.copy(&source, &made, stat.st_size as u64)?;
                let attributes = Attributes::of_descriptor(&source, stat)?;
                self.tally.skipped_xattrs += attributes.set_on_descriptor(&made)?;
                return Ok(());
            }
            FileType::Symlink => {
                let target = fs::readlinkat(from, name, Vec::new()).call("readlink")?;
                fs::symlinkat(target, &level.made, name).call("symlink")?;
            }
            kind => {
                fs::mknodat(&level.made, name, kind, Mode::RUSR | Mode::WUSR, stat.st_rdev).call("mknod")?;
            }
        }
        let attributes = Attributes::of_place(&place(from.as_raw_fd(), name), stat)?;
        let made = place(level.made.as_raw_fd(), name);
        self.tally.skipped_xattrs += attributes.set_on_place(&level.made, &made)?;
        Ok(())
    }
}

fn place(parent: i32, name: &[u8]) -> Place<'_> {
    Place { parent, name }
}

fn level(source: OwnedFd, made: OwnedFd, stat: Stat) -> Result<Level> {
    let entries = Dir::new(source).call("getdents64")?;
    Ok(Level {
        entries,
        made: Arc::new(made),
        stat,
    })
}

fn named(error: SysError, name: &[u8]) -> SysError {
    use std::os::unix::ffi::OsStrExt;
    match error.path {
        Some(_) => error,
        None => error.path(std::ffi::OsStr::from_bytes(name)),
    }
}
