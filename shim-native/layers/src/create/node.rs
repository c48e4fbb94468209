//! One file of a tree that goes into a layer.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::apply::{is_reserved, open_directory};
use crate::error::{Context, LayerError, Result};
use crate::path::{CleanPath, join};
use crate::tar::{Entry, Kind, Time};

/// A name in an open directory, looked at once.
pub struct Node<'a> {
    pub parent: &'a OwnedFd,
    pub name: Vec<u8>,
    pub path: CleanPath,
    pub stat: Stat,
}

impl<'a> Node<'a> {
    /// `None`: nothing there.
    pub fn find(parent: &'a OwnedFd, name: &[u8], above: &[u8]) -> Result<Option<Self>> {
        let path = join(above, name);
        match fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Self {
                parent,
                name: name.to_vec(),
                path,
                stat,
            })),
            Err(Errno::NOENT) => Ok(None),
            error => error.map(|_| None).call("stat", &path),
        }
    }

    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    pub fn is_directory(&self) -> bool {
        self.kind() == FileType::Directory
    }

    /// Identity of a file with several names.
    pub fn inode(&self) -> (u64, u64) {
        (self.stat.st_dev, self.stat.st_ino)
    }

    pub fn open_directory(&self) -> Result<OwnedFd> {
        open_directory(self.parent, &self.name).call("open", &self.path)
    }

    /// As an archive tells it. `None` for a socket, which archives cannot hold.
    pub fn entry(&self) -> Result<Option<Entry>> {
        let stat = &self.stat;
        let kind = match self.kind() {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::CharDevice,
            FileType::BlockDevice => Kind::BlockDevice,
            FileType::Fifo => Kind::Fifo,
            _ => return Ok(None),
        };
        let mut path = self.path.clone();
        if kind == Kind::Directory {
            path.push(b'/');
        }
        Ok(Some(Entry {
            kind,
            path,
            link: if kind == Kind::Symlink {
                self.link()?
            } else {
                Vec::new()
            },
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: Time {
                seconds: stat.st_mtime,
                nanoseconds: stat.st_mtime_nsec as u32,
            },
            size: if kind == Kind::File {
                stat.st_size as u64
            } else {
                0
            },
            device: match kind {
                Kind::CharDevice | Kind::BlockDevice => (fs::major(stat.st_rdev), fs::minor(stat.st_rdev)),
                _ => (0, 0),
            },
            xattrs: self.xattrs()?,
            sparse: None,
        }))
    }

    pub fn link(&self) -> Result<Vec<u8>> {
        let target = fs::readlinkat(self.parent, self.name.as_slice(), Vec::new());
        target
            .map(|target| target.into_bytes())
            .call("readlink", &self.path)
    }

    /// All but overlayfs' own and SELinux labels, which belong to the host.
    pub fn xattrs(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut xattrs = self.xattrs_where(|name| !is_reserved(name) && name != b"security.selinux")?;
        xattrs.sort();
        Ok(xattrs)
    }

    /// The last component is not followed: the magic link names the parent, `l` calls stop at the name.
    pub fn xattrs_where(&self, wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut through = format!("/proc/self/fd/{}/", self.parent.as_raw_fd()).into_bytes();
        through.extend_from_slice(&self.name);
        let mut names = vec![0; 64 * 1024];
        let length = match fs::llistxattr(through.as_slice(), &mut names) {
            Ok(length) => length,
            Err(Errno::NOTSUP) => 0,
            error => error.call("llistxattr", &self.path)?,
        };
        let mut found = Vec::new();
        for name in names[..length]
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty() && wanted(name))
        {
            let mut value = vec![0; 64 * 1024];
            let length = fs::lgetxattr(through.as_slice(), name, &mut value).call("lgetxattr", &self.path)?;
            value.truncate(length);
            found.push((name.to_vec(), value));
        }
        Ok(found)
    }

    /// Hands over exactly the `st_size` bytes the header promises, from the file `name` in `parent`.
    pub fn content_of(
        &self,
        parent: &OwnedFd,
        name: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(parent, name, flags, Mode::empty()).call("open", &self.path)?;
        let mut left = self.stat.st_size as u64;
        let mut file = File::from(file).take(left);
        let mut chunk = vec![0; 256 * 1024];
        while left > 0 {
            let count = file.read(&mut chunk).call("read", &self.path)?;
            if count == 0 {
                let path = String::from_utf8_lossy(&self.path).into_owned();
                return Err(LayerError::archive(format!(
                    "'{path}' became shorter while it was read"
                )));
            }
            sink(&chunk[..count])?;
            left -= count as u64;
        }
        Ok(())
    }
}

/// Names in a directory, sorted by their bytes.
pub fn names(directory: &OwnedFd, path: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory).call("getdents64", path)? {
        let name = entry.call("getdents64", path)?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
