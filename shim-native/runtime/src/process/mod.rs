//! A process of the container, init or exec: from its `process` object to `execve`.
//!
//! [`plan`](ProcessPlan::new) runs on the caller's side and compiles everything; [`settle`], `seal` and
//! `execute` run in the child, in this order, with the wait for `Start` between the first two.

mod apparmor;
mod credentials;
mod limits;
mod program;
mod schedule;
mod settle;

pub(crate) use limits::{Limit, preraise};

use crate::capabilities::CapSets;
use crate::error::{Error, Step, Warning};
use crate::seccomp::Filter;
use oci_spec::runtime::{LinuxPersonality, LinuxPersonalityDomain, Process};
use schedule::Schedule;
use std::ffi::CString;
use std::path::PathBuf;

/// Everything a child needs to become the program, free of parsing.
pub(crate) struct ProcessPlan {
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub cwd: PathBuf,
    pub uid: u32,
    pub gid: u32,
    groups: Vec<u32>,
    umask: u32,
    caps: CapSets,
    no_new_privileges: bool,
    pub limits: Vec<Limit>,
    schedule: Schedule,
    personality: Option<u64>,
    pub oom_score_adj: Option<i32>,
    keyring: Option<CString>,
    profile: Option<apparmor::Profile>,
    pub terminal: bool,
    pub console_size: Option<(u16, u16)>,
    pub seccomp: Option<Filter>,
}

/// What is asked beside the `process` object.
pub(crate) struct Extras<'a> {
    /// Name of the session keyring; `None` keeps the caller's.
    pub keyring: Option<String>,
    pub seccomp: Option<Filter>,
    pub personality: Option<&'a LinuxPersonality>,
    /// Whether the process holds host capabilities (no user namespace): they are then clamped.
    pub host_capabilities: bool,
}

const DEFAULT_UMASK: u32 = 0o022;

impl ProcessPlan {
    pub(crate) fn new(
        process: &Process,
        extras: Extras<'_>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, Error> {
        let args = process.args().clone().unwrap_or_default();
        if args.is_empty() || args[0].is_empty() {
            return Err(Error::spec(
                "process.args",
                "is empty: there is no program to run",
            ));
        }
        let env = process.env().clone().unwrap_or_default();
        no_nul("process.args", &args)?;
        no_nul("process.env", &env)?;
        if !process.cwd().is_absolute() {
            let reason = format!("{:?} is not an absolute path", process.cwd().display());
            return Err(Error::spec("process.cwd", reason));
        }
        ignored(process, warnings);
        let mut caps = CapSets::new(process.capabilities().as_ref());
        if extras.host_capabilities {
            caps.clamp_to_host(warnings)?;
        }
        let user = process.user();
        Ok(Self {
            cwd: process.cwd().clone(),
            uid: user.uid(),
            gid: user.gid(),
            groups: user.additional_gids().clone().unwrap_or_default(),
            umask: user.umask().unwrap_or(DEFAULT_UMASK),
            no_new_privileges: process.no_new_privileges().unwrap_or(false),
            limits: limits::plan(process.rlimits().as_deref().unwrap_or_default())?,
            schedule: Schedule::new(process)?,
            personality: extras.personality.map(personality).transpose()?,
            oom_score_adj: process.oom_score_adj(),
            keyring: extras.keyring.map(|name| CString::new(name).unwrap_or_default()),
            profile: apparmor::Profile::new(process)?,
            terminal: process.terminal().unwrap_or(false),
            console_size: console_size(process),
            seccomp: extras.seccomp,
            args,
            env,
            caps,
        })
    }
}

fn no_nul(field: &str, strings: &[String]) -> Result<(), Error> {
    match strings.iter().position(|s| s.contains('\0')) {
        Some(index) => Err(Error::spec(format!("{field}[{index}]"), "contains a NUL byte")),
        None => Ok(()),
    }
}

/// SELinux is not for this runtime: its hosts are told.
fn ignored(process: &Process, warnings: &mut Vec<Warning>) {
    let label = process.selinux_label().as_deref().unwrap_or_default();
    if !label.is_empty() {
        let message = format!("process.selinuxLabel {label:?} ignored: this runtime sets no SELinux labels");
        warnings.push(Warning {
            step: Step::Spec,
            message,
        });
    }
}

fn console_size(process: &Process) -> Option<(u16, u16)> {
    let size = process.console_size()?;
    let clamp = |value: u64| u16::try_from(value).unwrap_or(u16::MAX);
    (size.height() > 0 || size.width() > 0).then(|| (clamp(size.height()), clamp(size.width())))
}

fn personality(personality: &LinuxPersonality) -> Result<u64, Error> {
    if personality
        .flags()
        .as_ref()
        .is_some_and(|flags| !flags.is_empty())
    {
        return Err(Error::spec(
            "linux.personality.flags",
            "no flag is supported by the specification",
        ));
    }
    Ok(match personality.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}
