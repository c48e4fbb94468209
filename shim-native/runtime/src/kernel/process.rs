//! Calls that shape the current process: namespaces, signals, seccomp, keyring, scheduling, execution.

use super::check;
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd};

/// setns(2): `fd` is a namespace file, or a pidfd with `flags` naming several namespaces.
pub(crate) fn setns(fd: BorrowedFd<'_>, flags: i32) -> Result<(), Errno> {
    // SAFETY: takes integers only.
    check(unsafe { libc::syscall(libc::SYS_setns, fd.as_raw_fd(), flags) }).map(drop)
}

/// unshare(2) for namespace flags (never `CLONE_FILES` or `CLONE_VM`).
pub(crate) fn unshare(flags: i32) -> Result<(), Errno> {
    // SAFETY: takes integers only.
    check(unsafe { libc::syscall(libc::SYS_unshare, flags) }).map(drop)
}

/// Closes every descriptor above 2 except `kept` (close_range(2), Linux 5.9). For a process that ends by
/// `execve` or [`exit_now`]: owners of the closed numbers must never be dropped.
pub(crate) fn close_all_but(kept: BorrowedFd<'_>) -> Result<(), Errno> {
    let kept = kept.as_raw_fd() as u32;
    for (first, last) in [(3, kept.wrapping_sub(1)), (kept + 1, u32::MAX)] {
        if first <= last && last >= 3 {
            // SAFETY: by this function's contract nobody uses or closes the numbers afterwards.
            check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
        }
    }
    Ok(())
}

/// Gives every signal its default action and unblocks all: ignored signals would survive `execve`
/// (Rust programs ignore SIGPIPE), and handlers of the caller must not run in a child. By raw calls, as
/// glibc keeps two signals to itself and would leave them ignored.
pub(crate) fn reset_signals() {
    const SIGSET_SIZE: usize = 8;
    // The kernel's struct sigaction (handler, flags, restorer, mask) is at most this long; zero is SIG_DFL.
    let default = [0u64; 4];
    let none = 0u64;
    for signal in 1..65 {
        // SAFETY: the kernel reads a sigaction from `default`; failures (SIGKILL, SIGSTOP) are harmless.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null::<u64>(),
                SIGSET_SIZE,
            )
        };
    }
    // SAFETY: the kernel reads an empty set of the size given.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            std::ptr::null::<u64>(),
            SIGSET_SIZE,
        )
    };
}

/// Ends this process at once: no destructors, no `atexit`, no buffers of the parent flushed twice.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: never returns and touches no memory.
    unsafe { libc::_exit(code) }
}

/// Null-terminated pointer array over strings that stay alive in `strings`.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|s| s.as_ptr())
        .chain(std::iter::once(std::ptr::null()))
        .collect()
}

/// Replaces the program. Returns only on failure.
pub(crate) fn execve(path: &CString, args: &[CString], env: &[CString]) -> Errno {
    let (argv, envp) = (pointers(args), pointers(env));
    // SAFETY: both arrays are null-terminated and point to strings alive until the call ends.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    super::last_errno()
}

/// Installs a compiled filter on this thread. Needs `no_new_privs` or `CAP_SYS_ADMIN`. `flags` are `SECCOMP_FILTER_FLAG_*`.
pub(crate) fn install_seccomp(program: &[libc::sock_filter], flags: u32) -> Result<(), Errno> {
    seccomp_set_filter(program, flags).map(drop)
}

/// As [`install_seccomp`], and returns the number of the listener descriptor for `SCMP_ACT_NOTIFY`.
pub(crate) fn new_listener_seccomp(program: &[libc::sock_filter], flags: u32) -> Result<i32, Errno> {
    const NEW_LISTENER: u32 = 1 << 3;
    seccomp_set_filter(program, flags | NEW_LISTENER).map(|fd| fd as i32)
}

fn seccomp_set_filter(program: &[libc::sock_filter], flags: u32) -> Result<libc::c_long, Errno> {
    const SET_MODE_FILTER: u32 = 1;
    let length = u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?;
    let prog = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: `prog` describes a live slice, which the kernel only reads and copies.
    check(unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, &raw const prog) })
}

/// Joins a fresh session keyring called `name`, so that the caller's keys are out of reach.
pub(crate) fn join_session_keyring(name: &CString) -> Result<(), Errno> {
    const KEYCTL_JOIN_SESSION_KEYRING: i32 = 1;
    // SAFETY: `name` is a live C string that the kernel only reads.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) }).map(drop)
}

/// personality(2).
pub(crate) fn set_personality(domain: u64) -> Result<(), Errno> {
    // SAFETY: takes an integer only.
    check(unsafe { libc::syscall(libc::SYS_personality, domain) }).map(drop)
}

/// ioprio_set(2) for this process.
pub(crate) fn io_priority(class: u32, level: u32) -> Result<(), Errno> {
    const WHO_PROCESS: i32 = 1;
    const CLASS_SHIFT: u32 = 13;
    // SAFETY: takes integers only.
    check(unsafe {
        libc::syscall(
            libc::SYS_ioprio_set,
            WHO_PROCESS,
            0,
            (class << CLASS_SHIFT) | level,
        )
    })
    .map(drop)
}

/// `struct sched_attr` (first published size, 48 bytes) for this process; see sched_setattr(2).
pub(crate) fn sched_setattr(
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    times: [u64; 3],
) -> Result<(), Errno> {
    #[repr(C)]
    struct SchedAttr {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    let [runtime, deadline, period] = times;
    let size = size_of::<SchedAttr>() as u32;
    let attr = SchedAttr {
        size,
        policy,
        flags,
        nice,
        priority,
        runtime,
        deadline,
        period,
    };
    // SAFETY: `attr` is live and carries its own size.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) }).map(drop)
}
