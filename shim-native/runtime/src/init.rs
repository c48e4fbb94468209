//! The child's side of `create` and `start`: from the fresh clone to `execve`.

use crate::cgroup::Attachment;
use crate::devices;
use crate::error::{Error, Step, Warning};
use crate::hooks::{self, HookKind, HookState};
use crate::kernel;
use crate::mounts::cgroup_view::CgroupView;
use crate::mounts::root_dir::{RootDir, open_host};
use crate::mounts::{MountContext, PlannedMount, hidden_paths, pivot};
use crate::namespaces::Namespaces;
use crate::process::ProcessPlan;
use crate::protocol::{Channel, Message};
use crate::stdio::Streams;
use crate::sysctl;
use crate::terminal::{self, Console};
use crate::trace;
use oci_spec::runtime::Hook;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Everything the child needs, prepared by the caller's side.
pub(crate) struct InitPlan {
    pub namespaces: Namespaces,
    /// Whether a helper has joined the listed namespaces already.
    pub joined_by_helper: bool,
    /// Whether the caller has to do its part (id maps, systemd's unit) before anything else.
    pub waits_for_caller: bool,
    pub attachment: Attachment,
    pub rootfs: OwnedFd,
    pub root_path: PathBuf,
    pub root_read_only: bool,
    /// `MS_*` of `linux.rootfsPropagation`.
    pub propagation: Option<u64>,
    pub no_pivot_root: bool,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub sysctls: Vec<sysctl::Setting>,
    pub mounts: Vec<PlannedMount>,
    pub cgroup_view: CgroupView,
    pub devices: Vec<devices::Node>,
    pub masked: Vec<String>,
    pub read_only: Vec<String>,
    pub has_runtime_hooks: bool,
    pub create_container: Vec<Hook>,
    pub start_container: Vec<Hook>,
    pub state: HookState,
    pub process: ProcessPlan,
    pub streams: Option<Streams>,
}

impl InitPlan {
    fn user_namespace(&self) -> bool {
        self.namespaces.all & libc::CLONE_NEWUSER != 0
    }
}

/// Runs the set-up; returns only on failure.
pub(crate) fn run(plan: &InitPlan, channel: &Channel) -> Error {
    match set_up(plan, channel) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn set_up(plan: &InitPlan, channel: &Channel) -> Result<std::convert::Infallible, Error> {
    trace::traced("enter cgroup and namespaces", || enter(plan, channel))?;
    let attaching = trace::step("attach the root, name the host");
    let proc = open_host(Path::new("/proc")).map_err(|e| Error::system(Step::Namespaces, "/proc", e))?;
    let own_pid = own_host_pid(proc.as_fd());
    attach_root(plan)?;
    identify(plan)?;
    sysctl::apply(&plan.sysctls, proc.as_fd())?;
    drop(proc);
    let root = open_root(plan)?;
    drop(attaching);
    trace::traced("mount, make devices", || furnish(plan, channel, &root))?;
    let isolating = trace::step("hooks, hide paths, switch the root");
    let console = make_console(plan, channel, &root)?;
    run_creation_hooks(plan, channel, own_pid)?;
    hidden_paths::make_read_only(&root, &plan.read_only)?;
    hidden_paths::mask(&root, &plan.masked)?;
    switch_root(plan, &root)?;
    drop(root);
    drop(isolating);
    connect_streams(plan, console.as_ref())?;
    drop(console);
    finish(plan, channel, own_pid)
}

/// Nothing is said when nobody asked.
fn tell_steps(channel: &Channel) -> Result<(), Error> {
    if trace::is_on() {
        channel.send(&Message::Steps(trace::take()))?;
    }
    Ok(())
}

/// Cgroup, score, namespaces, identity: what makes the process the container's.
fn enter(plan: &InitPlan, channel: &Channel) -> Result<(), Error> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // Nothing of the container may look into this copy of the caller (CVE-2019-5736's family).
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|errno| Error::system(Step::Fork, "non-dumpable", errno))?;
    rustix::process::umask(Mode::empty());
    plan.attachment.enter()?;
    if let Some(score) = plan.process.oom_score_adj {
        set_oom_score(score, &mut |warning| channel.send(&Message::Warning(warning)))?;
    }
    if !plan.joined_by_helper {
        plan.namespaces.join_all()?;
    }
    if plan.waits_for_caller {
        channel.expect(Message::Proceed)?;
    }
    plan.namespaces.join(libc::CLONE_NEWCGROUP)?;
    if plan.namespaces.is_new(libc::CLONE_NEWCGROUP) {
        // Only now: the namespace's root is the group of the process that makes it.
        kernel::unshare(libc::CLONE_NEWCGROUP)
            .map_err(|errno| Error::system(Step::Namespaces, "new cgroup namespace", errno))?;
    }
    Ok(())
}

/// Writes the score through the host's procfs. Lowering it needs `CAP_SYS_RESOURCE`.
pub(crate) fn set_oom_score(
    score: i32,
    warn: &mut dyn FnMut(Warning) -> Result<(), Error>,
) -> Result<(), Error> {
    let failed = |errno| Error::system(Step::OomScore, score.to_string(), errno);
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, "/proc/self/oom_score_adj", flags, Mode::empty()).map_err(failed)?;
    match rustix::io::write(file, score.to_string().as_bytes()) {
        Err(Errno::ACCESS) => {
            let message = format!("oom_score_adj {score} not set: lowering it needs CAP_SYS_RESOURCE");
            warn(Warning {
                step: Step::OomScore,
                message,
            })
        }
        other => other.map(drop).map_err(failed),
    }
}

/// This process's pid as the host sees it: `/proc/self` of the host's procfs.
fn own_host_pid(proc: std::os::fd::BorrowedFd<'_>) -> Option<i32> {
    rustix::fs::readlinkat(proc, "self", Vec::new())
        .ok()?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Attaches the root in this mount namespace, then becomes root of the user namespace: before that, the
/// host's root may still walk paths that the mapped one may not.
fn attach_root(plan: &InitPlan) -> Result<(), Error> {
    pivot::isolate(plan.propagation)?;
    let shared = plan.propagation == Some(libc::MS_SHARED);
    pivot::attach_root(plan.rootfs.as_fd(), &plan.root_path, shared)?;
    Ok(())
}

fn identify(plan: &InitPlan) -> Result<(), Error> {
    if plan.namespaces.all & libc::CLONE_NEWUSER != 0 {
        let failed = |errno| Error::system(Step::User, "root of the user namespace", errno);
        kernel::set_res_gid(0).map_err(failed)?;
        kernel::set_res_uid(0).map_err(failed)?;
    }
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name.as_bytes())
            .map_err(|errno| Error::system(Step::Hostname, name.as_str(), errno))?;
    }
    if let Some(name) = &plan.domainname {
        rustix::system::setdomainname(name.as_bytes())
            .map_err(|errno| Error::system(Step::Hostname, name.as_str(), errno))?;
    }
    Ok(())
}

fn open_root(plan: &InitPlan) -> Result<RootDir, Error> {
    // The detached tree is attached by now, and its descriptor is the mount's root: no path is walked.
    let fd = rustix::io::fcntl_dupfd_cloexec(&plan.rootfs, 3)
        .map_err(|errno| Error::system(Step::Rootfs, plan.root_path.display().to_string(), errno))?;
    Ok(RootDir::new(fd))
}

fn furnish(plan: &InitPlan, channel: &Channel, root: &RootDir) -> Result<(), Error> {
    let context = MountContext {
        root,
        cgroups: &plan.cgroup_view,
    };
    for mount in &plan.mounts {
        if let Some(warning) = mount.perform(&context)? {
            channel.send(&Message::Warning(warning))?;
        }
    }
    if !plan.mounts.iter().any(PlannedMount::binds_dev) {
        devices::make(root, &plan.devices, plan.user_namespace())?;
    }
    root.ensure_dir(&plan.process.cwd)
        .map(drop)
        .map_err(|error| match error {
            Error::System { errno, .. } => {
                Error::system(Step::Cwd, plan.process.cwd.display().to_string(), errno)
            }
            other => other,
        })
}

fn make_console(plan: &InitPlan, channel: &Channel, root: &RootDir) -> Result<Option<Console>, Error> {
    if !plan.process.terminal {
        return Ok(None);
    }
    let console = terminal::open(root, plan.process.console_size, plan.process.uid)?;
    terminal::mount_console(root, &console)?;
    channel.send_with_fd(&Message::Console, console.master.as_fd())?;
    Ok(Some(console))
}

fn run_creation_hooks(plan: &InitPlan, channel: &Channel, pid: Option<i32>) -> Result<(), Error> {
    if plan.has_runtime_hooks {
        channel.send(&Message::RunHooks)?;
        channel.expect(Message::HooksDone)?;
    }
    let state = plan.state.json("creating", pid);
    hooks::run(HookKind::CreateContainer, &plan.create_container, &state, None)
}

fn switch_root(plan: &InitPlan, root: &RootDir) -> Result<(), Error> {
    PlannedMount::finish_dev(&plan.mounts, root)?;
    if plan.no_pivot_root {
        pivot::move_root(root.fd())?;
    } else {
        pivot::pivot(root.fd())?;
    }
    pivot::finish(plan.propagation, plan.root_read_only)
}

fn connect_streams(plan: &InitPlan, console: Option<&Console>) -> Result<(), Error> {
    rustix::process::setsid().map_err(|errno| Error::system(Step::Terminal, "setsid", errno))?;
    match (console, &plan.streams) {
        (Some(console), _) => terminal::take_over(&console.peer),
        (None, Some(streams)) => streams.connect(),
        (None, None) => Ok(()),
    }
}

fn finish(plan: &InitPlan, channel: &Channel, pid: Option<i32>) -> Result<std::convert::Infallible, Error> {
    let settling = trace::step("user, limits, capabilities, close files");
    let settled = plan
        .process
        .settle(&mut |warning| channel.send(&Message::Warning(warning)))?;
    // Everything of the caller goes, also what its other threads opened: nobody may find it in here, and
    // no pipe's end may stay open through a process that waits.
    kernel::close_all_but(channel.fd()).map_err(|errno| Error::system(Step::Stdio, "close_range", errno))?;
    drop(settling);
    tell_steps(channel)?;
    channel.send(&Message::Ready)?;
    channel.expect(Message::Start)?;
    if !plan.start_container.is_empty() {
        let state = plan.state.json("created", pid);
        let seal = || plan.process.seal().map(drop).map_err(std::io::Error::other);
        hooks::run(
            HookKind::StartContainer,
            &plan.start_container,
            &state,
            Some(&seal),
        )?;
    }
    if let Some(listener) = plan.process.seal()? {
        channel.send(&Message::Listener(listener))?;
        channel.expect(Message::ListenerSent)?;
    }
    Err(settled.execute())
}
