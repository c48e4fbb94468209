//! `tmpcopyup`: a tmpfs that starts with a copy of what it covers.

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, fstat, mkdirat, mknodat, openat,
    readlinkat, statat, symlinkat,
};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Deepest directory nesting that is copied.
const MAX_DEPTH: u32 = 64;

/// Copies the directory `from` (an `O_PATH` descriptor inside the root) into the detached mount `to`.
/// Symlinks are copied, never followed.
pub(super) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let source = open_directory(from, c".")?;
    let target = open_directory(to, c".")?;
    copy_directory(&source, target.as_fd(), MAX_DEPTH)
}

fn open_directory(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

fn copy_directory(source: &OwnedFd, target: BorrowedFd<'_>, depth: u32) -> Result<(), Errno> {
    if depth == 0 {
        return Err(Errno::LOOP);
    }
    for entry in Dir::read_from(source)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
        copy_entry(source.as_fd(), target, name, &stat, depth)?;
        let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
        chownat(target, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            rustix::fs::chmodat(target, name, Mode::from_raw_mode(stat.st_mode), AtFlags::empty())?;
        }
    }
    Ok(())
}

fn copy_entry(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    name: &CStr,
    stat: &Stat,
    depth: u32,
) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(stat.st_mode);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(target, name, mode)?;
            let (from, to) = (open_directory(source, name)?, open_directory(target, name)?);
            copy_directory(&from, to.as_fd(), depth - 1)
        }
        FileType::Symlink => symlinkat(&readlinkat(source, name, Vec::new())?, target, name),
        FileType::RegularFile => copy_file(source, target, name),
        other => mknodat(target, name, other, mode, stat.st_rdev),
    }
}

fn copy_file(source: BorrowedFd<'_>, target: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let from = openat(
        source,
        name,
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let to = openat(target, name, flags, Mode::from_raw_mode(0o600))?;
    let size = fstat(&from)?.st_size as u64;
    let mut left = size;
    while left > 0 {
        match rustix::fs::sendfile(&to, &from, None, left.min(1 << 30) as usize)? {
            0 => break,
            copied => left -= copied as u64,
        }
    }
    Ok(())
}
