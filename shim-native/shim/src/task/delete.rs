//! Delete and Shutdown: forgetting what has ended.

use super::outcome::{log_warnings, status};
use super::{Shim, Task};
use crate::process::{Phase, Process, precondition};
use crate::proto::containerd::events::TaskDelete;
use crate::proto::containerd::task::v3::{DeleteRequest, DeleteResponse, ShutdownRequest};
use crate::reaper::Exit;
use prost_types::Timestamp;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use tonic::Status;

/// How long a container that was never started may take to die.
const DEATH: Duration = Duration::from_secs(10);

impl Shim {
    pub async fn delete(self: &Arc<Self>, request: DeleteRequest) -> Result<DeleteResponse, Status> {
        let task = self.task(&request.id)?;
        if request.exec_id.is_empty() {
            return self.delete_task(&task).await;
        }
        let process = task.exec(&request.exec_id)?.process;
        must_not_run(&process, false)?;
        process.io.close();
        task.execs.lock().unwrap().remove(&request.exec_id);
        let exit = process.exit().unwrap_or_else(never_ran);
        Ok(response(&process, exit))
    }

    async fn delete_task(&self, task: &Task) -> Result<DeleteResponse, Status> {
        must_not_run(&task.init, task.paused.load(Relaxed))?;
        if task.init.phase() == Phase::Created {
            // Killed first: init that only loses its control channel ends with a status of its own.
            let _ = task.container.lock().unwrap().kill(libc::SIGKILL, false);
        }
        let warnings = task
            .container
            .lock()
            .unwrap()
            .delete()
            .map_err(|e| status("delete failed", &e))?;
        log_warnings("delete", &warnings);
        if task.init.pid() == 0 && task.init.phase() == Phase::Created {
            // Its checkpoint was never restored.
            task.init.never_ran(0);
        }
        let exit = timeout(DEATH, task.init.stopped()).await;
        let exit = exit.map_err(|_| Status::unknown(format!("init of {} does not die", task.id)))?;
        if self.tasks.lock().unwrap().remove(&task.id).is_none() {
            return Err(Status::not_found("container not created: not found"));
        }
        for exec in task.execs.lock().unwrap().values() {
            exec.process.io.close();
        }
        task.init.io.close();
        let response = response(&task.init, exit);
        self.events.publish(&TaskDelete {
            container_id: task.id.clone(),
            pid: response.pid,
            exit_status: response.exit_status,
            exited_at: response.exited_at,
            id: String::new(),
        });
        Ok(response)
    }

    /// Ends the shim if it holds nothing, or with `now` nothing but the task asked for: what others share is not its to end.
    /// The answer goes out before the end.
    pub async fn shutdown(self: &Arc<Self>, request: ShutdownRequest) -> Result<(), Status> {
        if self.is_empty() || (request.now && !self.serves_others(&request.id)) {
            self.end();
        }
        Ok(())
    }
}

fn must_not_run(process: &Process, paused: bool) -> Result<(), Status> {
    match process.phase() {
        Phase::Starting | Phase::Running if paused => Err(precondition("cannot delete a paused process")),
        Phase::Starting | Phase::Running => Err(precondition("cannot delete a running process")),
        Phase::Created | Phase::Stopped => Ok(()),
    }
}

/// An exec that was recorded but not started has nothing to tell.
fn never_ran() -> Exit {
    Exit {
        status: 0,
        at: SystemTime::now(),
    }
}

fn response(process: &Process, exit: Exit) -> DeleteResponse {
    let exited_at = Some(Timestamp::from(exit.at));
    DeleteResponse {
        pid: process.pid() as u32,
        exit_status: exit.status,
        exited_at,
    }
}
