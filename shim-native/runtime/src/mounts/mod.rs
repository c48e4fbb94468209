//! The mounts of a container: planned by the caller's side, performed by the container's process beneath
//! its root, before `pivot_root` (while host paths can still be named).

pub(crate) mod cgroup_view;
mod copy_up;
pub(crate) mod hidden_paths;
pub(crate) mod idmap;
pub(crate) mod options;
pub(crate) mod pivot;
pub(crate) mod root_dir;
pub(crate) mod rootfs;
pub(crate) mod tree;

use crate::error::{Error, Warning};
use crate::kernel::attr;
use cgroup_view::CgroupView;
use options::{Bind, Options};
use root_dir::RootDir;
use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use tree::{
    apply_attributes, attach, clone_host, is_directory, mount_error, new_filesystem, set_propagation,
};

/// One mount of the spec, parsed and ready to be performed.
pub(crate) struct PlannedMount {
    destination: PathBuf,
    options: Options,
    kind: Kind,
}

enum Kind {
    /// `prepared` is a tree cloned by the caller's side: the container's user may not reach the source.
    Bind {
        source: PathBuf,
        bind: Bind,
        prepared: Option<OwnedFd>,
    },
    Filesystem {
        fs_type: String,
        source: String,
    },
    Cgroup,
    Remount,
}

/// Parses `mounts`. With `prepare`, sources of binds are cloned now (needed with a user namespace).
pub(crate) fn plan(
    mounts: &[oci_spec::runtime::Mount],
    bundle: &Path,
    prepare: bool,
) -> Result<Vec<PlannedMount>, Error> {
    mounts
        .iter()
        .map(|mount| plan_one(mount, bundle, prepare))
        .collect()
}

fn plan_one(mount: &oci_spec::runtime::Mount, bundle: &Path, prepare: bool) -> Result<PlannedMount, Error> {
    let destination = mount.destination().clone();
    if !destination.is_absolute() {
        let field = format!("mounts: destination {:?}", destination.display());
        return Err(Error::spec(field, "must be an absolute path"));
    }
    let options = Options::parse(mount.options().as_deref().unwrap_or_default());
    let fs_type = mount.typ().clone().unwrap_or_default();
    let source = mount.source().clone().unwrap_or_default();
    let kind = match (options.bind, fs_type.as_str()) {
        _ if options.remount => Kind::Remount,
        (None, "cgroup" | "cgroup2") => Kind::Cgroup,
        (None, kind) if kind != "bind" => Kind::Filesystem {
            source: source.to_string_lossy().into_owned(),
            fs_type,
        },
        (bind, _) => {
            let source = bundle.join(source);
            let bind = bind.unwrap_or(Bind::Tree);
            let prepared = prepare_source(mount, &options, &source, bind, prepare)?;
            Kind::Bind {
                prepared,
                source,
                bind,
            }
        }
    };
    Ok(PlannedMount {
        destination,
        options,
        kind,
    })
}

fn prepare_source(
    mount: &oci_spec::runtime::Mount,
    options: &Options,
    source: &Path,
    bind: Bind,
    prepare: bool,
) -> Result<Option<OwnedFd>, Error> {
    if !prepare && options.idmap.is_none() {
        return Ok(None);
    }
    let subject = format!("bind source {}", source.display());
    let tree = clone_host(source, bind).map_err(mount_error(subject.clone()))?;
    set_propagation(tree.as_fd(), libc::MS_SLAVE, true).map_err(mount_error(subject))?;
    if let Some(recursive) = options.idmap {
        idmap::apply(tree.as_fd(), mount, recursive)?;
    }
    Ok(Some(tree))
}

/// What performing needs to know of the container beside the list.
pub(crate) struct MountContext<'a> {
    pub root: &'a RootDir,
    pub cgroups: &'a CgroupView,
}

impl PlannedMount {
    /// Whether this mount decides that the runtime leaves `/dev` alone: a host directory bound there.
    pub(crate) fn binds_dev(&self) -> bool {
        let bind = matches!(self.kind, Kind::Bind { .. });
        bind && self.destination.as_os_str().as_encoded_bytes().trim_ascii_end() == b"/dev"
    }

    /// Makes the mount points that a root needs whose mounts are made by somebody else. Those inside other mounts come with them.
    pub(crate) fn make_targets(mounts: &[PlannedMount], root: &RootDir) -> Result<(), Error> {
        for (at, mount) in mounts.iter().enumerate() {
            let covered = |above: &PlannedMount| mount.destination.starts_with(&above.destination);
            if mounts[..at].iter().any(covered) {
                continue;
            }
            match &mount.kind {
                Kind::Bind { source, .. } if !source.is_dir() => root.ensure_file(&mount.destination)?,
                _ => root.ensure_dir(&mount.destination)?,
            };
        }
        Ok(())
    }

    /// Seals a `/dev` that the spec wants read-only: it was left writable for the devices.
    pub(crate) fn finish_dev(mounts: &[PlannedMount], root: &RootDir) -> Result<(), Error> {
        let late = |mount: &&PlannedMount| mount.is_own_dev() && mount.options.read_only();
        let Some(mount) = mounts.iter().rfind(late) else {
            return Ok(());
        };
        let dev = root.open(&mount.destination).map_err(mount.failed())?;
        tree::set_read_only(dev.as_fd(), false).map_err(mount.failed())
    }

    fn is_own_dev(&self) -> bool {
        matches!(self.kind, Kind::Filesystem { .. }) && self.destination == Path::new("/dev")
    }

    /// Makes the mount inside the container's root. Runs in the container's mount namespace.
    pub(crate) fn perform(&self, context: &MountContext<'_>) -> Result<Option<Warning>, Error> {
        match &self.kind {
            Kind::Bind {
                source,
                bind,
                prepared,
            } => self.bind(context, source, *bind, prepared.as_ref()),
            Kind::Filesystem { fs_type, source } => self.filesystem(context, fs_type, source),
            Kind::Cgroup => cgroup_view::mount(context, &self.destination, &self.options),
            Kind::Remount => {
                let target = context.root.open(&self.destination).map_err(self.failed())?;
                self.decorate(target.as_fd())
            }
        }
        .map(|()| None)
    }

    fn bind(
        &self,
        context: &MountContext<'_>,
        source: &Path,
        bind: Bind,
        prepared: Option<&OwnedFd>,
    ) -> Result<(), Error> {
        let cloned;
        let tree = match prepared {
            Some(tree) => tree.as_fd(),
            None => {
                cloned = clone_host(source, bind)
                    .map_err(mount_error(format!("bind source {}", source.display())))?;
                cloned.as_fd()
            }
        };
        let target = if is_directory(tree).map_err(self.failed())? {
            context.root.ensure_dir(&self.destination)?
        } else {
            context.root.ensure_file(&self.destination)?
        };
        refuse_proc_entry(target.as_fd(), &self.destination)?;
        apply_attributes(tree, &self.options).map_err(self.failed())?;
        attach(tree, target.as_fd()).map_err(self.failed())?;
        self.propagate(tree)
    }

    fn filesystem(&self, context: &MountContext<'_>, fs_type: &str, source: &str) -> Result<(), Error> {
        let mut data = self.options.data.clone();
        if fs_type == "tmpfs" && !data.iter().any(|(key, _)| key == "mode") {
            data.extend(self.inherited_mode(context)?);
        }
        let target = context.root.ensure_dir(&self.destination)?;
        if matches!(fs_type, "proc" | "sysfs") {
            self.require_plain_directory(context)?;
        } else {
            refuse_proc_entry(target.as_fd(), &self.destination)?;
        }
        let source = if source.is_empty() { fs_type } else { source };
        let tree = new_filesystem(fs_type, source, &data).map_err(|(errno, told)| {
            mount_error(format!("{fs_type} on {}: {told}", self.destination.display()))(errno)
        })?;
        if self.options.copy_up {
            copy_up::copy(target.as_fd(), tree.as_fd()).map_err(self.failed())?;
        }
        let mut options = self.options.clone();
        if self.is_own_dev() {
            options.set &= !attr::RDONLY;
        }
        apply_attributes(tree.as_fd(), &options).map_err(self.failed())?;
        attach(tree.as_fd(), target.as_fd()).map_err(self.failed())?;
        self.propagate(tree.as_fd())
    }

    /// The mode of the directory that is hidden. Where none is, the kernel's default holds: everybody may write, as in /tmp.
    fn inherited_mode(&self, context: &MountContext<'_>) -> Result<Option<(String, Option<String>)>, Error> {
        let Ok(hidden) = context.root.open(&self.destination) else {
            return Ok(None);
        };
        let mode = rustix::fs::fstat(&hidden).map_err(self.failed())?.st_mode & 0o7777;
        Ok(Some(("mode".to_owned(), Some(format!("{mode:o}")))))
    }

    fn decorate(&self, mount: BorrowedFd<'_>) -> Result<(), Error> {
        apply_attributes(mount, &self.options).map_err(self.failed())?;
        self.propagate(mount)
    }

    fn propagate(&self, mount: BorrowedFd<'_>) -> Result<(), Error> {
        for (flag, recursive) in &self.options.propagation {
            set_propagation(mount, *flag, *recursive).map_err(self.failed())?;
        }
        Ok(())
    }

    /// A proc or sysfs behind a symlink of the image would leave the real path unmasked
    /// (CVE-2019-19921's family), so every part of the path must be an ordinary directory.
    fn require_plain_directory(&self, context: &MountContext<'_>) -> Result<(), Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let opened = context
            .root
            .open_with(&self.destination, flags, ResolveFlags::NO_SYMLINKS);
        opened.map(drop).map_err(|errno| match errno {
            Errno::LOOP => Error::spec(
                format!("mounts: destination {:?}", self.destination.display()),
                "must be an ordinary directory of the image, not a symbolic link",
            ),
            other => mount_error(self.destination.display().to_string())(other),
        })
    }

    fn failed(&self) -> impl FnOnce(Errno) -> Error + use<> {
        mount_error(self.destination.display().to_string())
    }
}

/// Files of procfs that may be covered by a bind mount (lxcfs and checkpoint tools do); anything else
/// there could fake what the runtime itself reads and writes.
const PROC_ENTRIES: [&str; 9] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
];

fn refuse_proc_entry(target: BorrowedFd<'_>, destination: &Path) -> Result<(), Error> {
    const PROC_SUPER_MAGIC: u64 = 0x9fa0;
    let subject = destination.display().to_string();
    let on_proc = rustix::fs::fstatfs(target)
        .map_err(mount_error(subject.clone()))?
        .f_type as u64;
    let allowed =
        destination == Path::new("/proc") || PROC_ENTRIES.iter().any(|p| destination == Path::new(p));
    if on_proc == PROC_SUPER_MAGIC && !allowed {
        return Err(Error::spec(
            format!("mounts: destination {subject:?}"),
            "lies inside procfs",
        ));
    }
    Ok(())
}
