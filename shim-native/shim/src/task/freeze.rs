//! Pause and Resume.

use super::outcome::status;
use super::{Shim, Task};
use crate::process::{Phase, precondition};
use crate::proto::containerd::events::{TaskPaused, TaskResumed};
use crate::proto::containerd::task::v3::{PauseRequest, ResumeRequest};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tonic::Status;

impl Shim {
    pub async fn pause(self: &Arc<Self>, request: PauseRequest) -> Result<(), Status> {
        let task = self.task(&request.id)?;
        task.must_be_started("pause")?;
        if task.paused.load(Relaxed) {
            return Err(precondition("cannot pause a paused container"));
        }
        task.container
            .lock()
            .unwrap()
            .pause()
            .map_err(|e| status("pause failed", &e))?;
        task.paused.store(true, Relaxed);
        self.events.publish(&TaskPaused {
            container_id: request.id,
        });
        Ok(())
    }

    pub async fn resume(self: &Arc<Self>, request: ResumeRequest) -> Result<(), Status> {
        let task = self.task(&request.id)?;
        task.must_be_started("resume")?;
        if !task.paused.load(Relaxed) {
            return Err(precondition("cannot resume a running process"));
        }
        task.container
            .lock()
            .unwrap()
            .resume()
            .map_err(|e| status("resume failed", &e))?;
        task.paused.store(false, Relaxed);
        self.events.publish(&TaskResumed {
            container_id: request.id,
        });
        Ok(())
    }
}

impl Task {
    fn must_be_started(&self, verb: &str) -> Result<(), Status> {
        match self.init.phase() {
            _ if self.init.is_dead() => Err(precondition(&format!("cannot {verb} a stopped container"))),
            Phase::Running => Ok(()),
            _ => Err(precondition(&format!("cannot {verb} task in created state"))),
        }
    }
}
