//! State, Pids, Wait and Connect: what there is to know.

use super::outcome::status;
use super::{Shim, Task};
use crate::process::{Phase, Process};
use crate::proto::containerd::runc::v1::ProcessDetails;
use crate::proto::containerd::task::v3::{
    ConnectRequest, ConnectResponse, PidsRequest, PidsResponse, StateRequest, StateResponse, WaitRequest,
    WaitResponse,
};
use crate::proto::containerd::v1::types::{ProcessInfo, Status as Stage};
use prost::Message;
use prost_types::{Any, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tonic::Status;

impl Shim {
    pub async fn state(self: &Arc<Self>, request: StateRequest) -> Result<StateResponse, Status> {
        let (task, process) = self.process(&request.id, &request.exec_id)?;
        let (exit, stdio) = (process.exit(), process.io.request());
        Ok(StateResponse {
            id: request.id,
            bundle: task.bundle.to_string_lossy().into_owned(),
            pid: process.pid() as u32,
            status: task.stage(&process) as i32,
            stdin: stdio.stdin.clone(),
            stdout: stdio.stdout.clone(),
            stderr: stdio.stderr.clone(),
            terminal: stdio.terminal,
            exit_status: exit.map_or(0, |exit| exit.status),
            exited_at: exit.map(|exit| Timestamp::from(exit.at)),
            exec_id: request.exec_id,
        })
    }

    pub async fn pids(self: &Arc<Self>, request: PidsRequest) -> Result<PidsResponse, Status> {
        let task = self.task(&request.id)?;
        let pids = task
            .container
            .lock()
            .unwrap()
            .pids()
            .map_err(|e| status("ps failed", &e))?;
        let execs = task.execs.lock().unwrap();
        let info = |pid: i32| {
            let exec = execs.values().find(|exec| exec.process.pid() == pid)?;
            let details = ProcessDetails {
                exec_id: exec.process.exec_id.clone(),
            };
            Some(Any {
                type_url: "containerd.runc.v1.ProcessDetails".into(),
                value: details.encode_to_vec(),
            })
        };
        let processes = pids
            .into_iter()
            .map(|pid| ProcessInfo {
                pid: pid as u32,
                info: info(pid),
            })
            .collect();
        Ok(PidsResponse { processes })
    }

    pub async fn wait(self: &Arc<Self>, request: WaitRequest) -> Result<WaitResponse, Status> {
        let (_, process) = self.process(&request.id, &request.exec_id)?;
        let exit = process.stopped().await;
        Ok(WaitResponse {
            exit_status: exit.status,
            exited_at: Some(Timestamp::from(exit.at)),
        })
    }

    /// Unlike the others, answers for a task it does not know, with task pid 0.
    pub async fn connect(self: &Arc<Self>, request: ConnectRequest) -> Result<ConnectResponse, Status> {
        Ok(ConnectResponse {
            shim_pid: std::process::id(),
            task_pid: self.task(&request.id).map_or(0, |task| task.init.pid() as u32),
            version: env!("CARGO_PKG_VERSION").into(),
        })
    }
}

impl Task {
    fn stage(&self, process: &Process) -> Stage {
        match process.phase() {
            Phase::Created | Phase::Starting => Stage::Created,
            Phase::Running if process.exec_id.is_empty() && self.paused.load(Relaxed) => Stage::Paused,
            Phase::Running => Stage::Running,
            Phase::Stopped => Stage::Stopped,
        }
    }
}
