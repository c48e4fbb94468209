//! Credentials of the calling (only) thread, by raw call: glibc's wrappers would signal threads that a
//! cloned child does not have.

use super::check;
use rustix::io::Errno;

pub(crate) fn set_res_uid(uid: u32) -> Result<(), Errno> {
    // SAFETY: takes integers only.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

pub(crate) fn set_res_gid(gid: u32) -> Result<(), Errno> {
    // SAFETY: takes integers only.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

pub(crate) fn set_groups(gids: &[u32]) -> Result<(), Errno> {
    // SAFETY: pointer and length describe one live slice, which the kernel only reads.
    check(unsafe { libc::syscall(libc::SYS_setgroups, gids.len(), gids.as_ptr()) }).map(drop)
}
