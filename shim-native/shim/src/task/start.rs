//! Start: let a created container run, or make and run an exec.

use super::outcome::{exit_status, log_warnings, status};
use super::restore::Checkpoint;
use super::{Exec, Shim, Task, health, supervise};
use crate::log;
use crate::proto::containerd::events::{TaskExecStarted, TaskStart};
use crate::proto::containerd::task::v3::{StartRequest, StartResponse};
use crate::reaper::Exit;
use gantry_runtime::{ExecOptions, ExecProcess, spec};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use tonic::Status;

/// How long a failed start waits for the corpse, so that a Delete that follows at once succeeds.
const CORPSE: Duration = Duration::from_secs(5);

/// Exit status of what never ran.
const UNKNOWN: u32 = 255;

impl Shim {
    pub async fn start(self: &Arc<Self>, request: StartRequest) -> Result<StartResponse, Status> {
        let task = self.task(&request.id)?;
        let pid = match request.exec_id.as_str() {
            "" => self.start_init(&task).await?,
            exec_id => self.start_exec(&task, exec_id).await?,
        };
        self.settling.worked();
        Ok(StartResponse { pid: pid as u32 })
    }

    async fn start_init(self: &Arc<Self>, task: &Arc<Task>) -> Result<i32, Status> {
        let init = &task.init;
        init.begin_start()?;
        if let Some(checkpoint) = &task.checkpoint {
            return self.start_restored(task, checkpoint).await;
        }
        let started = task.container.lock().unwrap().start();
        let warnings = match started {
            Ok(warnings) => warnings,
            Err(error) => {
                let answer = status("start failed", &error);
                let _ = timeout(CORPSE, init.stopped()).await;
                return Err(answer);
            }
        };
        log_warnings("start", &warnings);
        Ok(self.started(task))
    }

    fn started(self: &Arc<Self>, task: &Arc<Task>) -> i32 {
        let pid = task.init.pid();
        if !task.init.is_dead() {
            task.init.set_running();
            health::begin(self, task);
        }
        self.events.publish(&TaskStart {
            container_id: task.id.clone(),
            pid: pid as u32,
        });
        pid
    }

    async fn start_restored(
        self: &Arc<Self>,
        task: &Arc<Task>,
        checkpoint: &Checkpoint,
    ) -> Result<i32, Status> {
        if let Err(answer) = self.restore(task, checkpoint).await {
            if task.init.pid() == 0 {
                // There never was a process whose end could be noticed.
                task.init.never_ran(UNKNOWN);
            } else {
                let _ = timeout(CORPSE, task.init.stopped()).await;
            }
            return Err(answer);
        }
        Ok(self.started(task))
    }

    async fn start_exec(self: &Arc<Self>, task: &Arc<Task>, exec_id: &str) -> Result<i32, Status> {
        let exec = task.exec(exec_id)?;
        task.must_run_init()?;
        exec.process.begin_start()?;
        let made = match self.exec_io(exec_id, &exec).await {
            Ok(stdio) => task.make_exec(&exec, stdio),
            Err(error) => Err((Status::unknown(format!("stdio: {error}")), 255)),
        };
        let made = made.map_err(|(answer, status)| {
            let exit = Exit {
                status,
                at: SystemTime::now(),
            };
            exec.process.io.exited(exit);
            exec.process.set_stopped(exit);
            answer
        })?;
        log_warnings("exec", &made.warnings);
        let process = &exec.process;
        process.set_pid(made.pid, Some(made.pidfd));
        process.set_running();
        supervise::exec(self, process);
        if let Err(error) = process.io.connect(made.console) {
            log::error!("terminal of exec {exec_id}: {error}");
        }
        let (container_id, exec_id) = (task.id.clone(), exec_id.to_owned());
        self.events.publish(&TaskExecStarted {
            container_id,
            exec_id,
            pid: made.pid as u32,
        });
        Ok(made.pid)
    }

    async fn exec_io(&self, exec_id: &str, exec: &Exec) -> std::io::Result<gantry_runtime::Stdio> {
        exec.process.io.open(&self.owner(exec_id)).await
    }
}

impl Task {
    fn make_exec(&self, exec: &Exec, stdio: gantry_runtime::Stdio) -> Result<ExecProcess, (Status, u32)> {
        let options = ExecOptions {
            stdio,
            no_new_keyring: self.no_new_keyring,
            io_owner: self.io_owner,
        };
        let mut process = spec::Process::clone(&exec.spec);
        if let Some((rows, columns)) = exec.process.io.early_size() {
            let size = spec::BoxBuilder::default().height(rows).width(columns).build();
            process.set_console_size(size.ok());
        }
        let made = self.container.lock().unwrap().exec(&process, options);
        made.map_err(|error| (status("exec failed", &error), exit_status(&error)))
    }

    pub(super) fn must_run_init(&self) -> Result<(), Status> {
        if self.init.is_dead() {
            let what = format!(
                "container {} init process is not running: failed precondition",
                self.id
            );
            return Err(Status::failed_precondition(what));
        }
        Ok(())
    }
}
