//! Exec: record a further process for a running container; Start runs it.

use super::{Exec, Shim};
use crate::process::{Phase, Process, precondition};
use crate::proto::containerd::events::TaskExecAdded;
use crate::proto::containerd::task::v3::ExecProcessRequest;
use crate::stdio::{ProcessIo, Request};
use gantry_runtime::spec;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tonic::Status;

/// containerd's longest identifier.
const MAX_ID: usize = 76;

impl Shim {
    pub async fn exec(self: &Arc<Self>, request: ExecProcessRequest) -> Result<(), Status> {
        let task = self.task(&request.id)?;
        let id = request.exec_id;
        if id.is_empty() || id.len() > MAX_ID {
            return Err(Status::invalid_argument(format!(
                "exec id {id:?}: use 1 to {MAX_ID} bytes: invalid argument"
            )));
        }
        if task.execs.lock().unwrap().contains_key(&id) || id == task.id {
            return Err(Status::already_exists(format!("id {id}: already exists")));
        }
        match task.init.phase() {
            Phase::Created | Phase::Starting => return Err(precondition("cannot exec in a created state")),
            _ if task.init.is_dead() => return Err(precondition("cannot exec in a stopped state")),
            _ if task.paused.load(Relaxed) => return Err(precondition("cannot exec in a paused state")),
            _ => {}
        }
        let spec = Arc::new(process_spec(request.spec.as_ref(), request.terminal)?);
        let stdio = Request {
            terminal: request.terminal,
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
        };
        let io = ProcessIo::prepare(stdio, &self.owner(&id)).map_err(Status::invalid_argument)?;
        let process = Arc::new(Process::new(&task.id, &id, io));
        task.execs
            .lock()
            .unwrap()
            .insert(id.clone(), Exec { process, spec });
        self.events.publish(&TaskExecAdded {
            container_id: task.id.clone(),
            exec_id: id,
        });
        Ok(())
    }
}

/// The OCI `process` object, carried as JSON.
fn process_spec(any: Option<&prost_types::Any>, terminal: bool) -> Result<spec::Process, Status> {
    let any =
        any.ok_or_else(|| Status::invalid_argument("exec needs a process in spec: invalid argument"))?;
    let mut process: spec::Process = serde_json::from_slice(&any.value).map_err(|e| {
        Status::invalid_argument(format!("exec spec ({}): {e}: invalid argument", any.type_url))
    })?;
    process.set_terminal(Some(terminal));
    Ok(process)
}
