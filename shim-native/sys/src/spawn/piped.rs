//! A program that goes on by itself, talked to through its standard input and output.

use std::fs::File;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::converse::pipe;
use super::{Leads, Program, SpawnRequest};
use crate::error::{Context, Result, SysError};
use crate::thread::promise_with;

/// The descriptors are the caller's to close.
#[napi(object)]
pub struct PipedProcess {
    pub pid: i32,
    pub stdin: i32,
    pub stdout: i32,
}

/// Our ends are owned until JavaScript has their numbers: an answer that nobody takes leaks none.
struct Started {
    pid: i32,
    stdin: OwnedFd,
    stdout: OwnedFd,
}

#[napi]
pub fn spawn_piped(env: &Env, request: SpawnRequest) -> napi::Result<Object<'_>> {
    let program = Program::new(request).map_err(|error| error.into_js(env))?;
    let convert = |_: &Env, started: Started| {
        Ok(PipedProcess {
            pid: started.pid,
            stdin: started.stdin.into_raw_fd(),
            stdout: started.stdout.into_raw_fd(),
        })
    };
    promise_with(env, move || program.start_piped(), convert)
}

impl Program {
    fn start_piped(self) -> Result<Started> {
        let (child_in, stdin) = pipe()?;
        let (stdout, child_out) = pipe()?;
        let null = File::options()
            .write(true)
            .open("/dev/null")
            .call_on("open", "/dev/null")?;
        let stdio = [child_in.as_fd(), child_out.as_fd(), null.as_fd()];
        let pid = self
            .launch
            .start(stdio, Leads::Session)
            .map_err(|error| self.blame(error))?;
        Ok(Started { pid, stdin, stdout })
    }
}

/// Never waits. `None`: it goes on. ECHILD: no child of ours, or reaped before.
#[napi]
pub fn reap_child(env: &Env, pid: i32) -> napi::Result<Option<i32>> {
    reap(pid).map_err(|error| error.into_js(env))
}

fn reap(pid: i32) -> Result<Option<i32>> {
    let pid = Pid::from_raw(pid).ok_or_else(|| SysError::refused("EINVAL", format!("no pid: {pid}")))?;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let status = loop {
        match waitid(WaitId::Pid(pid), options) {
            Err(Errno::INTR) => {}
            status => break status.call("waitid")?,
        }
    };
    Ok(status.and_then(|status| {
        status
            .exit_status()
            .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
    }))
}
