//! overlayfs' marks in an upper directory: kernel documentation, filesystems/overlayfs.rst, "whiteouts and opaque directories".

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{self, FileType, Mode, Stat, XattrFlags};
use rustix::io::Errno;

use crate::error::{Context, Result};

/// A redirect is a path: PATH_MAX.
const LONGEST_REDIRECT: usize = 4096;

/// Under which names overlayfs keeps its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// `trusted.overlay.*`
    Trusted,
    /// `user.overlay.*`, for mounts with `userxattr`.
    User,
}

impl Marks {
    fn named(self, trusted: &'static str, user: &'static str) -> &'static str {
        match self {
            Marks::Trusted => trusted,
            Marks::User => user,
        }
    }

    /// Where the layers below have this directory: an absolute name, or another one in the same place.
    pub fn redirect(self, directory: &OwnedFd, path: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = vec![0; LONGEST_REDIRECT];
        match fs::fgetxattr(directory, self.redirect_name(), &mut value) {
            Ok(length) => {
                value.truncate(length);
                Ok(Some(value))
            }
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
            error => error.map(|_| None).call("fgetxattr", path),
        }
    }

    /// The same of a file, by name.
    pub fn redirect_of(self, parent: &OwnedFd, name: &[u8], path: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = vec![0; LONGEST_REDIRECT];
        match fs::lgetxattr(through(parent, name).as_slice(), self.redirect_name(), &mut value) {
            Ok(length) => {
                value.truncate(length);
                Ok(Some(value))
            }
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
            error => error.map(|_| None).call("lgetxattr", path),
        }
    }

    /// The file has owner, mode and times, and its data is below.
    pub fn is_metacopy(self, parent: &OwnedFd, name: &[u8], path: &[u8]) -> Result<bool> {
        let metacopy = self.named("trusted.overlay.metacopy", "user.overlay.metacopy");
        // Empty, or a record with a digest: the size does not matter.
        match fs::lgetxattr(through(parent, name).as_slice(), metacopy, &mut [0; 256]) {
            Ok(_) | Err(Errno::RANGE) => Ok(true),
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(false),
            error => error.map(|_| false).call("lgetxattr", path),
        }
    }

    fn redirect_name(self) -> &'static str {
        self.named("trusted.overlay.redirect", "user.overlay.redirect")
    }

    fn opaque(self) -> &'static str {
        self.named("trusted.overlay.opaque", "user.overlay.opaque")
    }

    /// `directory` must be open for reading.
    pub fn is_opaque(self, directory: &OwnedFd, path: &[u8]) -> Result<bool> {
        let mut value = [0; 4];
        match fs::fgetxattr(directory, self.opaque(), &mut value) {
            Ok(length) => Ok(value[..length] == *b"y"),
            Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => Ok(false),
            error => error.map(|_| false).call("fgetxattr", path),
        }
    }

    /// Hides what the layers below have in this directory.
    pub fn set_opaque(self, directory: &OwnedFd, path: &[u8]) -> Result<()> {
        fs::fsetxattr(directory, self.opaque(), b"y", XattrFlags::empty()).call("fsetxattr", path)
    }
}

/// The magic link names the directory itself, and the `l` calls do not follow the last component.
fn through(parent: &OwnedFd, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

/// Attributes that steer overlayfs. One that comes out of an archive would let a layer redirect lookups.
pub fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}

pub fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

pub fn make_whiteout(parent: impl AsFd, name: &[u8], path: &[u8]) -> Result<()> {
    fs::mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0).call("mknod", path)
}
