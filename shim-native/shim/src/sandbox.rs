//! The Sandbox service: what several containers share for as long as it lives, and this shim with it.
//!
//! A sandbox whose bundle describes a process (`process` in `config.json`) is held up by a container of its own, made and ended by
//! the verbs of tasks under the sandbox's id: its namespaces are the ones others join. Without a process it is the shim alone.
//! Its tasks are served by this shim, each as if it were alone.

use crate::process::precondition;
use crate::proto::containerd::runtime::sandbox::v1::*;
use crate::proto::containerd::task::v3::{
    CreateTaskRequest, DeleteRequest, KillRequest, StartRequest, StatsRequest, WaitRequest,
};
use crate::proto::containerd::types::{Metric, Platform};
use crate::reaper::Exit;
use crate::task::Shim;
use prost_types::Timestamp;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::{Code, Status};

/// How long a stop waits for SIGTERM to work when the caller names no time.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a killed process may take to be gone.
const DEATH: Duration = Duration::from_secs(10);

/// The one sandbox of a shim.
#[derive(Debug)]
pub struct Sandbox {
    id: String,
    /// Whether a container holds it up.
    has_container: bool,
    started: Mutex<Option<Started>>,
    exit: watch::Sender<Option<Exit>>,
}

#[derive(Clone, Copy, Debug)]
struct Started {
    pid: u32,
    at: SystemTime,
}

/// The part of `config.json` that decides.
#[derive(Deserialize)]
struct Described {
    process: Option<serde::de::IgnoredAny>,
}

impl Shim {
    pub async fn create_sandbox(
        self: &Arc<Self>,
        request: CreateSandboxRequest,
    ) -> Result<CreateSandboxResponse, Status> {
        let id = request.sandbox_id.clone();
        if id.is_empty() {
            return Err(Status::invalid_argument(
                "a sandbox needs an id: invalid argument",
            ));
        }
        let has_container = describes_process(Path::new(&request.bundle_path))?;
        {
            let mut place = self.sandbox.lock().unwrap();
            if let Some(other) = place.as_ref() {
                return Err(Status::already_exists(format!(
                    "sandbox {}: already exists",
                    other.id
                )));
            }
            *place = Some(Arc::new(Sandbox {
                id: id.clone(),
                has_container,
                started: Mutex::default(),
                exit: watch::Sender::new(None),
            }));
        }
        if has_container {
            let container = CreateTaskRequest {
                id,
                bundle: request.bundle_path,
                rootfs: request.rootfs,
                options: request.options,
                ..CreateTaskRequest::default()
            };
            if let Err(error) = self.create(container).await {
                *self.sandbox.lock().unwrap() = None;
                return Err(error);
            }
        }
        Ok(CreateSandboxResponse {})
    }

    pub async fn start_sandbox(
        self: &Arc<Self>,
        request: StartSandboxRequest,
    ) -> Result<StartSandboxResponse, Status> {
        let sandbox = self.sandbox(&request.sandbox_id)?;
        if sandbox.started().is_some() {
            return Err(precondition(&format!(
                "sandbox {} is started already",
                sandbox.id
            )));
        }
        let pid = if sandbox.has_container {
            let (id, exec_id) = (sandbox.id.clone(), String::new());
            self.start(StartRequest { id, exec_id }).await?.pid
        } else {
            std::process::id()
        };
        let at = SystemTime::now();
        *sandbox.started.lock().unwrap() = Some(Started { pid, at });
        if sandbox.has_container {
            self.follow(&sandbox);
        }
        Ok(StartSandboxResponse {
            pid,
            created_at: Some(Timestamp::from(at)),
            spec: None,
        })
    }

    /// The end of its container is the end of the sandbox.
    fn follow(self: &Arc<Self>, sandbox: &Arc<Sandbox>) {
        let (shim, sandbox) = (self.clone(), sandbox.clone());
        tokio::spawn(async move {
            let (id, exec_id) = (sandbox.id.clone(), String::new());
            if let Ok(end) = shim.wait(WaitRequest { id, exec_id }).await {
                let at = end.exited_at.and_then(|at| SystemTime::try_from(at).ok());
                sandbox.ended(Exit {
                    status: end.exit_status,
                    at: at.unwrap_or_else(SystemTime::now),
                });
            }
        });
    }

    pub async fn platform(self: &Arc<Self>, request: PlatformRequest) -> Result<PlatformResponse, Status> {
        self.sandbox(&request.sandbox_id)?;
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let platform = Platform {
            os: "linux".into(),
            architecture: architecture.into(),
            ..Platform::default()
        };
        Ok(PlatformResponse {
            platform: Some(platform),
        })
    }

    /// Ends what runs in it: first its own container, by SIGTERM and then SIGKILL, then whatever task is left. Stopped already:
    /// success.
    pub async fn stop_sandbox(
        self: &Arc<Self>,
        request: StopSandboxRequest,
    ) -> Result<StopSandboxResponse, Status> {
        let sandbox = self.sandbox(&request.sandbox_id)?;
        if sandbox.has_container && sandbox.exit().is_none() && sandbox.started().is_some() {
            let seconds = Some(request.timeout_secs).filter(|seconds| *seconds > 0);
            let patience = seconds.map_or(PATIENCE, |seconds| Duration::from_secs(seconds.into()));
            self.signal(&sandbox.id, libc::SIGTERM, false).await?;
            if timeout(patience, sandbox.stopped()).await.is_err() {
                self.signal(&sandbox.id, libc::SIGKILL, true).await?;
            }
        }
        for id in self.task_ids() {
            self.signal(&id, libc::SIGKILL, true).await?;
        }
        if !sandbox.has_container || sandbox.started().is_none() {
            let at = SystemTime::now();
            sandbox.ended(Exit { status: 0, at });
        }
        let stopped = timeout(DEATH, sandbox.stopped()).await;
        stopped.map_err(|_| Status::deadline_exceeded(format!("sandbox {} does not end", sandbox.id)))?;
        Ok(StopSandboxResponse {})
    }

    /// A process that is gone needs no signal.
    async fn signal(self: &Arc<Self>, id: &str, signal: i32, all: bool) -> Result<(), Status> {
        let request = KillRequest {
            id: id.to_owned(),
            signal: signal as u32,
            all,
            ..KillRequest::default()
        };
        match self.kill(request).await {
            Err(error) if error.code() != Code::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub async fn wait_sandbox(
        self: &Arc<Self>,
        request: WaitSandboxRequest,
    ) -> Result<WaitSandboxResponse, Status> {
        let exit = self.sandbox(&request.sandbox_id)?.stopped().await;
        Ok(WaitSandboxResponse {
            exit_status: exit.status,
            exited_at: Some(Timestamp::from(exit.at)),
        })
    }

    pub async fn sandbox_status(
        self: &Arc<Self>,
        request: SandboxStatusRequest,
    ) -> Result<SandboxStatusResponse, Status> {
        let sandbox = self.sandbox(&request.sandbox_id)?;
        let (started, exit) = (sandbox.started(), sandbox.exit());
        let is_ready = started.is_some() && exit.is_none();
        let mut info = HashMap::new();
        if request.verbose {
            info.insert("shimPid".to_owned(), std::process::id().to_string());
            info.insert("shimVersion".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
            info.insert("tasks".to_owned(), self.task_ids().join(","));
        }
        Ok(SandboxStatusResponse {
            sandbox_id: sandbox.id.clone(),
            pid: started.filter(|_| is_ready).map_or(0, |started| started.pid),
            state: if is_ready {
                "SANDBOX_READY"
            } else {
                "SANDBOX_NOTREADY"
            }
            .to_owned(),
            info,
            created_at: started.map(|started| Timestamp::from(started.at)),
            exited_at: exit.map(|exit| Timestamp::from(exit.at)),
            extra: None,
        })
    }

    pub async fn ping_sandbox(self: &Arc<Self>, request: PingRequest) -> Result<PingResponse, Status> {
        self.sandbox(&request.sandbox_id).map(|_| PingResponse {})
    }

    /// Ends the sandbox if it runs still, and the shim. Tasks that nobody has deleted are deleted.
    pub async fn shutdown_sandbox(
        self: &Arc<Self>,
        request: ShutdownSandboxRequest,
    ) -> Result<ShutdownSandboxResponse, Status> {
        let sandbox = self.sandbox(&request.sandbox_id)?;
        let stop = StopSandboxRequest {
            sandbox_id: sandbox.id.clone(),
            timeout_secs: 1,
        };
        self.stop_sandbox(stop).await?;
        for id in self.task_ids() {
            let wait = self.wait(WaitRequest {
                id: id.clone(),
                exec_id: String::new(),
            });
            let _ = timeout(DEATH, wait).await;
            self.delete(DeleteRequest {
                id,
                exec_id: String::new(),
            })
            .await?;
        }
        *self.sandbox.lock().unwrap() = None;
        self.end();
        Ok(ShutdownSandboxResponse {})
    }

    /// Of the sandbox's own container; without one there is nothing to measure.
    pub async fn sandbox_metrics(
        self: &Arc<Self>,
        request: SandboxMetricsRequest,
    ) -> Result<SandboxMetricsResponse, Status> {
        let sandbox = self.sandbox(&request.sandbox_id)?;
        let id = sandbox.id.clone();
        let data = match sandbox.has_container {
            true => self.stats(StatsRequest { id: id.clone() }).await?.stats,
            false => None,
        };
        let timestamp = Some(Timestamp::from(SystemTime::now()));
        Ok(SandboxMetricsResponse {
            metrics: Some(Metric { timestamp, id, data }),
        })
    }

    fn sandbox(&self, id: &str) -> Result<Arc<Sandbox>, Status> {
        let sandbox = self.sandbox.lock().unwrap().clone();
        let sandbox = sandbox.filter(|sandbox| sandbox.id == id);
        sandbox.ok_or_else(|| Status::not_found(format!("sandbox {id}: not found")))
    }
}

impl Sandbox {
    fn started(&self) -> Option<Started> {
        *self.started.lock().unwrap()
    }

    fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// The first end counts.
    fn ended(&self, exit: Exit) {
        self.exit.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert(exit);
            is_first
        });
    }

    async fn stopped(&self) -> Exit {
        let mut exit = self.exit.subscribe();
        match exit.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(exit)) => *exit,
            // The sender lives as long as `self`.
            _ => unreachable!("a sandbox outlives whoever waits for it"),
        }
    }
}

fn describes_process(bundle: &Path) -> Result<bool, Status> {
    let path = bundle.join("config.json");
    let failed =
        |why: String| Status::invalid_argument(format!("{}: {why}: invalid argument", path.display()));
    let text = std::fs::read(&path).map_err(|e| failed(e.to_string()))?;
    let described: Described = serde_json::from_slice(&text).map_err(|e| failed(e.to_string()))?;
    Ok(described.process.is_some())
}
