//! Disk usage of a tree: du(1), without its output.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::Context;
use crate::thread::promise;

const BLOCK: i64 = 512;

#[napi(object)]
pub struct Usage {
    pub bytes: i64,
    pub inodes: i64,
}

#[napi]
pub fn stat_usage(env: &Env, path: String) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let top = fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW).call_on("lstat", &path)?;
        let mut walk = Walk {
            device: top.st_dev,
            linked: HashSet::new(),
            usage: Usage { bytes: 0, inodes: 0 },
        };
        walk.count(&top);
        if FileType::from_raw_mode(top.st_mode) == FileType::Directory {
            walk.tree(open_directory(CWD, path.as_bytes()).call_on("open", &path)?)
                .call_on("getdents64", &path)?;
        }
        Ok(walk.usage)
    })
}

struct Walk {
    device: u64,
    /// Inodes with several names, counted at the first.
    linked: HashSet<u64>,
    usage: Usage,
}

impl Walk {
    /// Breadth is unbounded, depth is not: open directories wait on the heap, one descriptor per level.
    fn tree(&mut self, top: OwnedFd) -> rustix::io::Result<()> {
        let mut levels = vec![Dir::new(top)?];
        while let Some(directory) = levels.last_mut() {
            let Some(entry) = directory.next() else {
                levels.pop();
                continue;
            };
            let entry = entry?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let parent = directory.fd()?;
            // What vanishes while we count is not counted: trees in use change.
            let stat = match fs::statat(parent, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                stat => stat?,
            };
            if stat.st_dev != self.device || !self.count(&stat) {
                continue;
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                match open_directory(parent, entry.file_name().to_bytes()) {
                    Err(Errno::NOENT) => {}
                    child => levels.push(Dir::new(child?)?),
                }
            }
        }
        Ok(())
    }

    /// False for a further name of an inode already counted.
    fn count(&mut self, stat: &Stat) -> bool {
        let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !directory && stat.st_nlink > 1 && !self.linked.insert(stat.st_ino) {
            return false;
        }
        self.usage.bytes += stat.st_blocks * BLOCK;
        self.usage.inodes += 1;
        true
    }
}

fn open_directory(parent: impl AsFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(parent, name, flags, Mode::empty())
}
