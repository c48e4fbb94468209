//! Running programs. Here a short-lived one: start, feed, collect, wait; in [`piped`] one that goes on.

mod converse;
mod launch;
mod piped;

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use napi::Env;
use napi::bindgen_prelude::{Buffer, Object, Uint8Array};
use napi_derive::napi;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use crate::error::{Context, Result, SysError};
use crate::thread::promise_with;
use converse::{Input, Output, converse, pipe};
use launch::{Launch, Leads};

const DEFAULT_MAX_OUTPUT: u32 = 1 << 20;
const DEFAULT_TIMEOUT_MS: u32 = 30_000;

#[napi(object)]
pub struct SpawnRequest {
    pub argv: Vec<String>,
    pub env: HashMap<String, String>,
    pub cwd: String,
    pub stdin: Option<Uint8Array>,
    pub max_output_bytes: Option<u32>,
    pub timeout_ms: Option<u32>,
}

#[napi(object)]
pub struct SpawnResult {
    pub pid: i32,
    pub code: i32,
    pub signal: i32,
    pub stdout: Buffer,
    pub stderr: Buffer,
}

/// A program to run, with nothing of JavaScript in it.
struct Program {
    launch: Launch,
    name: String,
    stdin: Option<Vec<u8>>,
    max_output: usize,
    timeout: Duration,
}

struct Finished {
    pid: i32,
    code: i32,
    signal: i32,
    outputs: [Vec<u8>; 2],
}

#[napi]
pub fn spawn_detached(env: &Env, request: SpawnRequest) -> napi::Result<Object<'_>> {
    let program = Program::new(request).map_err(|error| error.into_js(env))?;
    let convert = |_: &Env, done: Finished| {
        let [stdout, stderr] = done.outputs.map(Buffer::from);
        Ok(SpawnResult {
            pid: done.pid,
            code: done.code,
            signal: done.signal,
            stdout,
            stderr,
        })
    };
    promise_with(env, move || program.run(), convert)
}

impl Program {
    fn new(request: SpawnRequest) -> Result<Self> {
        let name = request.argv.first().cloned().unwrap_or_default();
        if !name.starts_with('/') {
            return Err(SysError::refused(
                "EINVAL",
                format!("argv[0] must be an absolute path, not '{name}'"),
            ));
        }
        let env = request
            .env
            .into_iter()
            .map(|(key, value)| c_string(format!("{key}={value}")));
        let launch = Launch {
            argv: request.argv.into_iter().map(c_string).collect::<Result<_>>()?,
            env: env.collect::<Result<_>>()?,
            cwd: c_string(request.cwd)?,
        };
        Ok(Self {
            launch,
            name,
            stdin: request.stdin.map(|bytes| bytes.to_vec()),
            max_output: request.max_output_bytes.unwrap_or(DEFAULT_MAX_OUTPUT) as usize,
            timeout: Duration::from_millis(request.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS).into()),
        })
    }

    fn run(mut self) -> Result<Finished> {
        let deadline = Instant::now() + self.timeout;
        let (stdin, feed) = self.input()?;
        let (out, stdout) = pipe()?;
        let (err, stderr) = pipe()?;
        let started = self
            .launch
            .start([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()], Leads::Group);
        let pid = started.map_err(|error| self.blame(error))?;
        drop((stdin, stdout, stderr));
        let mut child = Child::new(pid)?;
        let mut input = Input::new(feed, self.stdin.take().unwrap_or_default())?;
        let mut outputs = [
            Output::new(out, self.max_output, "stdout")?,
            Output::new(err, self.max_output, "stderr")?,
        ];
        converse(&child.pidfd, &mut input, &mut outputs, deadline).map_err(|error| error.path(&self.name))?;
        let (code, signal) = child.reap()?;
        Ok(Finished {
            pid,
            code,
            signal,
            outputs: outputs.map(|output| output.bytes),
        })
    }

    /// posix_spawn has one errno for both: was it the working directory, or the program?
    fn blame(&self, error: SysError) -> SysError {
        let cwd = String::from_utf8_lossy(self.launch.cwd.as_bytes()).into_owned();
        match std::fs::metadata(&cwd) {
            Ok(found) if found.is_dir() => error.path(&self.name),
            _ => SysError {
                syscall: Some("chdir"),
                ..error
            }
            .path(cwd),
        }
    }

    /// The child's stdin, and our end of it when there is something to write.
    fn input(&self) -> Result<(OwnedFd, Option<OwnedFd>)> {
        match &self.stdin {
            Some(bytes) if !bytes.is_empty() => pipe().map(|(read, write)| (read, Some(write))),
            _ => Ok((File::open("/dev/null").call_on("open", "/dev/null")?.into(), None)),
        }
    }
}

fn c_string(text: String) -> Result<CString> {
    CString::new(text).map_err(|error| {
        SysError::refused(
            "EINVAL",
            format!("zero byte in {:?}", String::from_utf8_lossy(&error.into_vec())),
        )
    })
}

/// A child not yet reaped. Dropped early, it is killed with its group: a failed call leaves no process.
struct Child {
    pid: Pid,
    pidfd: OwnedFd,
    reaped: bool,
}

impl Child {
    fn new(pid: i32) -> Result<Self> {
        let pid = Pid::from_raw(pid).ok_or_else(|| SysError::refused("EINVAL", "posix_spawn gave no pid"))?;
        // Nobody but us reaps it, so the pid is still its own.
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).call("pidfd_open")?;
        Ok(Self {
            pid,
            pidfd,
            reaped: false,
        })
    }

    /// Exit code (128 + signal when killed) and signal.
    fn reap(&mut self) -> Result<(i32, i32)> {
        let status = loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Err(Errno::INTR) => {}
                status => break status.call("waitid")?,
            }
        };
        self.reaped = true;
        let signal = status
            .as_ref()
            .and_then(|status| status.terminating_signal())
            .unwrap_or(0);
        let code = status
            .and_then(|status| status.exit_status())
            .unwrap_or(128 + signal);
        Ok((code, signal))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = kill_process_group(self.pid, Signal::KILL);
            let _ = self.reap();
        }
    }
}
