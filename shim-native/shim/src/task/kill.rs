//! Kill: send a signal.

use super::Shim;
use super::outcome::status;
use crate::process::finished;
use crate::proto::containerd::task::v3::KillRequest;
use gantry_runtime::ErrorKind;
use std::sync::Arc;
use tonic::Status;

impl Shim {
    pub async fn kill(self: &Arc<Self>, request: KillRequest) -> Result<(), Status> {
        let (task, process) = self.process(&request.id, &request.exec_id)?;
        let signal = request.signal as i32;
        if !request.exec_id.is_empty() {
            return process.signal(signal);
        }
        if process.is_dead() && !request.all {
            return Err(finished());
        }
        let killed = task.container.lock().unwrap().kill(signal, request.all);
        killed.map_err(|error| match error.kind() {
            ErrorKind::NotFound => finished(),
            _ => status("kill failed", &error),
        })
    }
}
