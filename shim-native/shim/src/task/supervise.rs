//! What happens by itself: processes end, memory runs out.

use super::{Shim, Task, health};
use crate::log;
use crate::process::{Phase, Process};
use crate::proto::containerd::events::{TaskExit, TaskOom};
use crate::reaper::Exit;
use gantry_runtime::OomSource;
use prost_types::Timestamp;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

/// How long init's exit is held back for execs that should have died with it.
const EXECS: Duration = Duration::from_secs(35);

/// Watches over the task's first process and its memory. Call in the same step as its creation.
pub fn init(shim: &Arc<Shim>, task: &Arc<Task>) {
    let death = shim.reaper.watch(task.init.pid());
    let (shim, task) = (shim.clone(), task.clone());
    tokio::spawn(async move {
        let Ok(exit) = with_oom_events(&shim, &task, death).await else {
            return;
        };
        task.init.set_reaped();
        health::end(&shim, &task);
        task.report_oom(&shim);
        task.end_execs().await;
        finish(&shim, &task.init, exit).await;
    });
}

/// Watches over a process made by exec. Call in the same step as its creation.
pub fn exec(shim: &Arc<Shim>, process: &Arc<Process>) {
    let death = shim.reaper.watch(process.pid());
    let (shim, process) = (shim.clone(), process.clone());
    tokio::spawn(async move {
        let Ok(exit) = death.await else { return };
        process.set_reaped();
        finish(&shim, &process, exit).await;
    });
}

/// Sees a dead process's output through, then tells everybody.
async fn finish(shim: &Shim, process: &Process, exit: Exit) {
    process.io.drain().await;
    process.io.exited(exit);
    process.set_stopped(exit);
    shim.events.publish(&TaskExit {
        container_id: process.task_id.clone(),
        id: process.event_id().to_owned(),
        pid: process.pid() as u32,
        exit_status: exit.status,
        exited_at: Some(Timestamp::from(exit.at)),
    });
}

/// Waits for `death`, publishing OOM events meanwhile.
async fn with_oom_events<E>(
    shim: &Shim,
    task: &Task,
    death: impl Future<Output = Result<Exit, E>>,
) -> Result<Exit, E> {
    let source = task.oom.lock().unwrap().as_ref().and_then(watchable);
    let Some(source) = source else { return death.await };
    tokio::pin!(death);
    loop {
        tokio::select! {
            exit = &mut death => return exit,
            ready = source.readable() => {
                task.report_oom(shim);
                if let Ok(mut ready) = ready {
                    ready.clear_ready();
                }
            }
        }
    }
}

/// The same open file as the source's, for waiting on.
fn watchable(source: &OomSource) -> Option<AsyncFd<OwnedFd>> {
    let fd = source.as_fd().try_clone_to_owned().ok()?;
    // SAFETY: the `OwnedFd` stays open, and the same, for as long as the `AsyncFd` has it.
    unsafe { AsyncFd::register(fd) }.ok()
}

impl Task {
    fn report_oom(&self, shim: &Shim) {
        let kills = self.oom.lock().unwrap().as_mut().map_or(Ok(0), OomSource::drain);
        match kills {
            Ok(0) => {}
            Ok(_) => shim.events.publish(&TaskOom {
                container_id: self.id.clone(),
            }),
            Err(error) => log::warning!("oom events: {error}"),
        }
    }

    /// Init is dead: the execs have to go too, and their exits are told first.
    async fn end_execs(&self) {
        if self.shares_pids
            && let Err(error) = self.container.lock().unwrap().kill(libc::SIGKILL, true)
        {
            log::error!("killing what init left: {error}");
        }
        let execs: Vec<_> = self
            .execs
            .lock()
            .unwrap()
            .values()
            .map(|exec| exec.process.clone())
            .collect();
        for process in execs.iter().filter(|process| process.phase() == Phase::Running) {
            if timeout(EXECS, process.stopped()).await.is_err() {
                log::error!("exec {} outlives its container's init", process.exec_id);
            }
        }
    }
}
