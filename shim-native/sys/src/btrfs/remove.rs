//! Deleting a subvolume, and first those that somebody made inside it: the kernel refuses one that has others in it,
//! and anybody who may make a directory may make a subvolume.

use std::os::fd::OwnedFd;

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;

use super::ioctl::{self, InoLookup, VolArgs};
use super::search::{Range, search};
use super::{info_of, name_too_long, open_directory, open_parent};
use crate::error::{Context, Result};

const ROOT_TREE: u64 = 1;
const ROOT_REF: u32 = 156;
/// Length of a `btrfs_root_ref` (dirid, sequence, name_len) before its name.
const REF_HEAD: usize = 18;

/// A missing one is success.
pub fn with_all_inside(path: &str) -> Result<()> {
    match open_directory(path) {
        Err(error) if error.errno == libc::ENOENT => return Ok(()),
        Err(error) => return Err(error),
        Ok(subvolume) => remove_inside(subvolume, path)?,
    }
    let (parent, name) = open_parent(path)?;
    destroy(&parent, name, path)
}

/// Depth first. Nesting is bounded by what a path can hold.
fn remove_inside(subvolume: OwnedFd, path: &str) -> Result<()> {
    let inside = children(&subvolume, path)?;
    if inside.is_empty() {
        return Ok(());
    }
    make_writable(&subvolume, path)?;
    for (directory, name) in inside {
        let parent = directory_of(&subvolume, directory, path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let child = fs::openat(&parent, name.as_slice(), flags, Mode::empty()).call_on("open", path)?;
        remove_inside(child, path)?;
        destroy(&parent, &name, path)?;
    }
    Ok(())
}

/// Entries cannot be taken out of a read-only subvolume.
fn make_writable(subvolume: &OwnedFd, path: &str) -> Result<()> {
    let mut flags = 0_u64;
    ioctl::call(subvolume, ioctl::SUBVOL_GETFLAGS, &mut flags).call_on("BTRFS_IOC_SUBVOL_GETFLAGS", path)?;
    if flags & ioctl::SUBVOL_RDONLY == 0 {
        return Ok(());
    }
    flags &= !ioctl::SUBVOL_RDONLY;
    ioctl::call(subvolume, ioctl::SUBVOL_SETFLAGS, &mut flags).call_on("BTRFS_IOC_SUBVOL_SETFLAGS", path)
}

/// Inode of the holding directory, and name, of each subvolume directly inside.
fn children(subvolume: &OwnedFd, path: &str) -> Result<Vec<(u64, Vec<u8>)>> {
    let id = info_of(subvolume, path)?.id;
    let range = Range {
        tree: ROOT_TREE,
        objects: (id, id),
        types: (ROOT_REF, ROOT_REF),
        offsets: (0, u64::MAX),
        since: 0,
    };
    let mut found = Vec::new();
    search(subvolume, &range, |item| {
        if item.data.len() > REF_HEAD {
            found.push((item.u64(0), item.data[REF_HEAD..].to_vec()));
        }
    })
    .call_on("BTRFS_IOC_TREE_SEARCH_V2", path)?;
    Ok(found)
}

fn directory_of(subvolume: &OwnedFd, inode: u64, path: &str) -> Result<OwnedFd> {
    let mut lookup = InoLookup {
        tree_id: 0,
        object_id: inode,
        name: [0; 4080],
    };
    ioctl::call(subvolume, ioctl::INO_LOOKUP, &mut lookup).call_on("BTRFS_IOC_INO_LOOKUP", path)?;
    let length = lookup.name.iter().position(|byte| *byte == 0).unwrap_or(0);
    let below = [b"./", &lookup.name[..length]].concat();
    // No link is followed: the lookup names real directories, but somebody may have replaced one since.
    fs::openat2(
        subvolume,
        below.as_slice(),
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        fs::ResolveFlags::BENEATH | fs::ResolveFlags::NO_SYMLINKS,
    )
    .call_on("openat2", path)
}

fn destroy(parent: &OwnedFd, name: &[u8], path: &str) -> Result<()> {
    let mut args = VolArgs::named(name).ok_or_else(|| name_too_long(path))?;
    match ioctl::call(parent, ioctl::SNAP_DESTROY_V2, &mut args) {
        Err(Errno::NOENT) => Ok(()),
        outcome => outcome.call_on("BTRFS_IOC_SNAP_DESTROY_V2", path),
    }
}
