//! Making the prepared tree the process's root, and letting go of the host's.

use super::tree::{attach, set_propagation};
use crate::error::{Error, Step};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

fn failed(what: &str) -> impl FnOnce(Errno) -> Error {
    move |errno| Error::system(Step::Pivot, what, errno)
}

/// Cuts mount propagation of the whole new namespace according to `rootfsPropagation` (default: slave, so
/// host mounts may come in and none goes out). `MS_*` flag and whether the spec asked for the shared kind.
pub(crate) fn isolate(propagation: Option<u64>) -> Result<(), Error> {
    let flag = propagation.unwrap_or(libc::MS_SLAVE);
    // Unbindable would forbid the container's own bind mounts; it is applied to the new root at the end.
    let flag = if flag == libc::MS_UNBINDABLE {
        libc::MS_PRIVATE
    } else {
        flag
    };
    let root = open_directory("/").map_err(failed("/"))?;
    set_propagation(root.as_fd(), flag, true).map_err(failed("propagation of /"))
}

/// Attaches `tree` at the host path `root` inside this namespace.
pub(crate) fn attach_root(tree: BorrowedFd<'_>, root: &Path, shared: bool) -> Result<(), Error> {
    if shared {
        make_parent_private(root)?;
    }
    let target = super::root_dir::open_host(root).map_err(failed(&root.display().to_string()))?;
    attach(tree, target.as_fd()).map_err(failed(&format!("attaching the root at {}", root.display())))
}

/// With a shared root, the mount that holds the container's root would carry it to the host.
fn make_parent_private(root: &Path) -> Result<(), Error> {
    for directory in root.ancestors() {
        let fd = super::root_dir::open_host(directory).map_err(failed(&directory.display().to_string()))?;
        match set_propagation(fd.as_fd(), libc::MS_PRIVATE, false) {
            // Not the root of a mount: look further up.
            Err(Errno::INVAL) => {}
            other => return other.map_err(failed(&directory.display().to_string())),
        }
    }
    Ok(())
}

/// pivot_root(2) onto `root` with the old root stacked over the new one and then lazily unmounted: needs
/// no directory for the old root inside the image.
pub(crate) fn pivot(root: BorrowedFd<'_>) -> Result<(), Error> {
    let old = open_directory("/").map_err(failed("opening the old root"))?;
    rustix::process::fchdir(root).map_err(failed("fchdir"))?;
    rustix::process::pivot_root(".", ".").map_err(failed("pivot_root"))?;
    rustix::process::fchdir(&old).map_err(failed("fchdir to the old root"))?;
    // Never let the unmount travel back to the host.
    set_propagation(old.as_fd(), libc::MS_SLAVE, true).map_err(failed("old root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(failed("unmounting the old root"))?;
    rustix::process::chdir("/").map_err(failed("chdir /"))
}

/// For hosts on an initramfs, whose root cannot be pivoted away: moves the new root over `/`.
pub(crate) fn move_root(root: BorrowedFd<'_>) -> Result<(), Error> {
    rustix::process::fchdir(root).map_err(failed("fchdir"))?;
    rustix::mount::mount_move(".", "/").map_err(failed("moving the root"))?;
    rustix::process::chroot(".").map_err(failed("chroot"))?;
    rustix::process::chdir("/").map_err(failed("chdir /"))
}

/// Last touches on the root mount: its propagation as the spec says, and read-only.
pub(crate) fn finish(propagation: Option<u64>, read_only: bool) -> Result<(), Error> {
    let root = open_directory("/").map_err(failed("/"))?;
    if let Some(flag) = propagation {
        set_propagation(root.as_fd(), flag, true).map_err(failed("propagation of the root"))?;
    }
    if read_only {
        super::tree::set_read_only(root.as_fd(), false).map_err(failed("read-only root"))?;
    }
    Ok(())
}

fn open_directory(path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
}
