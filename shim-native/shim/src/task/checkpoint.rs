//! Checkpoint: what a container does now, written to a folder by CRIU.

use super::outcome::refused;
use super::{Shim, Task, create};
use crate::criu::{
    CgroupMode, Criu, DESCRIPTORS, External, Kind, LOG_LEVEL, Options, Refusal, Request, Setup,
};
use crate::log;
use crate::process::{Phase, precondition};
use crate::proto::containerd::runc::v1::CheckpointOptions;
use crate::proto::containerd::task::v3::CheckpointTaskRequest;
use gantry_runtime::spec::Spec;
use prost::Message;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tonic::Status;

impl Shim {
    pub async fn checkpoint(self: &Arc<Self>, request: CheckpointTaskRequest) -> Result<(), Status> {
        let task = self.task(&request.id)?;
        match task.init.phase() {
            _ if task.init.is_dead() => return Err(precondition("cannot checkpoint a stopped container")),
            Phase::Running => {}
            _ => return Err(precondition("cannot checkpoint a task in created state")),
        }
        let wish = Wish::read(&request)?;
        let spec = create::read_spec(&task.bundle, wish.options.terminal)?;
        // One at a time: a second tracer would make both fail.
        let _turn = task
            .checkpointing
            .try_lock()
            .map_err(|_| precondition("a checkpoint is being made"))?;
        let outcome = self.dump(&task, &spec, &wish).await;
        outcome.map_err(|error| refused("checkpoint failed", &error))
    }

    async fn dump(&self, task: &Task, spec: &Spec, wish: &Wish) -> Result<(), Refusal> {
        let work = Work::open(&wish.options.work_path, &task.bundle)?;
        make_folder(&wish.images)?;
        let pid = task.init.pid();
        let descriptors = descriptors_of(pid);
        let was_paused = task.paused.load(Relaxed);
        let options = wish.dump_options(pid)?;
        let setup = Setup {
            images: &wish.images,
            work: &work.path,
            inherited: Vec::new(),
            entry: None,
        };
        let criu = Criu::start(setup, &self.reaper)?;
        let options = Options {
            images_dir_fd: criu.images_fd,
            work_dir_fd: Some(criu.work_fd),
            log_file: Some("dump.log".to_owned()),
            freeze_cgroup: task.freezer(),
            external: External {
                spec,
                bundle: &task.bundle,
            }
            .names(pid),
            ..options
        };
        let request = Request {
            kind: Kind::Dump as i32,
            options: Some(options),
            notify_success: None,
        };
        let response = criu.ask(&request, |_| Ok(())).await?;
        if was_paused && !wish.options.exit {
            // CRIU thaws what it has frozen, and what was frozen before.
            let frozen = task.container.lock().unwrap().pause();
            frozen.unwrap_or_else(|error| log::warning!("pausing again after a checkpoint: {error}"));
        }
        if !response.success {
            let kept = task.bundle.join("criu-dump.log");
            return Err(Refusal::from_log(
                response.message,
                response.errno,
                &work.path.join("dump.log"),
                kept,
            ));
        }
        std::fs::write(wish.images.join(DESCRIPTORS), descriptors)
            .map_err(|e| Refusal::Broken(format!("{DESCRIPTORS}: {e}")))
    }
}

impl Task {
    fn freezer(&self) -> Option<String> {
        let container = self.container.lock().unwrap();
        container
            .freezer_dir()
            .map(|dir| dir.to_string_lossy().into_owned())
    }
}

/// What was asked for.
struct Wish {
    images: PathBuf,
    options: CheckpointOptions,
}

impl Wish {
    fn read(request: &CheckpointTaskRequest) -> Result<Self, Status> {
        let options = match &request.options {
            Some(any) if any.type_url.ends_with("containerd.runc.v1.CheckpointOptions") => {
                CheckpointOptions::decode(any.value.as_slice()).map_err(|e| {
                    Status::invalid_argument(format!("checkpoint options: {e}: invalid argument"))
                })?
            }
            Some(any) => {
                let what = format!(
                    "checkpoint options of type {:?} are not known: invalid argument",
                    any.type_url
                );
                return Err(Status::invalid_argument(what));
            }
            None => CheckpointOptions::default(),
        };
        let path = [&request.path, &options.image_path]
            .into_iter()
            .find(|path| !path.is_empty());
        let path =
            path.ok_or_else(|| Status::invalid_argument("a checkpoint needs a path: invalid argument"))?;
        Ok(Wish {
            images: PathBuf::from(path),
            options,
        })
    }

    fn dump_options(&self, pid: i32) -> Result<Options, Refusal> {
        let wish = &self.options;
        let mode = cgroup_mode(&wish.cgroups_mode)?;
        Ok(Options {
            pid: Some(pid),
            leave_running: Some(!wish.exit),
            ext_unix_sk: Some(wish.external_unix_sockets),
            tcp_established: Some(wish.open_tcp),
            evasive_devices: Some(true),
            shell_job: Some(wish.terminal),
            file_locks: Some(wish.file_locks),
            log_level: Some(LOG_LEVEL),
            parent_img: Some(wish.parent_path.clone()).filter(|path| !path.is_empty()),
            link_remap: Some(true),
            manage_cgroups: Some(mode != CgroupMode::Ignore),
            manage_cgroups_mode: Some(mode as i32),
            empty_ns: Some(empty_namespaces(&wish.empty_namespaces)?),
            orphan_pts_master: Some(true),
            ..Options::default()
        })
    }
}

/// runc's words; its default is `soft`.
fn cgroup_mode(word: &str) -> Result<CgroupMode, Refusal> {
    match word {
        "" | "soft" => Ok(CgroupMode::Soft),
        "full" => Ok(CgroupMode::Full),
        "strict" => Ok(CgroupMode::Strict),
        "ignore" => Ok(CgroupMode::Ignore),
        other => Err(Refusal::Wish(format!(
            "cgroups mode {other:?}: use soft, full, strict or ignore"
        ))),
    }
}

/// `CLONE_NEW*` of namespaces that are restored empty. CRIU knows one.
fn empty_namespaces(names: &[String]) -> Result<u32, Refusal> {
    match names.iter().find(|name| *name != "network") {
        Some(other) => Err(Refusal::Wish(format!(
            "empty namespace {other:?}: only \"network\" can be restored empty"
        ))),
        None if names.is_empty() => Ok(0),
        None => Ok(libc::CLONE_NEWNET as u32),
    }
}

/// Where the first three descriptors lead to, as a JSON list.
fn descriptors_of(pid: i32) -> String {
    let link = |fd| std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap_or_default();
    let links: Vec<_> = (0..3).map(|fd| link(fd).to_string_lossy().into_owned()).collect();
    serde_json::json!(links).to_string()
}

/// A folder for CRIU's log and scratch files: the caller's, or one that goes again.
pub(super) struct Work {
    pub path: PathBuf,
    goes: bool,
}

impl Work {
    pub fn open(wanted: &str, bundle: &Path) -> Result<Self, Refusal> {
        let goes = wanted.is_empty();
        let path = if goes {
            bundle.join("criu-work")
        } else {
            PathBuf::from(wanted)
        };
        make_folder(&path)?;
        Ok(Work { path, goes })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.goes {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn make_folder(path: &Path) -> Result<(), Refusal> {
    std::fs::create_dir_all(path).map_err(|e| Refusal::Broken(format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_wished_for_is_named() {
        assert_eq!(cgroup_mode("").unwrap(), CgroupMode::Soft);
        assert!(cgroup_mode("hard").unwrap_err().to_string().contains("\"hard\""));
        assert_eq!(
            empty_namespaces(&["network".to_owned()]).unwrap(),
            libc::CLONE_NEWNET as u32
        );
        assert!(
            empty_namespaces(&["uts".to_owned()])
                .unwrap_err()
                .to_string()
                .contains("\"uts\"")
        );
    }

    #[test]
    fn options_of_another_runtime_are_refused() {
        let any = prost_types::Any {
            type_url: "x.Options".into(),
            value: Vec::new(),
        };
        let request = CheckpointTaskRequest {
            options: Some(any),
            path: "/x".into(),
            ..Default::default()
        };
        assert_eq!(
            Wish::read(&request).err().unwrap().code(),
            tonic::Code::InvalidArgument
        );
        let nowhere = CheckpointTaskRequest::default();
        assert!(Wish::read(&nowhere).err().unwrap().message().contains("path"));
    }

    #[test]
    fn a_work_folder_of_ours_goes_again() {
        let dir = tempfile::tempdir().unwrap();
        let work = Work::open("", dir.path()).unwrap();
        let path = work.path.clone();
        assert!(path.exists());
        drop(work);
        assert!(!path.exists());
        let mine = dir.path().join("mine");
        drop(Work::open(mine.to_str().unwrap(), dir.path()).unwrap());
        assert!(mine.exists());
    }
}
