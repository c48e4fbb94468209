//! A container whose processes come out of a checkpoint: all of it is made as for a new one but the processes. Those are made
//! by CRIU, in the container's cgroup and on its root; how it is told to is the caller's affair.
//!
//! `prepare_restore` → a process is started with [`Container::restorer_entry`] → [`Container::admit_restorer`] → it restores →
//! [`Container::restored`].

use crate::container::{Container, Created};
use crate::create::{Outer, check_id, place, prepare, run_runtime_hooks, undo};
use crate::error::{Error, Step, Warning};
use crate::kernel::unshare;
use crate::mounts::root_dir::RootDir;
use crate::mounts::{PlannedMount, pivot};
use crate::namespaces::{Joined, flag_of};
use crate::options::CreateOptions;
use crate::state::InitIdentity;
use crate::stdio::Streams;
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What is kept for CRIU until the processes are there.
pub(crate) struct Restoration {
    outer: Outer,
    tree: OwnedFd,
    root: PathBuf,
    streams: Option<Streams>,
    joined: Vec<Joined>,
}

impl std::fmt::Debug for Restoration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restoration").field("root", &self.root).finish()
    }
}

/// What the restoring process does before it executes.
pub struct Entry {
    tree: OwnedFd,
    root: PathBuf,
}

impl Entry {
    /// Moves the calling process, which must have one thread, into a mount namespace of its own in which the container's root
    /// lies where its spec has it. The host sees nothing of it.
    pub fn enter(&self) -> io::Result<()> {
        let enter = || {
            unshare(libc::CLONE_NEWNS)
                .map_err(|errno| Error::system(Step::Namespaces, "new mount namespace", errno))?;
            pivot::isolate(Some(libc::MS_PRIVATE))?;
            pivot::attach_root(self.tree.as_fd(), &self.root, false)
        };
        enter().map_err(io::Error::other)
    }
}

impl Container {
    /// Makes the cgroups and the root of a container, but no process: [`Container::init_pid`] is 0. After an error nothing of
    /// it is left.
    pub fn prepare_restore(spec: Spec, options: CreateOptions<'_>) -> Result<Created, Error> {
        check_id(options.id)?;
        let mut warnings = Vec::new();
        let (mut plan, outer) = prepare(spec, options, &mut warnings)?;
        outer.state.cgroup.require_free()?;
        outer.state.save(&outer.bundle)?;
        let made = furnish(&outer, &plan.rootfs, &plan.mounts, &mut warnings);
        if let Err(error) = made {
            undo(&outer);
            return Err(error);
        }
        let container = Container {
            state: outer.state.clone(),
            init_pid: 0,
            pidfd: None,
            channel: None,
            namespaces: plan.namespaces.all,
            maps: outer.maps.clone(),
            seccomp: plan.process.seccomp.take(),
            poststart: outer.poststart.clone(),
            restoration: Some(Box::new(Restoration {
                outer,
                tree: plan.rootfs,
                root: plan.root_path,
                streams: plan.streams,
                joined: plan.namespaces.joined,
            })),
            deleted: false,
        };
        Ok(Created {
            container,
            console: None,
            warnings,
        })
    }

    fn restoration(&self) -> Result<&Restoration, Error> {
        self.restoration
            .as_deref()
            .ok_or_else(|| self.wrong_state("started", "waiting to be restored"))
    }

    /// To be run in the process that restores, between fork and exec.
    pub fn restorer_entry(&self) -> Result<Entry, Error> {
        let restoration = self.restoration()?;
        let tree = rustix::io::fcntl_dupfd_cloexec(&restoration.tree, 3)
            .map_err(|errno| Error::system(Step::Rootfs, "dup", errno))?;
        Ok(Entry {
            tree,
            root: restoration.root.clone(),
        })
    }

    /// Takes the process that restores into the container's cgroup, from which what it makes inherits.
    pub fn admit_restorer(&self, pid: i32) -> Result<Vec<Warning>, Error> {
        let outer = &self.restoration()?.outer;
        let mut warnings = Vec::new();
        match outer.state.cgroup.unit {
            Some(_) => place(outer, pid, &mut warnings)?,
            None => outer.state.cgroup.adopt(pid)?,
        }
        Ok(warnings)
    }

    /// Where the root of the container is for the process that entered.
    pub fn restored_root(&self) -> Result<&Path, Error> {
        self.restoration().map(|restoration| restoration.root.as_path())
    }

    /// The standard streams for the restored process; none with a terminal.
    pub fn restored_streams(&self) -> Result<Vec<BorrowedFd<'_>>, Error> {
        Ok(match &self.restoration()?.streams {
            Some(streams) => vec![
                streams.stdin.as_fd(),
                streams.stdout.as_fd(),
                streams.stderr.as_fd(),
            ],
            None => Vec::new(),
        })
    }

    /// The namespace of this kind that the spec names by a path.
    pub fn joined_namespace(&self, kind: LinuxNamespaceType) -> Result<Option<BorrowedFd<'_>>, Error> {
        let mut joined = self.restoration()?.joined.iter();
        Ok(joined
            .find(|joined| joined.flag == flag_of(kind))
            .map(Joined::file))
    }

    /// The container's namespaces are there, with `pid` (of the caller's namespace) in them: `prestart` and `createRuntime` hooks.
    pub fn run_restore_hooks(&self, pid: i32) -> Result<(), Error> {
        run_runtime_hooks(&self.restoration()?.outer, pid)
    }

    /// The first process is there, as a child of the caller, and does not run yet. From here on it is known as init.
    pub fn restored(&mut self, pid: i32) -> Result<(), Error> {
        let bundle = self.restoration()?.outer.bundle.clone();
        let failed = |errno| Error::system(Step::State, format!("restored process {pid}"), errno);
        let process = Pid::from_raw(pid).ok_or_else(|| failed(rustix::io::Errno::SRCH))?;
        self.pidfd = Some(pidfd_open(process, PidfdFlags::empty()).map_err(failed)?);
        self.init_pid = pid;
        self.state.record_init(&bundle, InitIdentity::of(pid)?)
    }

    /// It runs: lets go of what was kept for it, and runs the `poststart` hooks, whose failures are warnings.
    pub fn finish_restore(&mut self) -> Vec<Warning> {
        self.restoration = None;
        self.run_poststart()
    }

    /// The directory by which the container is frozen; `None` without a freezer.
    pub fn freezer_dir(&self) -> Option<&Path> {
        let cgroup = &self.state.cgroup;
        cgroup.v1_dir("freezer").or(cgroup.v2.as_deref())
    }

    /// Name and directory of each v1 hierarchy's group, as a container sees them below its cgroup mount.
    pub fn v1_groups(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.state.cgroup.v1.iter().filter_map(|group| {
            let name = group.mount.file_name()?.to_str()?;
            Some((name, group.dir.as_path()))
        })
    }
}

fn furnish(
    outer: &Outer,
    tree: &OwnedFd,
    mounts: &[PlannedMount],
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    let cgroup = &outer.state.cgroup;
    if cgroup.unit.is_none() {
        cgroup.create()?;
        warnings.extend(cgroup.apply(&outer.resources, true)?);
    }
    let root = rustix::io::fcntl_dupfd_cloexec(tree, 3)
        .map_err(|errno| Error::system(Step::Rootfs, "dup", errno))?;
    PlannedMount::make_targets(mounts, &RootDir::new(root))
}
