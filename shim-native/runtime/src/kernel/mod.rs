//! The system calls that `rustix` does not wrap. The only module with `unsafe` around raw calls.

mod clone;
mod guest;
mod identity;
mod mount;
mod process;

pub(crate) use clone::{Cloned, clone3, thread_count};
pub(crate) use guest::in_guest;
pub(crate) use identity::{set_groups, set_res_gid, set_res_uid};
pub(crate) use mount::{MountAttr, attr, fs_context_log, mount_setattr};
pub(crate) use process::{
    close_all_but, execve, exit_now, install_seccomp, io_priority, join_session_keyring,
    new_listener_seccomp, reset_signals, sched_setattr, set_personality, setns, unshare,
};

use rustix::io::Errno;

/// Turns a raw system call's result into a value or the thread's errno.
fn check(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result == -1 {
        Err(last_errno())
    } else {
        Ok(result)
    }
}

fn last_errno() -> Errno {
    Errno::from_raw_os_error(
        std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO),
    )
}
