//! A probe that is a process in the container. No exec anybody knows of: no streams are served, no events told.

use super::answer::{Answer, Output};
use crate::reaper::Exit;
use crate::stdio::channel::Channel;
use crate::task::outcome::status;
use crate::task::{Shim, Task};
use gantry_runtime::{ExecOptions, ExecProcess, Stdio, spec};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long one that was killed may take to die before the next probe.
const DEATH: Duration = Duration::from_secs(10);

/// Runs it to its end, or kills it after `limit`.
pub async fn ask(shim: &Shim, task: &Task, process: &spec::Process, limit: Duration) -> Answer {
    match Running::begin(shim, task, process) {
        Ok(mut running) => match timeout(limit, running.end()).await {
            Ok(exit) => running.answer(exit),
            Err(_) => running.kill(limit).await,
        },
        Err(why) => Answer::failed(why),
    }
}

struct Running {
    process: ExecProcess,
    death: oneshot::Receiver<Exit>,
    stream: Channel,
    has_ended: bool,
    said: Output,
}

impl Running {
    fn begin(shim: &Shim, task: &Task, process: &spec::Process) -> Result<Self, String> {
        let (stdio, reader) = streams().map_err(|e| format!("stdio: {e}"))?;
        let options = ExecOptions {
            stdio,
            no_new_keyring: task.no_new_keyring,
            io_owner: task.io_owner,
        };
        let made = task.container.lock().unwrap().exec(process, options);
        let process = made.map_err(|e| status("exec failed", &e).message().to_owned())?;
        let death = shim.reaper.watch(process.pid);
        Ok(Running {
            process,
            death,
            stream: Channel::new(reader).map_err(|e| format!("stdio: {e}"))?,
            has_ended: false,
            said: Output::default(),
        })
    }

    /// Reads until it is dead and all it wrote has been read. What descendants write later is not waited for.
    async fn end(&mut self) -> Option<Exit> {
        let exit = loop {
            tokio::select! {
                exit = &mut self.death => break exit.ok(),
                read = self.stream.read_with(|bytes| self.said.take(bytes)), if !self.has_ended =>
                    self.has_ended = !matches!(read, Ok(1..)),
            }
        };
        while !self.has_ended && self.stream.waiting() > 0 {
            let read = self.stream.read_with(|bytes| self.said.take(bytes)).await;
            self.has_ended = !matches!(read, Ok(1..));
        }
        exit
    }

    fn answer(&self, exit: Option<Exit>) -> Answer {
        Answer {
            exit_code: exit.map_or(-1, |exit| exit.status as i32),
            output: self.said.text(),
        }
    }

    async fn kill(&mut self, limit: Duration) -> Answer {
        let _ = pidfd_send_signal(&self.process.pidfd, Signal::KILL);
        let _ = timeout(DEATH, self.end()).await;
        let said = self.said.text();
        let end = if said.is_empty() {
            said
        } else {
            format!(": {said}")
        };
        Answer::failed(format!("Health check exceeded timeout ({}){end}", seconds(limit)))
    }
}

/// As Docker writes a duration: `1.5s`.
pub fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

/// Both outputs go into one pipe, as they come.
fn streams() -> io::Result<(Stdio, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let stdin = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let stdio = Stdio::Piped {
        stdin,
        stdout: writer.try_clone()?,
        stderr: writer,
    };
    Ok((stdio, reader))
}
