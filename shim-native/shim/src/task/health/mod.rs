//! Health checks: the shim probes its container by itself, so that no daemon is woken while all is as it was.
//!
//! A [`Monitor`] lives from the container's start to the end of its first process. It judges each probe, publishes
//! an event when the status changes, and one with what was found last when the container ends; whoever wants to
//! know of every probe connects to the check's socket ([`followers`]). See `docs/health.md`.

mod answer;
mod check;
mod followers;
mod interfaces;
mod network;
mod process;
mod verdict;

use super::{Shim, Task};
use crate::log;
use crate::proto::gantry::health::v1::{Health, HealthChanged, Probe};
use answer::Answer;
use check::{Ask, Check};
use followers::Followers;
use prost_types::Timestamp;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// Exit code of a process that was killed (128 + SIGKILL).
const KILLED: i32 = 137;

/// A container's processes are dead before its first one is.
const COMMON_END: Duration = Duration::from_millis(100);

/// The check of one running container.
pub struct Monitor {
    check: Check,
    started: Instant,
    health: Mutex<Health>,
    followers: Followers,
}

/// A monitor at work.
pub struct Watch {
    monitor: Arc<Monitor>,
    probing: AbortHandle,
}

/// Begins to probe a started task, if its bundle asks for that. Its start does not depend on it.
pub fn begin(shim: &Arc<Shim>, task: &Arc<Task>) {
    let monitor = match Check::read(&task.bundle) {
        Ok(Some(check)) => Monitor::open(check),
        Ok(None) => return,
        Err(error) => return log::error!("health check: {error}"),
    };
    let monitor = match monitor {
        Ok(monitor) => Arc::new(monitor),
        Err(error) => return log::error!("health check: {error}"),
    };
    let accepting = monitor.clone();
    let serving = async move { accepting.followers.serve(|| accepting.now()).await };
    let (shim, probed, working) = (shim.clone(), task.clone(), monitor.clone());
    let probing = tokio::spawn(async move {
        tokio::select! { () = working.run(&shim, &probed) => {}, () = serving => {} }
    })
    .abort_handle();
    *task.health.lock().unwrap() = Some(Watch { monitor, probing });
}

/// The first process is dead: no more probes. What was found last is told before the end is.
pub fn end(shim: &Shim, task: &Task) {
    let Some(Watch { monitor, probing }) = task.health.lock().unwrap().take() else {
        return;
    };
    probing.abort();
    monitor.followers.close();
    monitor.publish(shim, task, true);
}

impl Monitor {
    fn open(check: Check) -> std::io::Result<Self> {
        Ok(Monitor {
            followers: Followers::open(&check.socket)?,
            check,
            started: Instant::now(),
            health: Mutex::new(verdict::unknown()),
        })
    }

    fn now(&self) -> Health {
        self.health.lock().unwrap().clone()
    }

    async fn run(&self, shim: &Shim, task: &Task) {
        loop {
            let is_starting = verdict::is_starting(&self.health.lock().unwrap());
            sleep(self.check.wait(self.started.elapsed(), is_starting)).await;
            // Nobody can answer then.
            if task.paused.load(Relaxed) {
                continue;
            }
            self.probe(shim, task).await;
            shim.settling.worked();
        }
    }

    async fn probe(&self, shim: &Shim, task: &Task) {
        let (since_start, started_at) = (self.started.elapsed(), SystemTime::now());
        let Answer { exit_code, output } = self.ask(shim, task).await;
        if exit_code == KILLED {
            // Perhaps together with its container, whose end says all there is to say, and ends this task.
            sleep(COMMON_END).await;
        }
        let probe = Probe {
            started_at: Some(Timestamp::from(started_at)),
            ended_at: Some(Timestamp::from(SystemTime::now())),
            exit_code,
            output,
        };
        self.take(probe, since_start, shim, task);
    }

    async fn ask(&self, shim: &Shim, task: &Task) -> Answer {
        let (init, limit) = (task.init.pid(), self.check.timeout());
        match &self.check.ask {
            Ask::Process(process) => process::ask(shim, task, process, limit).await,
            Ask::Tcp { port } => network::ask_tcp(init, *port, limit).await,
            Ask::Http { port, host, path } => network::ask_http(init, *port, host, path, limit).await,
        }
    }

    fn take(&self, probe: Probe, since_start: Duration, shim: &Shim, task: &Task) {
        let news = |health: &Health| Health {
            status: health.status.clone(),
            failing_streak: health.failing_streak,
            log: health.log.last().cloned().into_iter().collect(),
        };
        let mut health = self.health.lock().unwrap();
        let has_changed = verdict::judge(&mut health, probe, &self.check, since_start);
        self.followers.tell(|| news(&health));
        drop(health);
        if has_changed {
            self.publish(shim, task, false);
        }
    }

    fn publish(&self, shim: &Shim, task: &Task, ended: bool) {
        shim.events.publish(&HealthChanged {
            container_id: task.id.clone(),
            health: Some(self.now()),
            ended,
        });
    }
}
