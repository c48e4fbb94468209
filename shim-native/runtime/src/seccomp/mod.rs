//! `linux.seccomp` compiled to classic BPF.
//!
//! [`policy`] turns the spec into a verdict per call number and machine, [`program`] turns verdicts into
//! instructions: one dispatch on the machine, then a binary search over ranges of call numbers with equal
//! verdicts, so that a call costs about eight comparisons instead of hundreds.

mod policy;
mod program;
mod tables;

use crate::error::Error;
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompFilterFlag};
use std::path::PathBuf;

/// A compiled filter with what installing it needs.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub program: Vec<libc::sock_filter>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u32,
    /// Set when an action is `SCMP_ACT_NOTIFY`: where the listener descriptor goes.
    pub listener: Option<Listener>,
}

#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub path: PathBuf,
    pub metadata: Option<String>,
}

/// Compiles. `None`: the policy allows everything, so no filter is needed.
pub(crate) fn compile(seccomp: &LinuxSeccomp) -> Result<Option<Filter>, Error> {
    let policy = policy::Policy::new(seccomp)?;
    if policy.allows_everything() {
        return Ok(None);
    }
    let listener = policy.listener(seccomp)?;
    let program = program::assemble(&policy)?;
    Ok(Some(Filter {
        program,
        flags: flags(seccomp),
        listener,
    }))
}

fn flags(seccomp: &LinuxSeccomp) -> u32 {
    let bit = |flag: &LinuxSeccompFilterFlag| match flag {
        // One thread is all there is when the filter is installed, so TSYNC has nothing to do (and it
        // excludes a listener).
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 0,
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => 1 << 1,
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => 1 << 2,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => 1 << 5,
    };
    seccomp
        .flags()
        .iter()
        .flatten()
        .map(bit)
        .fold(0, |all, flag| all | flag)
}

#[cfg(test)]
mod tests;
