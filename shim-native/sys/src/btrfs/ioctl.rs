//! Requests and their arguments, as `linux/btrfs.h` lays them out.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;

const MAGIC: u64 = 0x94;
const WRITE: u64 = 1;
const READ: u64 = 2;

/// ioctl(2) numbers: direction, size of the argument, magic, number.
const fn request<T>(direction: u64, number: u64) -> u64 {
    direction << 30 | (size_of::<T>() as u64) << 16 | MAGIC << 8 | number
}

pub const TREE_SEARCH_V2: u64 = request::<SearchHead>(READ | WRITE, 17);
pub const INO_LOOKUP: u64 = request::<InoLookup>(READ | WRITE, 18);
pub const SNAP_CREATE_V2: u64 = request::<VolArgs>(WRITE, 23);
pub const SUBVOL_CREATE_V2: u64 = request::<VolArgs>(WRITE, 24);
pub const SUBVOL_GETFLAGS: u64 = request::<u64>(READ, 25);
pub const SUBVOL_SETFLAGS: u64 = request::<u64>(WRITE, 26);
pub const QUOTA_CTL: u64 = request::<QuotaCtl>(READ | WRITE, 40);
pub const GET_SUBVOL_INFO: u64 = request::<SubvolInfo>(READ, 60);
pub const SNAP_DESTROY_V2: u64 = request::<VolArgs>(WRITE, 63);

/// Flag of SNAP_CREATE_V2, and of GETFLAGS and SETFLAGS.
pub const SUBVOL_RDONLY: u64 = 1 << 1;
/// The same fact in [`SubvolInfo`], which has the flags as on disk.
pub const ROOT_RDONLY: u64 = 1;

/// `btrfs_ioctl_vol_args_v2`: one page.
#[repr(C)]
pub struct VolArgs {
    /// Source of a snapshot.
    pub fd: i64,
    transid: u64,
    pub flags: u64,
    unused: [u64; 4],
    name: [u8; 4040],
}

impl VolArgs {
    /// `None`: the name does not fit.
    pub fn named(name: &[u8]) -> Option<Self> {
        let mut args = VolArgs {
            fd: 0,
            transid: 0,
            flags: 0,
            unused: [0; 4],
            name: [0; 4040],
        };
        // One byte less: the kernel wants the closing zero.
        args.name[..4039].get_mut(..name.len())?.copy_from_slice(name);
        Some(args)
    }
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    pub seconds: u64,
    pub nanoseconds: u32,
}

/// `btrfs_ioctl_get_subvol_info_args` (Linux 4.18).
#[repr(C)]
pub struct SubvolInfo {
    pub id: u64,
    name: [u8; 256],
    parent_id: u64,
    dir_id: u64,
    pub generation: u64,
    pub flags: u64,
    uuid: [u8; 16],
    /// Of the subvolume it is a snapshot of; zeros for none.
    pub parent_uuid: [u8; 16],
    received_uuid: [u8; 16],
    ctransid: u64,
    /// Transaction that made the subvolume.
    pub otransid: u64,
    stransid: u64,
    rtransid: u64,
    ctime: Time,
    /// When the subvolume was made.
    pub otime: Time,
    stime: Time,
    rtime: Time,
    reserved: [u64; 8],
}

impl Default for SubvolInfo {
    fn default() -> Self {
        // SAFETY: numbers and arrays of numbers only; all of them may be zero.
        unsafe { std::mem::zeroed() }
    }
}

/// `btrfs_ioctl_ino_lookup_args`.
#[repr(C)]
pub struct InoLookup {
    pub tree_id: u64,
    pub object_id: u64,
    /// Zero-terminated; ends with `/` unless it is the root.
    pub name: [u8; 4080],
}

/// `btrfs_ioctl_quota_ctl_args`.
#[repr(C)]
pub struct QuotaCtl {
    pub command: u64,
    pub status: u64,
}

/// `btrfs_ioctl_search_args_v2` without the buffer that follows it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SearchHead {
    pub tree_id: u64,
    pub min_object: u64,
    pub max_object: u64,
    pub min_offset: u64,
    pub max_offset: u64,
    pub min_transid: u64,
    pub max_transid: u64,
    pub min_type: u32,
    pub max_type: u32,
    pub items: u32,
    pub unused: [u32; 9],
    /// Bytes of the buffer after this head.
    pub buffer_bytes: u64,
}

/// `argument` must be of the type that `request` was made from.
pub fn call<T>(file: &OwnedFd, request: u64, argument: &mut T) -> rustix::io::Result<()> {
    // SAFETY: the kernel reads and writes at most the size that is part of the request's number, which is that of T
    // (or, for a search, the buffer the head announces, which the caller has put behind it).
    let outcome = unsafe { libc::ioctl(file.as_raw_fd(), request as libc::Ioctl, argument as *mut T) };
    if outcome >= 0 {
        return Ok(());
    }
    let errno = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&errno).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_numbers_are_those_of_the_header() {
        // As strace prints them: _IOC(_IOC_WRITE, 0x94, 0x17, 0x1000) and so on.
        assert_eq!(SNAP_CREATE_V2, 0x5000_9417);
        assert_eq!(SUBVOL_CREATE_V2, 0x5000_9418);
        assert_eq!(SUBVOL_GETFLAGS, 0x8008_9419);
        assert_eq!(SUBVOL_SETFLAGS, 0x4008_941a);
        assert_eq!(SNAP_DESTROY_V2, 0x5000_943f);
        assert_eq!(QUOTA_CTL, 0xc010_9428);
        assert_eq!(TREE_SEARCH_V2, 0xc070_9411);
        assert_eq!(INO_LOOKUP, 0xd000_9412);
        assert_eq!(GET_SUBVOL_INFO, 0x81f8_943c);
    }
}
