//! Id-mapped bind mounts (`idmap`, `ridmap` with the mount's own mappings).

use super::tree::mount_error;
use crate::error::Error;
use crate::kernel::{Cloned, MountAttr, attr, clone3, exit_now, mount_setattr};
use crate::user_mapping::IdMaps;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, pidfd_send_signal, waitpid};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Maps the owners seen through the detached mount `tree` by `mount`'s `uidMappings` and `gidMappings`.
pub(super) fn apply(
    tree: BorrowedFd<'_>,
    mount: &oci_spec::runtime::Mount,
    recursive: bool,
) -> Result<(), Error> {
    let destination = mount.destination().display().to_string();
    let (Some(uids), Some(gids)) = (mount.uid_mappings(), mount.gid_mappings()) else {
        let field = format!("mounts: destination {destination:?}");
        return Err(Error::spec(
            field,
            "idmap needs uidMappings and gidMappings of the mount",
        ));
    };
    let maps = IdMaps::new(uids, gids)?;
    let namespace = user_namespace(&maps)?;
    let wanted = MountAttr {
        set: attr::IDMAP,
        userns_fd: namespace.as_raw_fd() as u64,
        ..MountAttr::default()
    };
    mount_setattr(tree, c"", recursive, &wanted).map_err(mount_error(format!("id mapping of {destination}")))
}

/// A user namespace with these maps, kept by the descriptor alone.
fn user_namespace(maps: &IdMaps) -> Result<OwnedFd, Error> {
    let failed = || mount_error("user namespace of an id-mapped mount");
    match clone3(libc::CLONE_NEWUSER as u64, None).map_err(failed())? {
        Cloned::Child => {
            // Only holds the namespace until it has been opened; the parent then kills it.
            rustix::event::pause();
            exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => {
            let opened = maps
                .write(pid)
                .and_then(|()| open_namespace(pid).map_err(failed()));
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
            let _ = waitpid(Pid::from_raw(pid), WaitOptions::empty());
            opened
        }
    }
}

fn open_namespace(pid: i32) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(
        CWD,
        format!("/proc/{pid}/ns/user"),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}
