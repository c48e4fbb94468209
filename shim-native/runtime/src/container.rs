//! The container: its verbs.

use crate::cgroup::CgroupKind;
use crate::create::{create, streams};
use crate::error::{Error, Step, Warning};
use crate::exec::{self, ExecOptions, ExecPlan, ExecProcess};
use crate::hooks::{self, HookKind};
use crate::listener;
use crate::namespaces::CLONE_NEWTIME;
use crate::options::CreateOptions;
use crate::process::{Extras, ProcessPlan, preraise};
use crate::protocol::{Channel, Message, unexpected};
use crate::restore::Restoration;
use crate::seccomp::Filter;
use crate::spawn::{Request, Spawned, spawn};
use crate::state::{StateFile, run_poststop, wait_for_end};
use crate::stats::{OomSource, Stats};
use crate::trace;
use crate::user_mapping::IdMaps;
use oci_spec::runtime::{Hook, LinuxResources, Process, Spec};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A container whose init process exists (or existed). Dropping it changes nothing once it is started: the
/// container goes on and [`cleanup`](crate::cleanup) can end it. Dropping it before [`Container::start`]
/// ends the waiting process.
#[derive(Debug)]
pub struct Container {
    pub(crate) state: StateFile,
    pub(crate) init_pid: i32,
    /// Absent until a checkpoint is restored.
    pub(crate) pidfd: Option<OwnedFd>,
    /// Open until init has executed.
    pub(crate) channel: Option<Channel>,
    pub(crate) namespaces: i32,
    pub(crate) maps: Option<IdMaps>,
    pub(crate) seccomp: Option<Filter>,
    pub(crate) poststart: Vec<Hook>,
    pub(crate) restoration: Option<Box<Restoration>>,
    pub(crate) deleted: bool,
}

/// What [`Container::create`] made.
#[derive(Debug)]
pub struct Created {
    pub container: Container,
    /// Master end of the terminal, with [`Stdio::Terminal`](crate::Stdio::Terminal).
    pub console: Option<OwnedFd>,
    pub warnings: Vec<Warning>,
}

impl Container {
    /// Makes the container up to just before `execve`: namespaces, cgroups, mounts, devices, terminal,
    /// and the `prestart`, `createRuntime` and `createContainer` hooks. A program that does not exist is
    /// reported here already ([`Error::Exec`]). On failure everything made is undone, including the init
    /// process (which is then also reaped here, as the caller never knew it).
    pub fn create(spec: Spec, options: CreateOptions<'_>) -> Result<Created, Error> {
        let made = create(spec, options)?;
        let Spawned { pid, pidfd, channel } = made.spawned;
        let container = Container {
            state: made.state,
            init_pid: pid,
            pidfd: Some(pidfd),
            channel: Some(channel),
            namespaces: made.namespaces,
            maps: made.maps,
            seccomp: made.seccomp,
            poststart: made.poststart,
            restoration: None,
            deleted: false,
        };
        Ok(Created {
            container,
            console: made.console,
            warnings: made.warnings,
        })
    }

    /// Lets init run `startContainer` hooks and execute its program, then runs `poststart` hooks
    /// (whose failure is only a warning). Returns once `execve` succeeded. A failed `execve` is
    /// [`Error::Exec`]; init is then dead and waits to be reaped by the caller.
    pub fn start(&mut self) -> Result<Vec<Warning>, Error> {
        let channel = self
            .channel
            .take()
            .ok_or_else(|| self.wrong_state("started", "created"))?;
        match channel.send(&Message::Start) {
            Err(Error::System {
                errno: Errno::PIPE, ..
            }) => {
                return Err(self.wrong_state("stopped", "created"));
            }
            other => other?,
        }
        let mut warnings = Vec::new();
        let executing = trace::step("execute the program");
        self.await_execution(&channel, self.init_pid, &mut warnings)?;
        drop(executing);
        warnings.extend(self.run_poststart());
        Ok(warnings)
    }

    pub(crate) fn run_poststart(&mut self) -> Vec<Warning> {
        let json = self.state.state.json("running", Some(self.init_pid));
        let failures = hooks::run_all(HookKind::Poststart, &std::mem::take(&mut self.poststart), &json);
        let warning = |error: &Error| Warning {
            step: Step::Hook,
            message: error.to_string(),
        };
        failures.iter().map(warning).collect()
    }

    /// Reads until end of file, which is a successful `execve`.
    fn await_execution(&self, channel: &Channel, pid: i32, warnings: &mut Vec<Warning>) -> Result<(), Error> {
        loop {
            match channel.receive()? {
                None => return Ok(()),
                Some((Message::Warning(warning), _)) => warnings.push(warning),
                Some((Message::Failed(failure), _)) => return Err(failure.into()),
                Some((Message::Listener(fd), _)) => {
                    let target = self.seccomp.as_ref().and_then(|filter| filter.listener.as_ref());
                    let target = target.ok_or_else(|| unexpected("end of file", "Listener".to_owned()))?;
                    listener::hand_over(target, pid, fd, &self.state.state)?;
                    channel.send(&Message::ListenerSent)?;
                }
                Some((other, _)) => return Err(unexpected("end of file", other.name().to_owned())),
            }
        }
    }

    pub(crate) fn wrong_state(&self, actual: &'static str, needed: &'static str) -> Error {
        Error::WrongState {
            id: self.state.state.id.clone(),
            actual,
            needed,
        }
    }

    /// Runs `process` inside the container: all namespaces of init, its cgroup, and the process's own
    /// user, capabilities, rlimits and terminal; the container's seccomp policy applies. Returns once
    /// `execve` succeeded. On failure nothing is left to reap.
    pub fn exec(&self, process: &Process, options: ExecOptions) -> Result<ExecProcess, Error> {
        let mut warnings = Vec::new();
        let planning = trace::step("plan");
        let plan = self.plan_exec(process, options, &mut warnings)?;
        drop(planning);
        let joining = trace::step("join the container");
        let init = self.init()?;
        let enter = || exec::enter_namespaces(init, self.namespaces, &plan);
        let request = Request {
            flags: 0,
            cgroup: plan.attachment.v2(),
            prepare: Some(&enter),
            enters_time: self.namespaces & CLONE_NEWTIME != 0,
        };
        let spawned = spawn(&request, |channel| exec::run(&plan, init, channel))?;
        drop(plan.streams);
        drop(joining);
        let _step = trace::step("set up and execute the program");
        match self.attend_exec(&plan.process, &spawned, &mut warnings) {
            Ok(console) => Ok(ExecProcess {
                pid: spawned.pid,
                pidfd: spawned.pidfd,
                console,
                warnings,
            }),
            Err(error) => {
                spawned.discard();
                Err(error)
            }
        }
    }

    fn plan_exec(
        &self,
        process: &Process,
        options: ExecOptions,
        warnings: &mut Vec<Warning>,
    ) -> Result<ExecPlan, Error> {
        let user_namespace = self.namespaces & libc::CLONE_NEWUSER != 0;
        let extras = Extras {
            keyring: (!options.no_new_keyring).then(|| format!("_ses.{}", self.id())),
            seccomp: self.seccomp.clone(),
            personality: None,
            host_capabilities: !user_namespace,
        };
        let process = ProcessPlan::new(process, extras, warnings)?;
        let streams = streams(
            options.stdio,
            &process,
            options.io_owner,
            self.maps.as_ref(),
            user_namespace,
        )?;
        let attachment = self.state.cgroup.attachment()?;
        Ok(ExecPlan {
            process,
            attachment,
            streams,
            user_namespace,
            cgroup_namespace: self.namespaces & libc::CLONE_NEWCGROUP != 0,
        })
    }

    fn attend_exec(
        &self,
        process: &ProcessPlan,
        spawned: &Spawned,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<OwnedFd>, Error> {
        if self.namespaces & libc::CLONE_NEWUSER != 0 {
            preraise(&process.limits, spawned.pid);
        }
        let mut console = None;
        loop {
            match spawned.channel.receive()? {
                Some((Message::Ready, _)) => break,
                Some((Message::Warning(warning), _)) => warnings.push(warning),
                Some((Message::Console, fd)) => console = fd,
                Some((Message::Failed(failure), _)) => return Err(failure.into()),
                Some((other, _)) => return Err(unexpected("Ready", other.name().to_owned())),
                None => {
                    return Err(Error::ChildDied {
                        pid: spawned.pid,
                        during: "exec",
                    });
                }
            }
        }
        warnings.extend(exec::unmet_oom_score(process.oom_score_adj, spawned.pid));
        spawned.channel.send(&Message::Start)?;
        self.await_execution(&spawned.channel, spawned.pid, warnings)?;
        Ok(console)
    }

    pub fn id(&self) -> &str {
        &self.state.state.id
    }

    pub fn bundle(&self) -> &Path {
        &self.state.state.bundle
    }

    /// Pid of init in the caller's pid namespace. Stays the same after init's death.
    pub fn init_pid(&self) -> i32 {
        self.init_pid
    }

    /// Readable (poll) once init has died; `None` while it waits to be restored.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    fn init(&self) -> Result<BorrowedFd<'_>, Error> {
        self.pidfd()
            .ok_or_else(|| self.wrong_state("waiting to be restored", "running"))
    }

    /// Which cgroup interface holds the controllers.
    pub fn cgroup_kind(&self) -> CgroupKind {
        self.state.cgroup.kind
    }

    /// Sends `signal` to init, or with `all` to every process of the container's cgroup. A dead init is
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound); with `all` no processes is success. SIGKILL
    /// also reaches a paused container.
    pub fn kill(&self, signal: i32, all: bool) -> Result<(), Error> {
        let signal = named_signal(signal)?;
        if all {
            if signal == Signal::KILL {
                return self.state.cgroup.kill_all();
            }
            self.state.cgroup.signal_all(signal);
            return Ok(());
        }
        pidfd_send_signal(self.init()?, signal)
            .map_err(|errno| Error::system(Step::Signal, format!("process {}", self.init_pid), errno))?;
        if signal == Signal::KILL {
            self.state.cgroup.thaw_if_frozen()?;
        }
        Ok(())
    }

    /// Freezes every process and returns when they are frozen. Frozen already: success.
    pub fn pause(&self) -> Result<(), Error> {
        self.state.cgroup.freeze()
    }

    /// Thaws. Not frozen: success.
    pub fn resume(&self) -> Result<(), Error> {
        self.state.cgroup.thaw()
    }

    /// Pids (of the caller's namespace) of every process in the container's cgroup, sub groups included.
    pub fn pids(&self) -> Result<Vec<i32>, Error> {
        self.state.cgroup.pids()
    }

    /// Applies new limits; absent fields keep their value.
    pub fn update(&self, resources: &LinuxResources) -> Result<Vec<Warning>, Error> {
        self.state.cgroup.apply(resources, false)
    }

    /// Figures of the moment. A deleted group gives zeros.
    pub fn stats(&self) -> Result<Stats, Error> {
        Ok(self.state.cgroup.stats())
    }

    /// A source of OOM events; `None` where the host has no memory controller.
    pub fn oom_events(&self) -> Result<Option<OomSource>, Error> {
        Ok(self.state.cgroup.watch_oom()?.map(|watch| OomSource { watch }))
    }

    /// Removes what is left of the container: kills every process still in it (SIGKILL), removes the
    /// cgroups, runs `poststop` hooks (failures are warnings), removes the state file. Idempotent: a second
    /// call does nothing. The caller reaps init before or after.
    pub fn delete(&mut self) -> Result<Vec<Warning>, Error> {
        if self.deleted {
            return Ok(Vec::new());
        }
        // A process that waits for its start reads end of file.
        self.channel = None;
        if let Some(init) = &self.pidfd
            && pidfd_send_signal(init, Signal::KILL).is_ok()
        {
            self.state.cgroup.thaw_if_frozen()?;
            wait_for_end(init);
        }
        self.restoration = None;
        let removing = trace::step("kill what is left, remove the cgroup");
        self.state.cgroup.kill_all()?;
        self.state.cgroup.remove()?;
        drop(removing);
        let _step = trace::step("hooks, remove the state file");
        let warnings = run_poststop(&self.state);
        StateFile::remove(&self.state.state.bundle)?;
        self.deleted = true;
        Ok(warnings)
    }
}

/// Any number from 1 to 64, real-time signals included.
fn named_signal(number: i32) -> Result<Signal, Error> {
    if !(1..=64).contains(&number) {
        return Err(Error::spec("signal", format!("{number} is not between 1 and 64")));
    }
    // SAFETY: the number is a valid signal, and it is only handed to kill-like calls, which is what the
    // raw constructor asks (it must not be used to install handlers for libc's own signals).
    Ok(unsafe { Signal::from_raw_unchecked(number) })
}
