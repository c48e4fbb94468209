//! Resource limits (setrlimit(2)).

use crate::error::{Error, Step, Warning};
use oci_spec::runtime::{PosixRlimit, PosixRlimitType};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// One limit to set. `None` = no limit.
pub(crate) struct Limit {
    name: PosixRlimitType,
    resource: Resource,
    soft: Option<u64>,
    hard: Option<u64>,
}

pub(super) fn plan(listed: &[PosixRlimit]) -> Result<Vec<Limit>, Error> {
    let mut limits: Vec<Limit> = Vec::with_capacity(listed.len());
    for rlimit in listed {
        let name = rlimit.typ();
        if limits.iter().any(|limit| limit.name == name) {
            return Err(Error::spec("process.rlimits", format!("{name} is listed twice")));
        }
        if rlimit.soft() > rlimit.hard() {
            let reason = format!("{name}: soft {} is above hard {}", rlimit.soft(), rlimit.hard());
            return Err(Error::spec("process.rlimits", reason));
        }
        let bound = |value: u64| (value != u64::MAX).then_some(value);
        limits.push(Limit {
            name,
            resource: resource(name),
            soft: bound(rlimit.soft()),
            hard: bound(rlimit.hard()),
        });
    }
    Ok(limits)
}

fn resource(name: PosixRlimitType) -> Resource {
    match name {
        PosixRlimitType::RlimitCpu => Resource::Cpu,
        PosixRlimitType::RlimitFsize => Resource::Fsize,
        PosixRlimitType::RlimitData => Resource::Data,
        PosixRlimitType::RlimitStack => Resource::Stack,
        PosixRlimitType::RlimitCore => Resource::Core,
        PosixRlimitType::RlimitRss => Resource::Rss,
        PosixRlimitType::RlimitNproc => Resource::Nproc,
        PosixRlimitType::RlimitNofile => Resource::Nofile,
        PosixRlimitType::RlimitMemlock => Resource::Memlock,
        PosixRlimitType::RlimitAs => Resource::As,
        PosixRlimitType::RlimitLocks => Resource::Locks,
        PosixRlimitType::RlimitSigpending => Resource::Sigpending,
        PosixRlimitType::RlimitMsgqueue => Resource::Msgqueue,
        PosixRlimitType::RlimitNice => Resource::Nice,
        PosixRlimitType::RlimitRtprio => Resource::Rtprio,
        PosixRlimitType::RlimitRttime => Resource::Rttime,
    }
}

fn exceeds(wanted: Option<u64>, bound: Option<u64>) -> bool {
    match (wanted, bound) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(wanted), Some(bound)) => wanted > bound,
    }
}

fn lower(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    if exceeds(a, b) { b } else { a }
}

fn text(bound: Option<u64>) -> String {
    bound.map_or("unlimited".to_owned(), |value| value.to_string())
}

/// Raises hard limits of the child from outside: in a user namespace of its own it cannot. What the host
/// forbids stays as it is; the child then clamps and says so.
pub(crate) fn preraise(limits: &[Limit], pid: i32) {
    for limit in limits {
        let now = getrlimit(limit.resource);
        if exceeds(limit.hard, now.maximum) {
            let wanted = Rlimit {
                current: now.current,
                maximum: limit.hard,
            };
            let _ = prlimit(Pid::from_raw(pid), limit.resource, wanted);
        }
    }
}

impl Limit {
    /// Sets the limit on the calling process. Where raising is forbidden (`CAP_SYS_RESOURCE` is missing, or
    /// the system-wide bound is lower) the present hard limit is the most it gets, and a warning comes back.
    pub(super) fn apply(&self) -> Result<Option<Warning>, Error> {
        let failed = |errno| Error::system(Step::Rlimit, self.name.to_string(), errno);
        match setrlimit(
            self.resource,
            Rlimit {
                current: self.soft,
                maximum: self.hard,
            },
        ) {
            Ok(()) => return Ok(None),
            Err(Errno::PERM) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let now = getrlimit(self.resource);
        let (soft, hard) = (lower(self.soft, now.maximum), lower(self.hard, now.maximum));
        setrlimit(
            self.resource,
            Rlimit {
                current: soft,
                maximum: hard,
            },
        )
        .map_err(failed)?;
        let message = format!(
            "{}: asked soft {} hard {}, got soft {} hard {}: this host forbids raising it",
            self.name,
            text(self.soft),
            text(self.hard),
            text(soft),
            text(hard)
        );
        Ok(Some(Warning {
            step: Step::Rlimit,
            message,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::PosixRlimitBuilder;

    fn rlimit(soft: u64, hard: u64) -> PosixRlimit {
        PosixRlimitBuilder::default()
            .typ(PosixRlimitType::RlimitNofile)
            .soft(soft)
            .hard(hard)
            .build()
            .unwrap()
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(plan(&[rlimit(2, 1)]).is_err());
        assert!(plan(&[rlimit(1, 2), rlimit(1, 2)]).is_err());
        assert_eq!(plan(&[rlimit(5, u64::MAX)]).unwrap()[0].hard, None);
    }

    #[test]
    fn unlimited_exceeds_every_bound() {
        assert!(exceeds(None, Some(1)) && !exceeds(Some(1), None) && !exceeds(None, None));
        assert_eq!(lower(None, Some(7)), Some(7));
    }
}
