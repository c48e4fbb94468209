//! Update: new resource limits.

use super::Shim;
use super::outcome::{log_warnings, status};
use crate::process::precondition;
use crate::proto::containerd::task::v3::UpdateTaskRequest;
use gantry_runtime::spec::LinuxResources;
use std::sync::Arc;
use tonic::Status;

impl Shim {
    pub async fn update(self: &Arc<Self>, request: UpdateTaskRequest) -> Result<(), Status> {
        let task = self.task(&request.id)?;
        if task.init.is_dead() {
            return Err(precondition("cannot update a stopped container"));
        }
        let any = request
            .resources
            .ok_or_else(|| Status::invalid_argument("update needs resources: invalid argument"))?;
        let resources: LinuxResources = serde_json::from_slice(&any.value).map_err(|e| {
            Status::invalid_argument(format!("resources ({}): {e}: invalid argument", any.type_url))
        })?;
        let warnings = task
            .container
            .lock()
            .unwrap()
            .update(&resources)
            .map_err(|e| status("update failed", &e))?;
        log_warnings("update", &warnings);
        Ok(())
    }
}
