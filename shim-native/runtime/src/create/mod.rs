//! The caller's side of `create`: from the spec to a plan, from the plan to a process that waits for `start`.

mod plan;

pub(crate) use plan::{Outer, check_id, prepare, streams};

use crate::cgroup::Attachment;
use crate::error::{Error, Step, Warning};
use crate::hooks::{self, HookKind};
use crate::init::{self, InitPlan};
use crate::kernel;
use crate::namespaces::{CLONE_NEWTIME, Namespaces};
use crate::options::CreateOptions;
use crate::process::preraise;
use crate::protocol::{Message, unexpected};
use crate::seccomp::Filter;
use crate::spawn::{Request, Spawned, spawn};
use crate::state::{InitIdentity, StateFile, run_poststop};
use crate::trace;
use crate::user_mapping::IdMaps;
use oci_spec::runtime::{Hook, LinuxTimeOffset, Spec};
use std::collections::HashMap;
use std::os::fd::OwnedFd;

/// What is left to keep once the process waits.
pub(crate) struct Made {
    pub spawned: Spawned,
    pub console: Option<OwnedFd>,
    pub warnings: Vec<Warning>,
    pub state: StateFile,
    pub namespaces: i32,
    pub maps: Option<IdMaps>,
    pub seccomp: Option<Filter>,
    pub poststart: Vec<Hook>,
}

pub(crate) fn create(spec: Spec, options: CreateOptions<'_>) -> Result<Made, Error> {
    check_id(options.id)?;
    let mut warnings = Vec::new();
    let planning = trace::step("plan");
    let (mut plan, outer) = prepare(spec, options, &mut warnings)?;
    drop(planning);
    let claiming = trace::step("claim the cgroup, write the state file");
    // Before anything is written down as ours: undo and clean-up kill what is in the group.
    outer.state.cgroup.require_free()?;
    outer.state.save(&outer.bundle)?;
    drop(claiming);
    match make(&mut plan, &outer, &mut warnings) {
        Ok((spawned, console, state)) => Ok(Made {
            spawned,
            console,
            warnings,
            state,
            namespaces: plan.namespaces.all,
            maps: outer.maps,
            seccomp: plan.process.seccomp.take(),
            poststart: outer.poststart,
        }),
        Err(error) => {
            undo(&outer);
            Err(error)
        }
    }
}

/// Takes back what was made, after an error that counts more than one in here: what cannot be undone is left to `cleanup`.
pub(crate) fn undo(outer: &Outer) {
    let cgroup = &outer.state.cgroup;
    if cgroup.kill_all().and_then(|()| cgroup.remove()).is_ok() {
        let _ = StateFile::remove(&outer.bundle);
    }
}

type Waiting = (Spawned, Option<OwnedFd>, StateFile);

fn make(plan: &mut InitPlan, outer: &Outer, warnings: &mut Vec<Warning>) -> Result<Waiting, Error> {
    let by_systemd = outer.state.cgroup.unit.is_some();
    if !by_systemd {
        let _step = trace::step("make the cgroup");
        outer.state.cgroup.create()?;
        warnings.extend(outer.state.cgroup.apply(&outer.resources, true)?);
        plan.attachment = outer.state.cgroup.attachment()?;
    }
    let spawned = spawn_init(plan, outer)?;
    let closing = trace::step("close the child's files");
    // The child has its own copies; held here they would keep pipes and mounts open.
    plan.streams = None;
    plan.mounts.clear();
    plan.attachment = Attachment::default();
    drop(closing);
    match attend(plan, outer, &spawned, warnings) {
        Ok((console, state)) => Ok((spawned, console, state)),
        Err(error) => {
            spawned.discard();
            Err(error)
        }
    }
}

fn spawn_init(plan: &InitPlan, outer: &Outer) -> Result<Spawned, Error> {
    let enter = || {
        plan.namespaces.join_all()?;
        new_time_namespace(&plan.namespaces, &outer.time_offsets)
    };
    let later = libc::CLONE_NEWCGROUP | CLONE_NEWTIME;
    let request = Request {
        flags: (plan.namespaces.new & !later) as u64,
        cgroup: plan.attachment.v2(),
        prepare: if plan.joined_by_helper { Some(&enter) } else { None },
        enters_time: plan.namespaces.all & CLONE_NEWTIME != 0,
    };
    let cloning = trace::now_ns();
    spawn(&request, |channel| {
        trace::begin_child(cloning);
        init::run(plan, channel)
    })
}

/// time_namespaces(7): offsets can be set until the first process is in.
fn new_time_namespace(
    namespaces: &Namespaces,
    offsets: &HashMap<String, LinuxTimeOffset>,
) -> Result<(), Error> {
    if !namespaces.is_new(CLONE_NEWTIME) {
        return Ok(());
    }
    kernel::unshare(CLONE_NEWTIME)
        .map_err(|errno| Error::system(Step::Namespaces, "new time namespace", errno))?;
    for (clock, offset) in offsets {
        let line = format!(
            "{clock} {} {}",
            offset.secs().unwrap_or(0),
            offset.nanosecs().unwrap_or(0)
        );
        std::fs::write("/proc/self/timens_offsets", &line).map_err(|error| {
            let errno = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
            Error::system(Step::Namespaces, format!("time offset {line:?}"), errno)
        })?;
    }
    Ok(())
}

/// Answers the child until it is ready, then records it.
fn attend(
    plan: &InitPlan,
    outer: &Outer,
    spawned: &Spawned,
    warnings: &mut Vec<Warning>,
) -> Result<(Option<OwnedFd>, StateFile), Error> {
    let pid = spawned.pid;
    if plan.waits_for_caller {
        place(outer, pid, warnings)?;
        if let Some(maps) = outer
            .maps
            .as_ref()
            .filter(|_| plan.namespaces.is_new(libc::CLONE_NEWUSER))
        {
            maps.write(pid)?;
            preraise(&plan.process.limits, pid);
        }
        spawned.channel.send(&Message::Proceed)?;
    }
    let mut console = None;
    loop {
        match spawned.channel.receive()? {
            Some((Message::Ready, _)) => break,
            Some((Message::Warning(warning), _)) => warnings.push(warning),
            Some((Message::Steps(steps), _)) => trace::add_childs(steps, pid),
            Some((Message::Console, fd)) => console = fd,
            Some((Message::RunHooks, _)) => {
                run_runtime_hooks(outer, pid).inspect_err(|_| warnings.extend(run_poststop(&outer.state)))?;
                spawned.channel.send(&Message::HooksDone)?;
            }
            Some((Message::Failed(failure), _)) => return Err(failure.into()),
            Some((other, _)) => return Err(unexpected("Ready", other.name().to_owned())),
            None => {
                return Err(Error::ChildDied {
                    pid,
                    during: "set-up",
                });
            }
        }
    }
    let _step = trace::step("write the state file");
    let mut state = outer.state.clone();
    state.record_init(&outer.bundle, InitIdentity::of(pid)?)?;
    Ok((console, state))
}

/// systemd makes the group around the process; whatever it does not manage is added.
pub(crate) fn place(outer: &Outer, pid: i32, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    let cgroup = &outer.state.cgroup;
    if cgroup.unit.is_none() {
        return Ok(());
    }
    cgroup.start_unit(pid, Some(&outer.resources))?;
    cgroup.create()?;
    warnings.extend(cgroup.apply(&outer.resources, true)?);
    cgroup.adopt(pid)
}

pub(crate) fn run_runtime_hooks(outer: &Outer, pid: i32) -> Result<(), Error> {
    let json = outer.state.state.json("creating", Some(pid));
    hooks::run(HookKind::Prestart, &outer.before, &json, None)?;
    hooks::run(HookKind::CreateRuntime, &outer.runtime, &json, None)
}
