//! overlayfs' marks in an upper directory: kernel documentation, filesystems/overlayfs.rst, "whiteouts and opaque directories".

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, FileType, Mode, Stat, XattrFlags};
use rustix::io::Errno;

use crate::error::{Context, Result};

/// Under which names overlayfs keeps its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// `trusted.overlay.*`
    Trusted,
    /// `user.overlay.*`, for mounts with `userxattr`.
    User,
}

impl Marks {
    fn opaque(self) -> &'static str {
        match self {
            Marks::Trusted => "trusted.overlay.opaque",
            Marks::User => "user.overlay.opaque",
        }
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
