//! Every way a call can fail, typed by the step that failed, with the path or value and the errno.

use rustix::io::Errno;
use std::path::PathBuf;

/// The part of making or changing a container that an error or a warning belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    Spec,
    State,
    Fork,
    Namespaces,
    UserMapping,
    Rootfs,
    Mount,
    Device,
    Pivot,
    MaskedPath,
    ReadonlyPath,
    Hostname,
    Sysctl,
    Cgroup,
    Hook,
    Terminal,
    Stdio,
    Rlimit,
    OomScore,
    User,
    Capabilities,
    AppArmor,
    Seccomp,
    Keyring,
    Scheduler,
    Personality,
    Cwd,
    Exec,
    Signal,
    Protocol,
}

/// Coarse class of an [`Error`], for translating to a wire status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The spec or an option is wrong; nothing was tried.
    InvalidArgument,
    /// A named thing (program, path, container) is missing.
    NotFound,
    /// The container is in the wrong state for the call.
    FailedPrecondition,
    /// The kernel refused for lack of rights.
    PermissionDenied,
    /// The host lacks what the spec asks for.
    Unsupported,
    /// Anything else.
    Internal,
}

/// A failed call. `Display` is fit for a user: it names the thing, its value and the kernel's reason.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The spec asks for something impossible or malformed.
    #[error("invalid spec: {field}: {reason}")]
    InvalidSpec { field: String, reason: String },
    /// A system call failed while doing `step` on `subject` (a path, name or value).
    #[error("{}: {subject}: {}", step.label(), describe(*errno))]
    System {
        step: Step,
        subject: String,
        errno: Errno,
    },
    /// The program could not be executed (ENOENT, EACCES, ENOEXEC...). `path` is as given in `process.args`.
    #[error("exec: {path:?}: {}", describe_exec(path, *errno))]
    Exec { path: String, errno: Errno },
    /// A hook failed, timed out or could not be run.
    #[error("hook {kind}[{index}] {path:?}: {reason}")]
    Hook {
        kind: &'static str,
        index: usize,
        path: PathBuf,
        reason: String,
    },
    /// The host does not offer what is needed.
    #[error("unsupported: {what}: {why}")]
    Unsupported { what: String, why: String },
    /// The call does not fit the container's state.
    #[error("container {id:?} is {actual}, the call needs it {needed}")]
    WrongState {
        id: String,
        actual: &'static str,
        needed: &'static str,
    },
    /// The set-up process said something else than the protocol allows at this point.
    #[error(
        "unexpected message from the container's set-up process: expected {expected}, received {received}"
    )]
    UnexpectedMessage {
        expected: &'static str,
        received: String,
    },
    /// The set-up process died without a word (killed, or a bug).
    #[error("the container's set-up process (pid {pid}) ended during {during}")]
    ChildDied { pid: i32, during: &'static str },
    /// systemd refused a request.
    #[error("systemd: {0}")]
    Systemd(String),
}

/// Something asked for was weakened or skipped; the container works without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub step: Step,
    /// What was weakened, from what to what, and why.
    pub message: String,
}

impl Step {
    /// The step with this number, for errors that travelled between processes.
    pub(crate) fn from_u8(number: u8) -> Option<Self> {
        ALL_STEPS.get(number as usize).copied()
    }

    /// Lower-case words for messages.
    pub fn label(self) -> &'static str {
        match self {
            Step::Spec => "spec",
            Step::State => "state file",
            Step::Fork => "making the process",
            Step::Namespaces => "namespaces",
            Step::UserMapping => "user namespace mapping",
            Step::Rootfs => "root file system",
            Step::Mount => "mount",
            Step::Device => "device",
            Step::Pivot => "switching root",
            Step::MaskedPath => "masked path",
            Step::ReadonlyPath => "read-only path",
            Step::Hostname => "hostname",
            Step::Sysctl => "sysctl",
            Step::Cgroup => "cgroup",
            Step::Hook => "hook",
            Step::Terminal => "terminal",
            Step::Stdio => "stdio",
            Step::Rlimit => "rlimit",
            Step::OomScore => "oom_score_adj",
            Step::User => "user",
            Step::Capabilities => "capabilities",
            Step::AppArmor => "AppArmor profile",
            Step::Seccomp => "seccomp",
            Step::Keyring => "session keyring",
            Step::Scheduler => "scheduler",
            Step::Personality => "personality",
            Step::Cwd => "working directory",
            Step::Exec => "exec",
            Step::Signal => "signal",
            Step::Protocol => "set-up protocol",
        }
    }
}

impl Error {
    /// The coarse class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::InvalidSpec { .. } => ErrorKind::InvalidArgument,
            Error::System { errno, .. } | Error::Exec { errno, .. } => kind_of(*errno),
            Error::Unsupported { .. } => ErrorKind::Unsupported,
            Error::WrongState { .. } => ErrorKind::FailedPrecondition,
            Error::Hook { .. } | Error::UnexpectedMessage { .. } => ErrorKind::Internal,
            Error::ChildDied { .. } | Error::Systemd(_) => ErrorKind::Internal,
        }
    }

    pub(crate) fn system(step: Step, subject: impl Into<String>, errno: Errno) -> Self {
        Error::System {
            step,
            subject: subject.into(),
            errno,
        }
    }

    pub(crate) fn spec(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::InvalidSpec {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

fn kind_of(errno: Errno) -> ErrorKind {
    match errno {
        Errno::NOENT | Errno::SRCH | Errno::NOTDIR => ErrorKind::NotFound,
        Errno::ACCESS | Errno::PERM => ErrorKind::PermissionDenied,
        Errno::NOSYS | Errno::OPNOTSUPP | Errno::NODEV => ErrorKind::Unsupported,
        _ => ErrorKind::Internal,
    }
}

/// The kernel's reason in words, with its number for searching.
fn describe(errno: Errno) -> String {
    std::io::Error::from(errno).to_string()
}

/// Docker's clients look for these words to choose exit codes 126 and 127.
fn describe_exec(path: &str, errno: Errno) -> String {
    match errno {
        Errno::NOENT if !path.contains('/') => "executable file not found in $PATH".to_owned(),
        Errno::NOENT => "no such file or directory".to_owned(),
        Errno::ACCESS => "permission denied".to_owned(),
        Errno::ISDIR => "is a directory".to_owned(),
        Errno::NOEXEC => "exec format error".to_owned(),
        other => describe(other),
    }
}

/// In the order of their numbers.
const ALL_STEPS: [Step; 30] = [
    Step::Spec,
    Step::State,
    Step::Fork,
    Step::Namespaces,
    Step::UserMapping,
    Step::Rootfs,
    Step::Mount,
    Step::Device,
    Step::Pivot,
    Step::MaskedPath,
    Step::ReadonlyPath,
    Step::Hostname,
    Step::Sysctl,
    Step::Cgroup,
    Step::Hook,
    Step::Terminal,
    Step::Stdio,
    Step::Rlimit,
    Step::OomScore,
    Step::User,
    Step::Capabilities,
    Step::AppArmor,
    Step::Seccomp,
    Step::Keyring,
    Step::Scheduler,
    Step::Personality,
    Step::Cwd,
    Step::Exec,
    Step::Signal,
    Step::Protocol,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_listed_by_number() {
        for (number, step) in ALL_STEPS.iter().enumerate() {
            assert_eq!(*step as usize, number);
            assert_eq!(Step::from_u8(number as u8), Some(*step));
        }
        assert_eq!(Step::Protocol as usize + 1, ALL_STEPS.len());
    }
}
