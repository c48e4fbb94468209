//! The Task service: what can be asked of a shim, whichever protocol the question came by.
//!
//! One file per verb. All of it runs on one thread, so what happens between two `await`s is one step for
//! everybody else. The order of events rests on that: a verb changes state and queues its event in one
//! step.

mod checkpoint;
mod create;
mod delete;
mod exec;
mod freeze;
mod health;
mod kill;
mod lookup;
mod outcome;
mod restore;
mod start;
mod state;
mod stats;
mod stdio;
mod supervise;
mod update;

use crate::args::Args;
use crate::events::Publisher;
use crate::lingering::Lingering;
use crate::memory::Settling;
use crate::process::Process;
use crate::reaper::Reaper;
use crate::sandbox::Sandbox;
use gantry_runtime::{Container, OomSource, spec};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// Everything this shim holds.
pub struct Shim {
    pub namespace: String,
    pub events: Publisher,
    pub reaper: Arc<Reaper>,
    pub lingering: Arc<Lingering>,
    pub settling: Settling,
    /// `None`: being created.
    tasks: Mutex<HashMap<String, Option<Arc<Task>>>>,
    /// What the tasks share, when the shim was started for that.
    pub sandbox: Mutex<Option<Arc<Sandbox>>>,
    /// Told when the shim shall end.
    shutdown: Notify,
}

/// One container.
pub struct Task {
    id: String,
    bundle: PathBuf,
    container: Mutex<Container>,
    init: Arc<Process>,
    execs: Mutex<HashMap<String, Exec>>,
    oom: Mutex<Option<OomSource>>,
    paused: AtomicBool,
    /// Keep the session keyring, for execs as for init.
    no_new_keyring: bool,
    io_owner: Option<(u32, u32)>,
    /// What its start restores; `None`: it begins anew.
    checkpoint: Option<restore::Checkpoint>,
    /// Held while one is made.
    checkpointing: tokio::sync::Mutex<()>,
    /// Its health check, while it runs and has one.
    health: Mutex<Option<health::Watch>>,
    /// Init's end does not end the others: they share a pid namespace with the host or another container.
    shares_pids: bool,
}

/// A process made by exec.
#[derive(Clone)]
struct Exec {
    process: Arc<Process>,
    spec: Arc<spec::Process>,
}

impl Shim {
    pub fn new(args: &Args, events: Publisher, reaper: Arc<Reaper>, lingering: Arc<Lingering>) -> Self {
        Shim {
            namespace: args.namespace.clone(),
            events,
            reaper,
            lingering,
            settling: Settling::default(),
            tasks: Mutex::default(),
            sandbox: Mutex::default(),
            shutdown: Notify::new(),
        }
    }

    /// Waits until a Shutdown was accepted.
    pub async fn shutdown_asked(&self) {
        self.shutdown.notified().await;
    }

    /// Whether it has neither a sandbox nor a task.
    pub fn is_empty(&self) -> bool {
        self.sandbox.lock().unwrap().is_none() && self.tasks.lock().unwrap().is_empty()
    }

    /// Whether a task other than `id` is here, or a sandbox.
    fn serves_others(&self, id: &str) -> bool {
        self.sandbox.lock().unwrap().is_some() || self.tasks.lock().unwrap().keys().any(|task| task != id)
    }

    /// Ids of all tasks.
    pub fn task_ids(&self) -> Vec<String> {
        self.tasks.lock().unwrap().keys().cloned().collect()
    }

    /// Ends the process once the last answers are out.
    pub fn end(&self) {
        self.shutdown.notify_one();
    }
}
