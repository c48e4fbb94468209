//! The state file, and the clean-up of what a killed caller left behind.

use crate::cgroup::Cgroup;
use crate::error::{Error, Step, Warning};
use crate::hooks::{self, HookKind, HookState};
use oci_spec::runtime::Hook;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the state file inside the bundle.
pub const STATE_FILE: &str = "gantry-state.json";

/// What is on disk: enough to end the container without its caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StateFile {
    pub state: HookState,
    /// Absent until the process exists; then a line of its own (see [`StateFile::record_init`]).
    pub init: Option<InitIdentity>,
    pub cgroup: Cgroup,
    /// Run by whoever deletes the container.
    pub poststop: Vec<Hook>,
}

/// A process that cannot be taken for another one with the same pid.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitIdentity {
    pub pid: i32,
    /// Clock ticks since boot, field 22 of `/proc/PID/stat`.
    pub start_time: u64,
}

impl InitIdentity {
    pub(crate) fn of(pid: i32) -> Result<Self, Error> {
        let start_time = start_time(pid)
            .ok_or_else(|| Error::system(Step::State, format!("/proc/{pid}/stat"), Errno::SRCH))?;
        Ok(Self { pid, start_time })
    }

    /// A pidfd of exactly this process, if it still exists (a zombie counts).
    fn open(self) -> Option<OwnedFd> {
        let pidfd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Read after the pidfd was taken: the pid cannot have changed hands between.
        (start_time(self.pid) == Some(self.start_time)).then_some(pidfd)
    }
}

fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so fields are counted from its end: state is field 3.
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

impl StateFile {
    /// Writes aside and renames: whoever is killed, a reader finds the old file or the new one. Not synced (15 ms on a
    /// busy disk were seen): what it describes does not outlive the kernel that would have lost it.
    pub(crate) fn save(&self, bundle: &Path) -> Result<(), Error> {
        let path = bundle.join(STATE_FILE);
        let failed = |errno| Error::system(Step::State, path.display().to_string(), errno);
        let text = serde_json::to_vec(self).map_err(|_| failed(Errno::INVAL))?;
        let aside = bundle.join(".gantry-state.json.new");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, &aside, flags, Mode::from_raw_mode(0o600)).map_err(failed)?;
        write_all(&file, &text).map_err(failed)?;
        rustix::fs::rename(&aside, &path).map_err(failed)
    }

    /// Says which process is init, in the file that [`StateFile::save`] has written: one more line, by one call. A file
    /// that replaced it would be written out at once by ext4 (`auto_da_alloc`), and its removal would wait for the disk.
    pub(crate) fn record_init(&mut self, bundle: &Path, init: InitIdentity) -> Result<(), Error> {
        let path = bundle.join(STATE_FILE);
        let failed = |errno| Error::system(Step::State, path.display().to_string(), errno);
        let mut line = vec![b'\n'];
        serde_json::to_writer(&mut line, &init).map_err(|_| failed(Errno::INVAL))?;
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, &path, flags, Mode::empty()).map_err(failed)?;
        write_all(&file, &line).map_err(failed)?;
        self.init = Some(init);
        Ok(())
    }

    /// `None`: there is no such file, or a power failure has torn it, after which nothing it told of is left.
    pub(crate) fn load(bundle: &Path) -> Result<Option<Self>, Error> {
        let path = bundle.join(STATE_FILE);
        match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                Err(Error::system(Step::State, path.display().to_string(), errno))
            }
            Ok(bytes) => Ok(Self::parse(&bytes)),
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = serde_json::Deserializer::from_slice(bytes);
        let mut state = Self::deserialize(&mut lines).ok()?;
        if let Ok(init) = InitIdentity::deserialize(&mut lines) {
            state.init = Some(init);
        }
        Some(state)
    }

    pub(crate) fn remove(bundle: &Path) -> Result<(), Error> {
        let path = bundle.join(STATE_FILE);
        match rustix::fs::unlink(&path) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::system(Step::State, path.display().to_string(), errno)),
        }
    }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = rustix::io::write(file, bytes)?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// What [`cleanup`] found.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// Pid of the init process recorded in the state file, if it got that far.
    pub init_pid: Option<i32>,
    /// Whether anything was alive and had to be killed.
    pub killed: bool,
    pub warnings: Vec<Warning>,
}

/// How long a killed process may take to disappear.
const DEATH_PATIENCE: Duration = Duration::from_secs(5);

/// Kills and removes whatever is left of container `id`, from the state file in `bundle`: processes
/// (checked by start time, so a reused pid is never hit), cgroups, poststop hooks, the state file itself.
/// Idempotent: nothing there is success. Needs no live [`Container`](crate::Container), and reaps nothing.
///
/// # Errors
/// A state file that cannot be read or belongs to another container; a cgroup that cannot be removed.
pub fn cleanup(bundle: &Path, id: &str) -> Result<Cleaned, Error> {
    let mut cleaned = Cleaned::default();
    let Some(state) = StateFile::load(bundle)? else {
        return Ok(cleaned);
    };
    if state.state.id != id {
        let reason = format!("belongs to container {:?}, not {id:?}", state.state.id);
        return Err(Error::spec(bundle.join(STATE_FILE).display().to_string(), reason));
    }
    cleaned.init_pid = state.init.map(|init| init.pid);
    if let Some(pidfd) = state.init.and_then(InitIdentity::open) {
        cleaned.killed = pidfd_send_signal(&pidfd, Signal::KILL).is_ok();
        state.cgroup.kill_all()?;
        wait_for_end(&pidfd);
    }
    cleaned.killed |= state.cgroup.pids().is_ok_and(|pids| !pids.is_empty());
    state.cgroup.kill_all()?;
    state.cgroup.remove()?;
    cleaned.warnings = run_poststop(&state);
    StateFile::remove(bundle)?;
    Ok(cleaned)
}

/// Runs the poststop hooks; failures are warnings (runtime-spec, runtime, "Lifecycle").
pub(crate) fn run_poststop(state: &StateFile) -> Vec<Warning> {
    let json = state.state.json("stopped", None);
    let failures = hooks::run_all(HookKind::Poststop, &state.poststop, &json);
    failures
        .into_iter()
        .map(|error| Warning {
            step: Step::Hook,
            message: error.to_string(),
        })
        .collect()
}

/// Waits until the process is dead. Its zombie may stay: the reaper is somebody else.
pub(crate) fn wait_for_end(pidfd: &OwnedFd) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = Timespec {
        tv_sec: DEATH_PATIENCE.as_secs() as i64,
        tv_nsec: 0,
    };
    let _ = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout));
}

/// The path of a bundle in the state given to hooks.
pub(crate) fn absolute(bundle: &Path) -> Result<PathBuf, Error> {
    if bundle.is_absolute() {
        Ok(bundle.to_owned())
    } else {
        Err(Error::spec(
            "bundle",
            format!("{:?} is not an absolute path", bundle.display()),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::CgroupKind;

    fn state(bundle: &Path) -> StateFile {
        StateFile {
            state: HookState {
                oci_version: "1.2.0".into(),
                id: "c1".into(),
                status: "creating".into(),
                pid: None,
                bundle: bundle.to_owned(),
                annotations: Default::default(),
            },
            init: None,
            cgroup: Cgroup {
                kind: CgroupKind::V2,
                path: "/c1".into(),
                v1: Vec::new(),
                v2: None,
                unit: None,
                shared_parent: None,
            },
            poststop: Vec::new(),
        }
    }

    #[test]
    fn the_process_is_known_once_its_line_is_whole() {
        let bundle = tempfile::tempdir().unwrap();
        let init = InitIdentity {
            pid: 7,
            start_time: 99,
        };
        let mut written = state(bundle.path());
        written.save(bundle.path()).unwrap();
        let before = std::fs::read(bundle.path().join(STATE_FILE)).unwrap();
        assert_eq!(StateFile::parse(&before).unwrap().init, None);
        written.record_init(bundle.path(), init).unwrap();
        let after = std::fs::read(bundle.path().join(STATE_FILE)).unwrap();
        assert_eq!(StateFile::parse(&after).unwrap().init, Some(init));
        for torn in before.len()..after.len() {
            let read = StateFile::parse(&after[..torn]).expect("the first line is whole");
            assert_eq!(
                (read.init, read.state.id.as_str()),
                (None, "c1"),
                "torn at {torn}"
            );
        }
        assert!(StateFile::parse(&before[..before.len() - 1]).is_none());
    }
}
