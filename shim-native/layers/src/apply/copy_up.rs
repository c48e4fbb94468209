//! Taking something of a lower layer into the upper directory, as overlayfs does at the first write.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, FileType, Gid, Mode, OFlags, Stat, Timestamps, Uid};
use rustix::io::Errno;

use super::attributes::{Node, set_on_node, timestamps};
use super::lowers::Found;
use super::overlay::{Marks, is_reserved};
use super::tree::Directory;
use crate::error::{Context, LayerError, Result};
use crate::tar::{Entry, Time};

/// Gives a new directory or file what the lower one has, except times, which are returned.
pub fn inherit(found: &Found, made: &OwnedFd, path: &[u8]) -> Result<Time> {
    let stat = &found.stat;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fs::fchown(made, Some(uid), Some(gid)).call("fchown", path)?;
    fs::fchmod(made, Mode::from_raw_mode(stat.st_mode & 0o7777)).call("fchmod", path)?;
    let source = found.open()?;
    for (name, value) in xattrs(&source).call("flistxattr", path)? {
        match fs::fsetxattr(made, name.as_slice(), &value, fs::XattrFlags::empty()) {
            Err(Errno::NOTSUP) => {}
            outcome => outcome.call("fsetxattr", path)?,
        }
    }
    Ok(time(stat))
}

/// Copies a file, link or device of a lower layer to the same place in the upper directory.
pub fn copy_up(found: &Found, parent: &Directory, path: &[u8]) -> Result<()> {
    let name = found.name.as_slice();
    match found.kind() {
        FileType::RegularFile => return copy_file(found, parent, path),
        FileType::Symlink => {
            fs::symlinkat(found.read_link()?.as_slice(), parent, name).call("symlink", path)?;
        }
        FileType::Directory => return Err(Errno::ISDIR).call("link", path),
        kind => {
            fs::mknodat(parent, name, kind, Mode::from_raw_mode(0o600), found.stat.st_rdev)
                .call("mknod", path)?;
        }
    }
    let stat = &found.stat;
    let entry = Entry {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: time(stat),
        ..Entry::default()
    };
    let node = Node {
        parent: parent.as_fd(),
        name,
        path,
    };
    set_on_node(&node, &entry, found.kind() == FileType::Symlink).map(drop)
}

fn copy_file(found: &Found, parent: &Directory, path: &[u8]) -> Result<()> {
    for marks in [Marks::Trusted, Marks::User] {
        if marks.is_metacopy(&found.parent, &found.name, path)? {
            return Err(LayerError::archive(format!(
                "a link to '{}', whose data lies in yet another layer (overlay's metacopy): not implemented",
                String::from_utf8_lossy(path)
            )));
        }
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made =
        fs::openat(parent, found.name.as_slice(), flags, Mode::from_raw_mode(0o600)).call("open", path)?;
    let mut target = File::from(made);
    // copy_file_range(2) where it can be, and so a shared extent where the file system has those.
    io::copy(&mut File::from(found.open()?), &mut target).call("copy", path)?;
    let made = OwnedFd::from(target);
    let time = inherit(found, &made, path)?;
    let times: Timestamps = timestamps(time);
    fs::futimens(&made, &times).call("futimens", path)
}

fn time(stat: &Stat) -> Time {
    Time {
        seconds: stat.st_mtime,
        nanoseconds: stat.st_mtime_nsec as u32,
    }
}

/// All but those that steer overlayfs.
pub fn xattrs(file: &OwnedFd) -> rustix::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = vec![0; 64 * 1024];
    let length = match fs::flistxattr(file, &mut names) {
        Err(Errno::NOTSUP) => 0,
        length => length?,
    };
    let mut found = Vec::new();
    for name in names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty() && !is_reserved(name))
    {
        let mut value = vec![0; 64 * 1024];
        let length = fs::fgetxattr(file, name, &mut value)?;
        value.truncate(length);
        found.push((name.to_vec(), value));
    }
    Ok(found)
}
