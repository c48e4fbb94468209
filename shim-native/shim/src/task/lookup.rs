//! Finding tasks and processes by the ids in a request.

use super::{Exec, Shim, Task};
use crate::process::Process;
use std::sync::Arc;
use tonic::Status;

impl Shim {
    pub(super) fn task(&self, id: &str) -> Result<Arc<Task>, Status> {
        let task = self.tasks.lock().unwrap().get(id).cloned().flatten();
        task.ok_or_else(|| Status::not_found("container not created: not found"))
    }

    /// The task's process `exec_id`, or its first one if that is empty.
    pub(super) fn process(&self, id: &str, exec_id: &str) -> Result<(Arc<Task>, Arc<Process>), Status> {
        let task = self.task(id)?;
        let process = if exec_id.is_empty() {
            task.init.clone()
        } else {
            task.exec(exec_id)?.process
        };
        Ok((task, process))
    }
}

impl Task {
    pub(super) fn exec(&self, exec_id: &str) -> Result<Exec, Status> {
        let exec = self.execs.lock().unwrap().get(exec_id).cloned();
        exec.ok_or_else(|| Status::not_found(format!("process does not exist {exec_id}: not found")))
    }
}
