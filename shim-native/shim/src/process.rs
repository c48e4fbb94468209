//! One process of a task, its first or one made by exec, through its life.

use crate::reaper::Exit;
use crate::stdio::ProcessIo;
use crate::trace::{self, SpanContext};
use gantry_runtime::trace::{Step, now_ns};
use rustix::process::Signal;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::time::SystemTime;
use tokio::sync::watch;
use tonic::Status;

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Known, not running its program yet.
    Created,
    /// A start is under way.
    Starting,
    Running,
    /// Ended, and all its output passed on.
    Stopped,
}

/// A process and what is known of it.
#[derive(Debug)]
pub struct Process {
    /// The task it belongs to.
    pub task_id: String,
    /// Exec id; empty for the first process.
    pub exec_id: String,
    pub io: ProcessIo,
    state: Mutex<State>,
    exit: watch::Sender<Option<Exit>>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    pid: i32,
    pidfd: Option<OwnedFd>,
    /// Dead, though perhaps not [`Phase::Stopped`] yet.
    reaped: bool,
    times: Times,
}

/// For the trace in which it was started, if there is one; nanoseconds of the monotonic clock.
#[derive(Debug, Default)]
struct Times {
    started_in: Option<SpanContext>,
    running_ns: u64,
    reaped_ns: u64,
}

impl State {
    /// That it ran, and how long it took to pass its output on.
    fn tell_trace(&self) {
        let Times {
            started_in: Some(parent),
            running_ns,
            reaped_ns,
        } = self.times
        else {
            return;
        };
        let step = |name: &'static str, start_ns, end_ns, pid| Step {
            name: name.into(),
            start_ns,
            end_ns,
            pid,
        };
        trace::tell(parent, step("run the program", running_ns, reaped_ns, self.pid));
        trace::tell(
            parent,
            step("pass its output and its exit on", reaped_ns, now_ns(), 0),
        );
    }
}

impl Process {
    pub fn new(task_id: &str, exec_id: &str, io: ProcessIo) -> Self {
        let state = State {
            phase: Phase::Created,
            pid: 0,
            pidfd: None,
            reaped: false,
            times: Times::default(),
        };
        Process {
            task_id: task_id.to_owned(),
            exec_id: exec_id.to_owned(),
            io,
            state: Mutex::new(state),
            exit: watch::Sender::new(None),
        }
    }

    /// The id events give it: its exec id, or the task's.
    pub fn event_id(&self) -> &str {
        if self.exec_id.is_empty() {
            &self.task_id
        } else {
            &self.exec_id
        }
    }

    pub fn phase(&self) -> Phase {
        self.state.lock().unwrap().phase
    }

    /// 0 while there is no process.
    pub fn pid(&self) -> i32 {
        self.state.lock().unwrap().pid
    }

    pub fn is_dead(&self) -> bool {
        self.state.lock().unwrap().reaped
    }

    /// How it ended, once it is stopped.
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits until it is stopped.
    pub async fn stopped(&self) -> Exit {
        let mut exit = self.exit.subscribe();
        match exit.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(exit)) => *exit,
            // The sender lives as long as `self`.
            _ => unreachable!("a process outlives whoever waits for it"),
        }
    }

    pub fn set_pid(&self, pid: i32, pidfd: Option<OwnedFd>) {
        let mut state = self.state.lock().unwrap();
        (state.pid, state.pidfd) = (pid, pidfd);
    }

    /// Takes the one chance to start it.
    pub fn begin_start(&self) -> Result<(), Status> {
        let mut state = self.state.lock().unwrap();
        match state.phase {
            Phase::Created if !state.reaped => state.phase = Phase::Starting,
            Phase::Created | Phase::Stopped => return Err(precondition("cannot start a stopped process")),
            Phase::Starting | Phase::Running => return Err(precondition("cannot start a running process")),
        }
        Ok(())
    }

    pub fn set_running(&self) {
        let mut state = self.state.lock().unwrap();
        state.phase = Phase::Running;
        state.times.started_in = trace::current();
        state.times.running_ns = now_ns();
    }

    /// It died. Its output may still be under way.
    pub fn set_reaped(&self) {
        let mut state = self.state.lock().unwrap();
        state.reaped = true;
        state.times.reaped_ns = now_ns();
    }

    /// It is over before it was a process.
    pub fn never_ran(&self, status: u32) {
        let at = SystemTime::now();
        self.io.exited(Exit { status, at });
        self.set_stopped(Exit { status, at });
    }

    /// It is over: nothing more will come from it.
    pub fn set_stopped(&self, exit: Exit) {
        let mut state = self.state.lock().unwrap();
        (state.phase, state.reaped) = (Phase::Stopped, true);
        state.tell_trace();
        drop(state);
        self.exit.send_replace(Some(exit));
    }

    /// Sends a signal through the pidfd, which cannot hit another process.
    pub fn signal(&self, number: i32) -> Result<(), Status> {
        let state = self.state.lock().unwrap();
        let Some(pidfd) = &state.pidfd else {
            return Err(match state.reaped {
                true => finished(),
                false => precondition("process not created"),
            });
        };
        let signal = signal(number)?;
        rustix::process::pidfd_send_signal(pidfd, signal).map_err(|error| match error {
            rustix::io::Errno::SRCH => finished(),
            other => Status::unknown(format!("signal {number} to exec {}: {other}", self.exec_id)),
        })
    }
}

fn signal(number: i32) -> Result<Signal, Status> {
    // SAFETY: real-time signals have no names; the kernel refuses numbers it does not know.
    (1..=64)
        .contains(&number)
        .then(|| unsafe { Signal::from_raw_unchecked(number) })
        .ok_or_else(|| {
            Status::invalid_argument(format!(
                "signal {number} does not exist: use 1 to 64: invalid argument"
            ))
        })
}

/// containerd's words for a signal that comes too late.
pub fn finished() -> Status {
    Status::not_found("process already finished: not found")
}

pub fn precondition(what: &str) -> Status {
    Status::failed_precondition(format!("{what}: failed precondition"))
}
