//! `clone3` used as a fork with namespaces, a pidfd and a target cgroup.

use super::check;
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Which side of the fork one is on.
pub(crate) enum Cloned {
    Child,
    Parent { pid: i32, pidfd: OwnedFd },
}

/// Forks with `flags` (namespace bits, `CLONE_PARENT`). With `cgroup`, a v2 cgroup directory, the child
/// is born in it, which spares the migration and its RCU grace period (clone(2), `CLONE_INTO_CGROUP`).
///
/// The child shares no memory and runs on a copy of this stack. glibc's fork handlers do not run: the
/// caller must be the only thread, or the child must not allocate.
pub(crate) fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned, Errno> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: an all-zero clone_args is valid: every field is an integer and zero means "not used".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    if flags & libc::CLONE_PARENT as u64 == 0 {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: no CLONE_VM and no stack are given, so this is fork(2) with extra flags; `args` and `pidfd`
    // outlive the call.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) })?;
    if pid == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: the kernel stored a fresh descriptor in `pidfd` and nobody else knows it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Cloned::Parent {
        pid: pid as i32,
        pidfd,
    })
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// How many threads this process has: the link count of the task directory (`.`, `..`, one per thread).
pub(crate) fn thread_count() -> usize {
    let links = rustix::fs::stat("/proc/self/task")
        .map(|stat| stat.st_nlink as usize)
        .unwrap_or(0);
    // Unknown counts as many: the slower way works for any number.
    if links < 3 { usize::MAX } else { links - 2 }
}
