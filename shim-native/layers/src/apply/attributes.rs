//! Owner, mode, extended attributes and times of what was just made.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{self, AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::overlay::is_reserved;
use crate::error::{Context, Result};
use crate::tar::{Entry, Time};

/// Something without a descriptor of its own that can change it: a link, a device, a FIFO.
pub struct Node<'a> {
    pub parent: BorrowedFd<'a>,
    pub name: &'a [u8],
    pub path: &'a [u8],
}

/// On an open file or directory, all but the times. Owner first, because a change of owner clears setuid bits and
/// file capabilities. Returns how many attributes the file system cannot hold.
pub fn set_on_fd(fd: impl AsFd, entry: &Entry, path: &[u8]) -> Result<u64> {
    let fd = fd.as_fd();
    fs::fchown(fd, owner(entry), group(entry)).call("fchown", path)?;
    fs::fchmod(fd, Mode::from_raw_mode(entry.mode)).call("fchmod", path)?;
    set_xattrs(entry, path, |name, value| {
        fs::fsetxattr(fd, name, value, XattrFlags::empty())
    })
}

/// On a node, times included.
pub fn set_on_node(node: &Node<'_>, entry: &Entry, is_link: bool) -> Result<u64> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    fs::chownat(node.parent, node.name, owner(entry), group(entry), flags).call("fchownat", node.path)?;
    if !is_link {
        // Does not follow: we made it a moment ago, and it is no link.
        let mode = Mode::from_raw_mode(entry.mode);
        fs::chmodat(node.parent, node.name, mode, AtFlags::empty()).call("fchmodat", node.path)?;
    }
    // The magic link names the parent itself, and lsetxattr does not follow the last component.
    let mut through = format!("/proc/self/fd/{}/", node.parent.as_raw_fd()).into_bytes();
    through.extend_from_slice(node.name);
    let set = |name: &[u8], value: &[u8]| fs::lsetxattr(through.as_slice(), name, value, XattrFlags::empty());
    let skipped = set_xattrs(entry, node.path, set)?;
    let times = timestamps(entry.mtime);
    fs::utimensat(node.parent, node.name, &times, flags).call("utimensat", node.path)?;
    Ok(skipped)
}

fn set_xattrs(
    entry: &Entry,
    path: &[u8],
    set: impl Fn(&[u8], &[u8]) -> rustix::io::Result<()>,
) -> Result<u64> {
    let mut skipped = 0;
    for (name, value) in entry.xattrs.iter().filter(|(name, _)| !is_reserved(name)) {
        match set(name, value) {
            Err(Errno::NOTSUP) => skipped += 1,
            outcome => outcome.call("setxattr", path)?,
        }
    }
    Ok(skipped)
}

/// The access time becomes the modification time: what a layer does not tell should not depend on the moment.
pub fn timestamps(time: Time) -> Timestamps {
    let time = Timespec {
        tv_sec: time.seconds,
        tv_nsec: time.nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

fn owner(entry: &Entry) -> Option<Uid> {
    Some(Uid::from_raw(entry.uid))
}

fn group(entry: &Entry) -> Option<Gid> {
    Some(Gid::from_raw(entry.gid))
}
