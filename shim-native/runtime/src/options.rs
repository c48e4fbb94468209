//! What a caller decides about a container beyond its spec.

use std::os::fd::OwnedFd;
use std::path::Path;

/// Everything [`Container::create`](crate::Container::create) needs beside the spec.
pub struct CreateOptions<'a> {
    /// Container id: `[A-Za-z0-9_+.-]{1,255}`, not `.` or `..`. Names the cgroup and appears in hook state.
    pub id: &'a str,
    /// Absolute path of the bundle directory. A relative `root.path` is relative to it; the state file lands in it.
    pub bundle: &'a Path,
    /// Mounts that make up the root file system, performed in order inside the container's own mount
    /// namespace on `root.path` (never on the host). Empty: `root.path` is used as it is.
    pub rootfs_mounts: &'a [RootfsMount],
    /// The first process's standard streams. Must be [`Stdio::Terminal`] exactly if `process.terminal` is true.
    pub stdio: Stdio,
    /// Where and how control groups are made.
    pub cgroup: CgroupConfig,
    /// Keep the caller's session keyring instead of giving the container its own.
    pub no_new_keyring: bool,
    /// Use `MS_MOVE` + `chroot` instead of `pivot_root` (only for hosts whose root is an initramfs).
    pub no_pivot_root: bool,
    /// Owner (uid, gid) given to the stdio pipes, for containers that reopen `/dev/stdout` as another
    /// user. `None`: the process's own uid/gid as seen from the host when a pipe can be chowned.
    pub io_owner: Option<(u32, u32)>,
}

/// One mount of containerd's `types.Mount`: performed on the container's root, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootfsMount {
    /// `overlay`, `bind`, or any file system type. Empty means `bind` when an option says so.
    pub fs_type: String,
    /// Device or directory; ignored by `overlay`.
    pub source: String,
    /// Sub directory of the root to mount on; empty = the root itself.
    pub target: String,
    /// fstab-style options (`rbind`, `ro`, `lowerdir=/a:/b`, ...). No length limit.
    pub options: Vec<String>,
}

/// Standard streams of a new process.
#[derive(Debug)]
pub enum Stdio {
    /// Each becomes fd 0, 1, 2 of the process. The library closes its copies.
    Piped {
        stdin: OwnedFd,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
    /// A pseudo terminal made in the container's own devpts (its size from `process.consoleSize`);
    /// the master end is handed back to the caller.
    Terminal,
}

/// Placement of the container in the cgroup trees.
#[derive(Clone, Debug)]
pub struct CgroupConfig {
    /// Who makes the groups: this library by mkdir, or systemd by D-Bus.
    pub driver: CgroupDriver,
    /// Parent used when the spec has no `linux.cgroupsPath`: the group becomes `<default_parent>/<id>`.
    /// An absolute cgroup path such as `/gantry` (cgroupfs), or a slice such as `system.slice` (systemd).
    pub default_parent: String,
}

/// Who makes control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CgroupDriver {
    /// Directories made directly in the mounted cgroup trees; `linux.cgroupsPath` is a path.
    #[default]
    Cgroupfs,
    /// A transient scope asked from systemd; `linux.cgroupsPath` is `slice:prefix:name`.
    Systemd,
}

impl Default for CgroupConfig {
    fn default() -> Self {
        Self {
            driver: CgroupDriver::Cgroupfs,
            default_parent: "/gantry".to_owned(),
        }
    }
}
