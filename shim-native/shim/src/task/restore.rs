//! Start of a container that was created with a checkpoint: CRIU makes its processes where `Create` has prepared everything else.

use super::checkpoint::Work;
use super::outcome::{log_warnings, refused};
use super::{Shim, Task, create, supervise};
use crate::criu::{
    CgroupMode, CgroupRoot, Criu, DESCRIPTORS, External, InheritFd, Kind, LOG_LEVEL, NAMESPACES, Notified,
    Options, Refusal, Request, Setup,
};
use gantry_runtime::Container;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use tonic::Status;

/// Where a container goes on from.
#[derive(Clone)]
pub struct Checkpoint {
    pub images: PathBuf,
    /// For CRIU's log; empty: none is kept.
    pub work: String,
    pub terminal: bool,
}

impl Shim {
    /// Restores the processes; from their being there on, the end of the first one is noticed.
    pub(super) async fn restore(
        self: &Arc<Self>,
        task: &Arc<Task>,
        checkpoint: &Checkpoint,
    ) -> Result<(), Status> {
        let restored = self.run_criu(task, checkpoint).await;
        let outcome = restored.map_err(|error| refused("restore failed", &error));
        let mut container = task.container.lock().unwrap();
        match outcome {
            Ok(()) => {
                log_warnings("restore", &container.finish_restore());
                Ok(())
            }
            Err(error) => {
                // Half a tree of processes is of no use.
                let _ = container.kill(libc::SIGKILL, true);
                Err(error)
            }
        }
    }

    async fn run_criu(self: &Arc<Self>, task: &Arc<Task>, checkpoint: &Checkpoint) -> Result<(), Refusal> {
        let work = Work::open(&checkpoint.work, &task.bundle)?;
        let (criu, options) = self.prepare(task, checkpoint, &work)?;
        let request = Request {
            kind: Kind::Restore as i32,
            options: Some(options),
            notify_success: None,
        };
        let response = criu.ask(&request, |notified| self.agree(task, notified)).await?;
        if !response.success {
            let kept = task.bundle.join("criu-restore.log");
            let log = work.path.join("restore.log");
            return Err(Refusal::from_log(response.message, response.errno, &log, kept));
        }
        if task.init.pid() == 0 {
            return Err(Refusal::Broken(
                "it did not tell of the restored process".to_owned(),
            ));
        }
        Ok(())
    }

    /// Starts CRIU inside of what `Create` has made, and says what the images' names stand for now.
    fn prepare(&self, task: &Task, checkpoint: &Checkpoint, work: &Work) -> Result<(Criu, Options), Refusal> {
        let spec = create::read_spec(&task.bundle, checkpoint.terminal);
        let spec = spec.map_err(|e| Refusal::Broken(e.message().to_owned()))?;
        let container = task.container.lock().unwrap();
        let failed = |error: gantry_runtime::Error| Refusal::Broken(error.to_string());
        let inherited = inherited(&container, checkpoint).map_err(failed)?;
        let setup = Setup {
            images: &checkpoint.images,
            work: &work.path,
            inherited: inherited.iter().map(|(_, fd)| *fd).collect(),
            entry: Some(container.restorer_entry().map_err(failed)?),
        };
        let criu = Criu::start(setup, &self.reaper)?;
        log_warnings("restore", &container.admit_restorer(criu.pid).map_err(failed)?);
        let external = External {
            spec: &spec,
            bundle: &task.bundle,
        };
        let inherit = |(key, fd): &(String, BorrowedFd<'_>)| InheritFd {
            key: key.clone(),
            fd: fd.as_raw_fd(),
        };
        let options = Options {
            images_dir_fd: criu.images_fd,
            work_dir_fd: Some(criu.work_fd),
            ext_unix_sk: Some(true),
            tcp_established: Some(true),
            evasive_devices: Some(true),
            shell_job: Some(checkpoint.terminal),
            file_locks: Some(true),
            log_level: Some(LOG_LEVEL),
            log_file: Some("restore.log".to_owned()),
            notify_scripts: Some(true),
            root: Some(
                container
                    .restored_root()
                    .map_err(failed)?
                    .to_string_lossy()
                    .into_owned(),
            ),
            link_remap: Some(true),
            manage_cgroups: Some(true),
            manage_cgroups_mode: Some(CgroupMode::Soft as i32),
            cg_root: cgroups_of(criu.pid),
            rst_sibling: Some(true),
            inherit_fd: inherited.iter().map(inherit).collect(),
            external: external.sources(container.v1_groups()),
            orphan_pts_master: Some(true),
            // The newer way (CRIU 3.17) refuses host directories that are no mounts of their own on a shared file system.
            mntns_compat_mode: Some(true),
            ..Options::default()
        };
        Ok((criu, options))
    }

    /// What has to happen between CRIU's steps.
    fn agree(self: &Arc<Self>, task: &Arc<Task>, Notified { notice, fd }: Notified) -> Result<(), Refusal> {
        let failed = |error: gantry_runtime::Error| Refusal::Broken(error.to_string());
        let pid = notice.pid.unwrap_or(0);
        match notice.script.as_deref() {
            Some("setup-namespaces") => task
                .container
                .lock()
                .unwrap()
                .run_restore_hooks(pid)
                .map_err(failed),
            Some("orphan-pts-master") => task.take_terminal(fd),
            // The processes are there and do not run yet.
            Some("post-restore") => {
                task.container.lock().unwrap().restored(pid).map_err(failed)?;
                task.init.set_pid(pid, None);
                *task.oom.lock().unwrap() = task.container.lock().unwrap().oom_events().ok().flatten();
                supervise::init(self, task);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Task {
    fn take_terminal(&self, master: Option<OwnedFd>) -> Result<(), Refusal> {
        let master =
            master.ok_or_else(|| Refusal::Broken("a terminal was announced and not sent".to_owned()))?;
        let connected = self.init.io.connect(Some(master));
        connected.map_err(|e| Refusal::Broken(format!("terminal: {e}")))
    }
}

/// The new ends of pipes that the container's streams were, and namespaces it shares, by their names in the images.
fn inherited<'a>(
    container: &'a Container,
    checkpoint: &Checkpoint,
) -> Result<Vec<(String, BorrowedFd<'a>)>, gantry_runtime::Error> {
    let text = std::fs::read(checkpoint.images.join(DESCRIPTORS)).unwrap_or_default();
    let names: Vec<String> = serde_json::from_slice(&text).unwrap_or_default();
    let streams = names.into_iter().zip(container.restored_streams()?);
    let mut inherited: Vec<_> = streams.filter(|(name, _)| name.starts_with("pipe:")).collect();
    for (kind, _, name) in NAMESPACES {
        if let Some(file) = container.joined_namespace(kind)? {
            inherited.push((name.to_owned(), file));
        }
    }
    Ok(inherited)
}

/// The cgroups of a process, which take the place of those in the images.
fn cgroups_of(pid: i32) -> Vec<CgroupRoot> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let root = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next()?.to_owned();
        Some(CgroupRoot {
            ctrl: Some(controllers.trim_start_matches("name=").to_owned()),
            path: parts.next()?.to_owned(),
        })
    };
    text.lines().filter_map(root).collect()
}
