//! The spec's rules, resolved to numbers and verdicts.

use super::Listener;
use super::tables::{Machine, NATIVE};
use crate::error::Error;
use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall,
};
use std::collections::BTreeMap;

/// `SECCOMP_RET_*` values (seccomp(2)).
pub(super) mod ret {
    pub const KILL_PROCESS: u32 = 0x8000_0000;
    pub const KILL_THREAD: u32 = 0;
    pub const TRAP: u32 = 0x0003_0000;
    pub const ERRNO: u32 = 0x0005_0000;
    pub const USER_NOTIFY: u32 = 0x7fc0_0000;
    pub const TRACE: u32 = 0x7ff0_0000;
    pub const LOG: u32 = 0x7ffc_0000;
    pub const ALLOW: u32 = 0x7fff_0000;
}

/// What happens to one call number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Tried in order; the first whose conditions all hold decides.
    pub conditional: Vec<(Vec<Condition>, u32)>,
    pub otherwise: u32,
}

/// One comparison of a 64-bit argument: `(argument & mask) op value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub argument: u32,
    pub op: Operator,
    pub mask: u64,
    pub value: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// The whole policy.
pub(super) struct Policy {
    pub default: u32,
    pub machines: Vec<MachinePolicy>,
}

pub(super) struct MachinePolicy {
    pub machine: Machine,
    /// Calls with a verdict of their own.
    pub calls: BTreeMap<u32, Verdict>,
    /// From this number on, calls that the policy's author could not know answer ENOSYS rather than the
    /// default errno, so that programs fall back to older calls (as runc does).
    pub unknown_from: Option<u32>,
}

impl Policy {
    pub(super) fn new(spec: &LinuxSeccomp) -> Result<Self, Error> {
        let default = action(spec.default_action(), spec.default_errno_ret())?;
        let rules: &[LinuxSyscall] = spec.syscalls().as_deref().unwrap_or_default();
        let mut names: Vec<&str> = rules
            .iter()
            .flat_map(|rule| rule.names())
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut machines = vec![NATIVE];
        for arch in spec.architectures().iter().flatten() {
            if let Some(machine) = Machine::of(*arch).filter(|machine| !machines.contains(machine)) {
                machines.push(machine);
            }
        }
        let build = |machine: Machine| MachinePolicy::new(machine, rules, &names, default);
        Ok(Self {
            default,
            machines: machines.into_iter().map(build).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn allows_everything(&self) -> bool {
        let plain = |verdict: &Verdict| verdict.conditional.is_empty() && verdict.otherwise == ret::ALLOW;
        self.default == ret::ALLOW
            && self
                .machines
                .iter()
                .all(|machine| machine.calls.values().all(plain))
    }

    /// Where notifications go; required exactly when some action notifies.
    pub(super) fn listener(&self, spec: &LinuxSeccomp) -> Result<Option<Listener>, Error> {
        let rules = spec.syscalls().iter().flatten();
        let notifies = |action| action == LinuxSeccompAction::ScmpActNotify;
        if notifies(spec.default_action()) {
            return Err(Error::spec(
                "linux.seccomp.defaultAction",
                "SCMP_ACT_NOTIFY would block the runtime itself",
            ));
        }
        let mut notified = rules.filter(|rule| notifies(rule.action())).peekable();
        if notified.peek().is_none() {
            return Ok(None);
        }
        if notified.any(|rule| rule.names().iter().any(|name| name == "write")) {
            return Err(Error::spec(
                "linux.seccomp",
                "SCMP_ACT_NOTIFY for write would block the runtime itself",
            ));
        }
        let path = spec
            .listener_path()
            .clone()
            .ok_or_else(|| Error::spec("linux.seccomp.listenerPath", "is needed with SCMP_ACT_NOTIFY"))?;
        Ok(Some(Listener {
            path,
            metadata: spec.listener_metadata().clone(),
        }))
    }
}

impl MachinePolicy {
    fn new(machine: Machine, rules: &[LinuxSyscall], names: &[&str], default: u32) -> Result<Self, Error> {
        let numbers = machine.numbers(names);
        let number_of = |name: &str| names.binary_search(&name).ok().and_then(|index| numbers[index]);
        let mut calls: BTreeMap<u32, Verdict> = BTreeMap::new();
        let mut settled: BTreeMap<u32, ()> = BTreeMap::new();
        for rule in rules {
            let verdict = action(rule.action(), rule.errno_ret())?;
            if verdict == default {
                continue;
            }
            let conditions = conditions(rule.args().as_deref().unwrap_or_default())?;
            for name in rule.names() {
                if let Some(number) = number_of(name) {
                    add(&mut calls, &mut settled, number, &conditions, verdict, default);
                }
                if let Some((multiplexer, index)) =
                    multiplexed(machine, name).filter(|_| conditions.is_empty())
                {
                    let which = Condition {
                        argument: 0,
                        op: Operator::Equal,
                        mask: u64::MAX,
                        value: index,
                    };
                    add(
                        &mut calls,
                        &mut settled,
                        multiplexer,
                        &[vec![which]],
                        verdict,
                        default,
                    );
                }
            }
        }
        let known = numbers.iter().flatten().max().map(|highest| highest + 1);
        let refusing = default & 0xffff_0000 == ret::ERRNO && default != ret::ERRNO | libc::ENOSYS as u32;
        Ok(Self {
            machine,
            calls,
            unknown_from: known.filter(|_| refusing),
        })
    }

    pub(super) fn verdict_of_unlisted(&self, number: u32, default: u32) -> u32 {
        match self.unknown_from {
            Some(first) if number >= first => ret::ERRNO | libc::ENOSYS as u32,
            _ => default,
        }
    }
}

fn add(
    calls: &mut BTreeMap<u32, Verdict>,
    settled: &mut BTreeMap<u32, ()>,
    number: u32,
    alternatives: &[Vec<Condition>],
    verdict: u32,
    default: u32,
) {
    let entry = calls.entry(number).or_insert_with(|| Verdict {
        conditional: Vec::new(),
        otherwise: default,
    });
    if alternatives.is_empty() {
        // The first rule without conditions settles what happens when no condition holds.
        if settled.insert(number, ()).is_none() {
            entry.otherwise = verdict;
        }
        return;
    }
    entry.conditional.extend(
        alternatives
            .iter()
            .map(|conditions| (conditions.clone(), verdict)),
    );
}

/// 32-bit x86 also reaches socket calls through `socketcall(number, ...)`: (its number, first argument).
fn multiplexed(machine: Machine, name: &str) -> Option<(u32, u64)> {
    const SOCKETCALL: u32 = 102;
    const CALLS: [&str; 20] = [
        "socket",
        "bind",
        "connect",
        "listen",
        "accept",
        "getsockname",
        "getpeername",
        "socketpair",
        "send",
        "recv",
        "sendto",
        "recvfrom",
        "shutdown",
        "setsockopt",
        "getsockopt",
        "sendmsg",
        "recvmsg",
        "accept4",
        "recvmmsg",
        "sendmmsg",
    ];
    if !machine.is_x86() {
        return None;
    }
    let index = CALLS.iter().position(|call| *call == name)?;
    Some((SOCKETCALL, index as u64 + 1))
}

/// The alternatives under which a rule holds: all its conditions together, or, when several name the same
/// argument, any one of them (what libseccomp's users expect of such a list).
fn conditions(args: &[LinuxSeccompArg]) -> Result<Vec<Vec<Condition>>, Error> {
    let parsed: Vec<Condition> = args.iter().map(condition).collect::<Result<_, _>>()?;
    if parsed.is_empty() {
        return Ok(Vec::new());
    }
    let repeated = parsed
        .iter()
        .enumerate()
        .any(|(at, c)| parsed[..at].iter().any(|d| d.argument == c.argument));
    if repeated {
        Ok(parsed.into_iter().map(|one| vec![one]).collect())
    } else {
        Ok(vec![parsed])
    }
}

fn condition(arg: &LinuxSeccompArg) -> Result<Condition, Error> {
    let argument = u32::try_from(arg.index())
        .ok()
        .filter(|index| *index < 6)
        .ok_or_else(|| {
            Error::spec(
                "linux.seccomp.syscalls.args.index",
                format!("{} is not between 0 and 5", arg.index()),
            )
        })?;
    let (op, mask, value) = match arg.op() {
        LinuxSeccompOperator::ScmpCmpNe => (Operator::NotEqual, u64::MAX, arg.value()),
        LinuxSeccompOperator::ScmpCmpLt => (Operator::Less, u64::MAX, arg.value()),
        LinuxSeccompOperator::ScmpCmpLe => (Operator::LessOrEqual, u64::MAX, arg.value()),
        LinuxSeccompOperator::ScmpCmpEq => (Operator::Equal, u64::MAX, arg.value()),
        LinuxSeccompOperator::ScmpCmpGe => (Operator::GreaterOrEqual, u64::MAX, arg.value()),
        LinuxSeccompOperator::ScmpCmpGt => (Operator::Greater, u64::MAX, arg.value()),
        // `value` is the mask, `valueTwo` what must come out of it.
        LinuxSeccompOperator::ScmpCmpMaskedEq => (
            Operator::Equal,
            arg.value(),
            arg.value_two().unwrap_or(0) & arg.value(),
        ),
    };
    Ok(Condition {
        argument,
        op,
        mask,
        value,
    })
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<u32, Error> {
    let data = errno.unwrap_or(libc::EPERM as u32);
    if data > 0xffff {
        return Err(Error::spec(
            "linux.seccomp.errnoRet",
            format!("{data} does not fit 16 bits"),
        ));
    }
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => ret::KILL_THREAD,
        LinuxSeccompAction::ScmpActKillProcess => ret::KILL_PROCESS,
        LinuxSeccompAction::ScmpActTrap => ret::TRAP,
        LinuxSeccompAction::ScmpActErrno => ret::ERRNO | data,
        LinuxSeccompAction::ScmpActNotify => ret::USER_NOTIFY,
        LinuxSeccompAction::ScmpActTrace => ret::TRACE | data,
        LinuxSeccompAction::ScmpActLog => ret::LOG,
        LinuxSeccompAction::ScmpActAllow => ret::ALLOW,
    })
}
