//! Owner, mode, extended attributes and times, read from one file and set on another.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::error::{Context, Result};

/// The longest list, and the longest value, that Linux has: XATTR_LIST_MAX, XATTR_SIZE_MAX.
const LONGEST: usize = 64 * 1024;

type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

pub struct Attributes {
    uid: Uid,
    gid: Gid,
    mode: Mode,
    is_link: bool,
    times: Timestamps,
    xattrs: Xattrs,
}

/// What has no descriptor that could change it: a link, a device, a FIFO.
pub struct Place<'a> {
    pub parent: i32,
    pub name: &'a [u8],
}

impl Place<'_> {
    /// The magic link names the directory itself, and the `l` calls do not follow the last component.
    fn path(&self) -> Vec<u8> {
        let mut path = format!("/proc/self/fd/{}/", self.parent).into_bytes();
        path.extend_from_slice(self.name);
        path
    }
}

impl Attributes {
    pub fn of_descriptor(file: impl AsFd, stat: &Stat) -> Result<Self> {
        let file = file.as_fd();
        let list = |buffer: &mut [u8]| fs::flistxattr(file, buffer);
        let value = |name: &[u8], buffer: &mut [u8]| fs::fgetxattr(file, name, buffer);
        Ok(Self::new(stat, read_xattrs(list, value)?))
    }

    pub fn of_place(place: &Place<'_>, stat: &Stat) -> Result<Self> {
        let path = place.path();
        let list = |buffer: &mut [u8]| fs::llistxattr(path.as_slice(), buffer);
        let value = |name: &[u8], buffer: &mut [u8]| fs::lgetxattr(path.as_slice(), name, buffer);
        Ok(Self::new(stat, read_xattrs(list, value)?))
    }

    fn new(stat: &Stat, xattrs: Xattrs) -> Self {
        let time = |seconds, nanoseconds| Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds as _,
        };
        Self {
            uid: Uid::from_raw(stat.st_uid),
            gid: Gid::from_raw(stat.st_gid),
            mode: Mode::from_raw_mode(stat.st_mode & 0o7777),
            is_link: fs::FileType::from_raw_mode(stat.st_mode) == fs::FileType::Symlink,
            times: Timestamps {
                last_access: time(stat.st_atime, stat.st_atime_nsec),
                last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
            },
            xattrs,
        }
    }

    /// Owner first, because a change of owner clears set-id bits and file capabilities. Answers how many attributes
    /// the file system cannot hold.
    pub fn set_on_descriptor(&self, file: &OwnedFd) -> Result<u64> {
        fs::fchown(file, Some(self.uid), Some(self.gid)).call("fchown")?;
        fs::fchmod(file, self.mode).call("fchmod")?;
        let skipped = self.set_xattrs(|name, value| fs::fsetxattr(file, name, value, XattrFlags::empty()))?;
        fs::futimens(file, &self.times).call("futimens")?;
        Ok(skipped)
    }

    pub fn set_on_place(&self, parent: &OwnedFd, place: &Place<'_>) -> Result<u64> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        fs::chownat(parent, place.name, Some(self.uid), Some(self.gid), flags).call("fchownat")?;
        if !self.is_link {
            // Follows nothing: we have just made it, and it is no link.
            fs::chmodat(parent, place.name, self.mode, AtFlags::empty()).call("fchmodat")?;
        }
        let path = place.path();
        let skipped =
            self.set_xattrs(|name, value| fs::lsetxattr(path.as_slice(), name, value, XattrFlags::empty()))?;
        fs::utimensat(parent, place.name, &self.times, flags).call("utimensat")?;
        Ok(skipped)
    }

    fn set_xattrs(&self, set: impl Fn(&[u8], &[u8]) -> rustix::io::Result<()>) -> Result<u64> {
        let mut skipped = 0;
        for (name, value) in &self.xattrs {
            match set(name, value) {
                Err(Errno::NOTSUP) => skipped += 1,
                outcome => outcome.call("setxattr")?,
            }
        }
        Ok(skipped)
    }
}

fn read_xattrs(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    value: impl Fn(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
) -> Result<Xattrs> {
    let names = match filled(&list) {
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        names => names.call("listxattr")?,
    };
    names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let found = filled(|buffer| value(name, buffer)).call("getxattr")?;
            Ok((name.to_vec(), found))
        })
        .collect()
}

fn filled(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 256];
    let length = match read(&mut buffer) {
        Err(Errno::RANGE) => {
            buffer = vec![0; LONGEST];
            read(&mut buffer)?
        }
        length => length?,
    };
    buffer.truncate(length);
    Ok(buffer)
}
