//! OCI hooks: programs run at fixed moments, with the container's state on stdin.

use crate::error::Error;
use oci_spec::runtime::Hook;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The moment a hook belongs to (runtime-spec, config, "POSIX-platform Hooks").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HookKind {
    Prestart,
    CreateRuntime,
    CreateContainer,
    StartContainer,
    Poststart,
    Poststop,
}

impl HookKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            HookKind::Prestart => "prestart",
            HookKind::CreateRuntime => "createRuntime",
            HookKind::CreateContainer => "createContainer",
            HookKind::StartContainer => "startContainer",
            HookKind::Poststart => "poststart",
            HookKind::Poststop => "poststop",
        }
    }

    /// The static name equal to `name`, for errors that travelled.
    pub(crate) fn name_of(name: &str) -> &'static str {
        let kinds = [
            HookKind::Prestart,
            HookKind::CreateRuntime,
            HookKind::CreateContainer,
            HookKind::StartContainer,
            HookKind::Poststart,
            HookKind::Poststop,
        ];
        kinds
            .into_iter()
            .map(HookKind::name)
            .find(|known| *known == name)
            .unwrap_or("hook")
    }
}

/// The state of a container as hooks and seccomp agents get it (runtime-spec, runtime, "State").
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HookState {
    pub oci_version: String,
    pub id: String,
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<i32>,
    pub bundle: PathBuf,
    #[serde(skip_serializing_if = "HashMap::is_empty", default)]
    pub annotations: HashMap<String, String>,
}

impl HookState {
    /// As JSON, with this status and pid.
    pub(crate) fn json(&self, status: &str, pid: Option<i32>) -> String {
        let state = HookState {
            status: status.to_owned(),
            pid,
            ..self.clone()
        };
        // A struct of strings and numbers always serialises.
        serde_json::to_string(&state).unwrap_or_default()
    }
}

/// Runs the hooks in order; the first failure ends the row. `seal` runs in each hook's process before it
/// executes (for hooks that must have no more rights than the container's own process).
pub(crate) fn run(
    kind: HookKind,
    hooks: &[Hook],
    state: &str,
    seal: Option<&(dyn Fn() -> std::io::Result<()> + Sync)>,
) -> Result<(), Error> {
    for (index, hook) in hooks.iter().enumerate() {
        run_one(hook, state, seal).map_err(|reason| Error::Hook {
            kind: kind.name(),
            index,
            path: hook.path().clone(),
            reason,
        })?;
    }
    Ok(())
}

/// As [`run`], but runs every hook whatever happens, and returns the failures.
pub(crate) fn run_all(kind: HookKind, hooks: &[Hook], state: &str) -> Vec<Error> {
    let one = |(index, hook): (usize, &Hook)| {
        run_one(hook, state, None)
            .map_err(|reason| Error::Hook {
                kind: kind.name(),
                index,
                path: hook.path().clone(),
                reason,
            })
            .err()
    };
    hooks.iter().enumerate().filter_map(one).collect()
}

fn run_one(
    hook: &Hook,
    state: &str,
    seal: Option<&(dyn Fn() -> std::io::Result<()> + Sync)>,
) -> Result<(), String> {
    let mut command = Command::new(hook.path());
    if let Some((first, rest)) = hook.args().as_deref().and_then(<[String]>::split_first) {
        command.arg0(first).args(rest);
    }
    command.env_clear();
    for (key, value) in hook
        .env()
        .iter()
        .flatten()
        .filter_map(|entry| entry.split_once('='))
    {
        command.env(key, value);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = spawn(command, seal).map_err(|error| format!("cannot be run: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook that does not read its state is fine.
        let _ = stdin.write_all(state.as_bytes());
    }
    let limit = hook
        .timeout()
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds as u64));
    finish(child, limit)
}

fn spawn(
    mut command: Command,
    seal: Option<&(dyn Fn() -> std::io::Result<()> + Sync)>,
) -> std::io::Result<Child> {
    let Some(seal) = seal else { return command.spawn() };
    // SAFETY: the reference is only used by the child between fork and exec, and `spawn` returns after
    // that; the 'static the closure needs is therefore never relied on. The closure makes raw calls only.
    let seal: &'static (dyn Fn() -> std::io::Result<()> + Sync) = unsafe { std::mem::transmute(seal) };
    // SAFETY: as above; the closure neither allocates nor locks in a way a fork could break (one thread).
    unsafe { command.pre_exec(seal) };
    command.spawn()
}

/// Waits, kills at the limit, and turns anything but exit code 0 into a reason with what the hook said.
fn finish(mut child: Child, limit: Option<Duration>) -> Result<(), String> {
    if let Some(limit) = limit.filter(|limit| !ended_within(&child, *limit)) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("timed out after {} s", limit.as_secs()));
    }
    let output = child
        .wait_with_output()
        .map_err(|error| format!("waiting for it: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().chars().take(1000).collect::<String>();
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    };
    Err(format!("{}{said}", output.status))
}

fn ended_within(child: &Child, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let pidfd = Pid::from_raw(child.id() as i32).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    // Our own unreaped child always has a pidfd; without one (no descriptors left) it cannot be timed.
    let Some(pidfd) = pidfd else { return false };
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Err(Errno::INTR) => {}
            Ok(0) | Err(_) => return false,
            Ok(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::HookBuilder;

    fn shell(script: &str) -> Hook {
        let args = ["sh", "-c", script].map(String::from).to_vec();
        HookBuilder::default()
            .path("/bin/sh")
            .args(args)
            .timeout(1)
            .build()
            .unwrap()
    }

    #[test]
    fn state_arrives_on_stdin_and_the_environment_is_clean() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let hook = shell(&format!("cat > {0}; env >> {0}", out.display()));
        run(HookKind::Prestart, &[hook], "{\"id\":\"x\"}", None).unwrap();
        let text = std::fs::read_to_string(out).unwrap();
        assert!(text.starts_with("{\"id\":\"x\"}"), "{text}");
        assert!(!text.contains("HOME="), "{text}");
    }

    #[test]
    fn failures_carry_what_the_hook_said() {
        let error = run(
            HookKind::CreateRuntime,
            &[shell("echo no network >&2; exit 3")],
            "{}",
            None,
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "hook createRuntime[0] \"/bin/sh\": exit status: 3: no network"
        );
    }

    #[test]
    fn a_slow_hook_is_killed() {
        let started = Instant::now();
        let error = run(HookKind::Prestart, &[shell("exec sleep 30")], "{}", None).unwrap_err();
        assert!(error.to_string().contains("timed out after 1 s"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn run_all_goes_on_after_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let hooks = [shell("exit 1"), shell(&format!("echo > {}", mark.display()))];
        assert_eq!(run_all(HookKind::Poststop, &hooks, "{}").len(), 1);
        assert!(mark.exists());
    }
}
