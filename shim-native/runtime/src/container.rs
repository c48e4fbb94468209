//! The container: its verbs.

use crate::cgroup::CgroupKind;
use crate::error::{Error, Warning};
use crate::exec::{ExecOptions, ExecProcess};
use crate::options::CreateOptions;
use crate::stats::{OomSource, Stats};
use oci_spec::runtime::{LinuxResources, Process, Spec};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A container whose init process exists (or existed). Dropping it changes nothing: the container
/// goes on and [`cleanup`](crate::cleanup) can end it.
#[derive(Debug)]
pub struct Container {
    id: String,
    bundle: PathBuf,
    init_pid: i32,
    pidfd: OwnedFd,
}

/// What [`Container::create`] made.
#[derive(Debug)]
pub struct Created {
    pub container: Container,
    /// Master end of the terminal, with [`Stdio::Terminal`](crate::Stdio::Terminal).
    pub console: Option<OwnedFd>,
    pub warnings: Vec<Warning>,
}

fn missing<T>(what: &str) -> Result<T, Error> {
    Err(Error::Unsupported {
        what: what.into(),
        why: "not implemented".into(),
    })
}

impl Container {
    /// Makes the container up to just before `execve`: namespaces, cgroups, mounts, devices, terminal,
    /// and the `prestart`, `createRuntime` and `createContainer` hooks. On failure everything made is
    /// undone, including the init process (which is then also reaped here, as the caller never knew it).
    pub fn create(spec: Spec, options: CreateOptions<'_>) -> Result<Created, Error> {
        let _ = (spec, options);
        missing("create")
    }

    /// Lets init run `startContainer` hooks and execute its program, then runs `poststart` hooks
    /// (whose failure is only a warning). Returns once `execve` succeeded. A failed `execve` is
    /// [`Error::Exec`]; init is then dead and waits to be reaped by the caller.
    pub fn start(&mut self) -> Result<Vec<Warning>, Error> {
        missing("start")
    }

    /// Runs `process` inside the container: all namespaces of init, its cgroup, and the process's own
    /// user, capabilities, rlimits and terminal; the container's seccomp policy applies. Returns once
    /// `execve` succeeded.
    pub fn exec(&self, process: &Process, options: ExecOptions) -> Result<ExecProcess, Error> {
        let _ = (process, options);
        missing("exec")
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn bundle(&self) -> &Path {
        &self.bundle
    }

    /// Pid of init in the caller's pid namespace. Stays the same after init's death.
    pub fn init_pid(&self) -> i32 {
        self.init_pid
    }

    /// Readable (poll) once init has died.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Which cgroup interface holds the controllers.
    pub fn cgroup_kind(&self) -> CgroupKind {
        CgroupKind::Hybrid
    }

    /// Sends `signal` to init, or with `all` to every process of the container's cgroup. A dead init is
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound); with `all` no processes is success.
    pub fn kill(&self, signal: i32, all: bool) -> Result<(), Error> {
        let _ = (signal, all);
        missing("kill")
    }

    /// Freezes every process and returns when they are frozen. Frozen already: success.
    pub fn pause(&self) -> Result<(), Error> {
        missing("pause")
    }

    /// Thaws. Not frozen: success.
    pub fn resume(&self) -> Result<(), Error> {
        missing("resume")
    }

    /// Pids (of the caller's namespace) of every process in the container's cgroup, sub groups included.
    pub fn pids(&self) -> Result<Vec<i32>, Error> {
        missing("pids")
    }

    /// Applies new limits; absent fields keep their value.
    pub fn update(&self, resources: &LinuxResources) -> Result<Vec<Warning>, Error> {
        let _ = resources;
        missing("update")
    }

    pub fn stats(&self) -> Result<Stats, Error> {
        missing("stats")
    }

    /// A source of OOM events; `None` where the host has no memory controller.
    pub fn oom_events(&self) -> Result<Option<OomSource>, Error> {
        missing("oom_events")
    }

    /// Removes what is left of the container: kills every process still in it (SIGKILL), removes the
    /// cgroups, runs `poststop` hooks (failures are warnings), removes the state file. Idempotent. The
    /// caller reaps init before or after.
    pub fn delete(&mut self) -> Result<Vec<Warning>, Error> {
        missing("delete")
    }
}
