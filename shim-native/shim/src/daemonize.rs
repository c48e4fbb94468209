//! Leaves a shim running behind `start`, from a copy of the binary nobody can write to.
//!
//! A container's process can reach the program that started it through `/proc/<pid>/exe`
//! (CVE-2019-5736). The background shim therefore runs from a detached, read-only clone of the mount its
//! binary lies on: opening that for writing is EROFS whatever the file's mode says.

use crate::args::Args;
use rustix::io::FdFlags;
use rustix::mount::OpenTreeFlags;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

const SELF: &str = "/proc/self/exe";

/// Starts the background shim on `listener` and returns its pid. The child inherits the working
/// directory (the bundle) and the environment, but none of the standard streams: the daemon waits for
/// end of file on them.
pub fn spawn(args: &Args, listener: UnixListener, debug: bool) -> io::Result<u32> {
    let program = sealed_self().ok();
    let path = program.as_ref().map_or_else(
        || SELF.to_owned(),
        |fd| format!("/proc/self/fd/{}", fd.as_raw_fd()),
    );
    rustix::io::fcntl_setfd(&listener, FdFlags::empty())?;
    let mut command = Command::new(path);
    command
        .arg0(
            std::env::args_os()
                .next()
                .unwrap_or_else(|| "containerd-shim-gantry-v1".into()),
        )
        .args([
            "-namespace",
            &args.namespace,
            "-id",
            &args.id,
            "-address",
            &args.address,
        ])
        .args(["-publish-binary", &args.publish_binary])
        .args(["-listen-fd", &listener.as_raw_fd().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(program) = &program {
        // Handed down and kept for life: its last close unmounts the clone, for which the kernel takes
        // milliseconds (an RCU grace period) that nobody should wait for now.
        rustix::io::fcntl_setfd(program, FdFlags::empty())?;
        command.args(["-program-fd", &program.as_raw_fd().to_string()]);
    }
    if debug {
        command.arg("-debug");
    }
    Ok(command.spawn()?.id())
}

/// Goes on as `arguments` in the same process, from a copy of the binary nobody can write to. Returns only
/// when there can be none.
pub fn execute_sealed(arguments: &[&str]) -> io::Error {
    let program = match sealed_self() {
        Ok(program) => program,
        Err(error) => return error,
    };
    if let Err(error) = rustix::io::fcntl_setfd(&program, FdFlags::empty()) {
        return error.into();
    }
    let number = program.as_raw_fd().to_string();
    Command::new(format!("/proc/self/fd/{number}"))
        .arg0(std::env::args_os().next().unwrap_or_else(|| SELF.into()))
        .args(["-program-fd", &number])
        .args(arguments)
        .exec()
}

/// A file descriptor of our own binary on a read-only mount of its own.
fn sealed_self() -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(rustix::fs::CWD, SELF, flags)?;
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the path is a valid C string, `attributes` outlives the call and its size is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(tree)
    }
}

/// Gives process `pid` an OOM score one above our parent's (the daemon's): when memory runs out a shim
/// goes before the daemon does, and a container before its shim.
pub fn adjust_oom_score(pid: u32) -> io::Result<()> {
    let parent = std::os::unix::process::parent_id();
    let score: i32 = std::fs::read_to_string(format!("/proc/{parent}/oom_score_adj"))?
        .trim()
        .parse()
        .unwrap_or(0);
    let target = (score + 1).clamp(-1000, 1000);
    match std::fs::write(format!("/proc/{pid}/oom_score_adj"), target.to_string()) {
        // Lowering the score needs CAP_SYS_RESOURCE; containerd's shim tolerates the refusal as well.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}

/// Turns the freshly executed child into a daemon: own session, heir of orphaned descendants.
pub fn detach() -> io::Result<()> {
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // Executed through a descriptor, the process would be called by its number.
    let _ = rustix::thread::set_name(c"containerd-shim");
    Ok(())
}

/// Takes over the socket that `start` opened, and keeps the program's descriptor from spreading.
pub fn inherited(args: &Args) -> io::Result<Option<UnixListener>> {
    if let Some(fd) = args.program_fd {
        std::mem::forget(adopt("-program-fd", fd)?);
    }
    let listener = args.listen_fd.map(|fd| adopt("-listen-fd", fd)).transpose()?;
    Ok(listener.map(UnixListener::from))
}

fn adopt(flag: &str, fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: fcntl on any number is harmless; a number that is no descriptor gives EBADF.
    if fd < 3 || unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        let what = format!("{flag} {fd} is not an inherited descriptor");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    // SAFETY: `start` passed this descriptor for us to own, and nothing else in this process knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
