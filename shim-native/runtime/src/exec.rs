//! Additional processes in a running container.

use crate::cgroup::Attachment;
use crate::error::{Error, Step, Warning};
use crate::init::set_oom_score;
use crate::kernel;
use crate::mounts::root_dir::{RootDir, open_host};
use crate::options::Stdio;
use crate::process::ProcessPlan;
use crate::protocol::{Channel, Message};
use crate::stdio::Streams;
use crate::terminal;
use rustix::fs::Mode;
use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What a caller decides about an additional process beyond its `process` object.
pub struct ExecOptions {
    /// Must be [`Stdio::Terminal`] exactly if `process.terminal` is true.
    pub stdio: Stdio,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// As in [`CreateOptions::io_owner`](crate::CreateOptions::io_owner).
    pub io_owner: Option<(u32, u32)>,
}

/// A process that has executed its program inside the container. The caller reaps it.
#[derive(Debug)]
pub struct ExecProcess {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// Master end of the terminal, with [`Stdio::Terminal`].
    pub console: Option<OwnedFd>,
    pub warnings: Vec<Warning>,
}

/// Everything the exec's child needs.
pub(crate) struct ExecPlan {
    pub process: ProcessPlan,
    pub attachment: Attachment,
    pub streams: Option<Streams>,
    pub user_namespace: bool,
    pub cgroup_namespace: bool,
}

/// The helper's part, still on the host's side: leave nothing to look into, then enter the namespaces of
/// init, all in one step (setns(2) with a pidfd). Not the cgroup namespace: from inside it, a process cannot
/// be born into the group (cgroup_namespaces(7), nsdelegate).
pub(crate) fn enter_namespaces(init: BorrowedFd<'_>, flags: i32, plan: &ExecPlan) -> Result<(), Error> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|errno| Error::system(Step::Fork, "non-dumpable", errno))?;
    plan.attachment.enter()?;
    if let Some(score) = plan.process.oom_score_adj {
        // A helper has no way to warn: the caller compares afterwards (unmet_oom_score).
        set_oom_score(score, &mut |_| Ok(()))?;
    }
    kernel::setns(init, flags & !libc::CLONE_NEWCGROUP)
        .map_err(|errno| Error::system(Step::Namespaces, "entering those of the container", errno))
}

/// A warning if process `pid` did not get the score it was to have.
pub(crate) fn unmet_oom_score(wanted: Option<i32>, pid: i32) -> Option<Warning> {
    let wanted = wanted?;
    let text = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).ok()?;
    let message = format!("oom_score_adj {wanted} not set: lowering it needs CAP_SYS_RESOURCE");
    (text.trim().parse() != Ok(wanted)).then_some(Warning {
        step: Step::OomScore,
        message,
    })
}

/// The child: returns only on failure.
pub(crate) fn run(plan: &ExecPlan, init: BorrowedFd<'_>, channel: &Channel) -> Error {
    match set_up(plan, init, channel) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn set_up(plan: &ExecPlan, init: BorrowedFd<'_>, channel: &Channel) -> Result<Infallible, Error> {
    if plan.cgroup_namespace {
        kernel::setns(init, libc::CLONE_NEWCGROUP)
            .map_err(|errno| Error::system(Step::Namespaces, "entering the cgroup namespace", errno))?;
    }
    rustix::process::umask(Mode::empty());
    if plan.user_namespace {
        let failed = |errno| Error::system(Step::User, "root of the user namespace", errno);
        kernel::set_res_gid(0).map_err(failed)?;
        kernel::set_res_uid(0).map_err(failed)?;
    }
    rustix::process::setsid().map_err(|errno| Error::system(Step::Terminal, "setsid", errno))?;
    connect(plan, channel)?;
    let settled = plan
        .process
        .settle(&mut |warning| channel.send(&Message::Warning(warning)))?;
    // Everything of the caller goes, also what its other threads opened: nobody may find it in here, and
    // no pipe's end may stay open through a process that waits.
    kernel::close_all_but(channel.fd()).map_err(|errno| Error::system(Step::Stdio, "close_range", errno))?;
    channel.send(&Message::Ready)?;
    channel.expect(Message::Start)?;
    if let Some(listener) = plan.process.seal()? {
        channel.send(&Message::Listener(listener))?;
        channel.expect(Message::ListenerSent)?;
    }
    Err(settled.execute())
}

fn connect(plan: &ExecPlan, channel: &Channel) -> Result<(), Error> {
    match &plan.streams {
        Some(streams) => streams.connect(),
        None => {
            let root =
                open_host(Path::new("/")).map_err(|errno| Error::system(Step::Terminal, "/", errno))?;
            let root = RootDir::new(root);
            let console = terminal::open(&root, plan.process.console_size, plan.process.uid)?;
            channel.send_with_fd(&Message::Console, console.master.as_fd())?;
            terminal::take_over(&console.peer)
        }
    }
}
