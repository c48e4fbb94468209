//! Collects every dead child: containers' processes, loggers, and orphans that fell to us as subreaper.
//!
//! Everything happens on the one thread: a process is made and watched without yielding in between, so
//! its exit cannot be collected before somebody asked for it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::SystemTime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// How and when a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, or 128 + signal number.
    pub status: u32,
    pub at: SystemTime,
}

/// The children somebody waits for.
#[derive(Default)]
pub struct Reaper {
    watched: Mutex<HashMap<i32, oneshot::Sender<Exit>>>,
}

impl Reaper {
    /// Asks for the exit of child `pid`, which must not have been given a chance to be reaped: call this
    /// before the next `await` after making it.
    pub fn watch(&self, pid: i32) -> oneshot::Receiver<Exit> {
        let (sender, receiver) = oneshot::channel();
        self.watched.lock().unwrap().insert(pid, sender);
        receiver
    }

    /// Reaps until the process ends.
    pub async fn run(&self) -> std::io::Result<()> {
        let mut deaths = signal(SignalKind::child())?;
        loop {
            self.collect();
            deaths.recv().await;
        }
    }

    /// Collects all that are dead now.
    fn collect(&self) {
        while let Some((pid, status)) = next_dead() {
            let exit = Exit {
                status,
                at: SystemTime::now(),
            };
            if let Some(watcher) = self.watched.lock().unwrap().remove(&pid) {
                let _ = watcher.send(exit);
            }
        }
    }
}

fn next_dead() -> Option<(i32, u32)> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    (pid > 0).then(|| (pid, exit_status(status)))
}

/// The shell's convention: the exit code, or 128 + the number of the signal.
fn exit_status(status: i32) -> u32 {
    let code = if libc::WIFSIGNALED(status) {
        128 + libc::WTERMSIG(status)
    } else {
        libc::WEXITSTATUS(status)
    };
    code as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses_follow_the_shell() {
        assert_eq!(exit_status(7 << 8), 7);
        assert_eq!(exit_status(libc::SIGKILL), 137);
        assert_eq!(exit_status(libc::SIGSEGV | 0x80), 139);
    }
}
