//! Create: from a bundle to a container waiting to be started.

use super::outcome::{log_warnings, status};
use super::restore::Checkpoint;
use super::{Shim, Task, supervise};
use crate::bootstrap;
use crate::process::Process;
use crate::proto::containerd::events::{TaskCreate, TaskIo};
use crate::proto::containerd::runc::v1::Options;
use crate::proto::containerd::task::v3::{CreateTaskRequest, CreateTaskResponse};
use crate::proto::containerd::types::Mount;
use crate::stdio::{Owner, ProcessIo, Request};
use gantry_runtime::spec::{LinuxNamespaceType, Spec};
use gantry_runtime::{CgroupConfig, CgroupDriver, Container, CreateOptions, Created, RootfsMount, Stdio};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tonic::Status;

/// Values of `binary_name` that mean this shim itself. dockerd 20.10 always sends its default, `runc`, whatever shim it
/// was told to use; a path, or another name, is a wish for another runtime.
const OURSELVES: [&str; 4] = ["", "runc", "gantry", "containerd-shim-gantry-v1"];

impl Shim {
    pub async fn create(self: &Arc<Self>, request: CreateTaskRequest) -> Result<CreateTaskResponse, Status> {
        let options = runtime_options(&request)?;
        let spec = read_spec(Path::new(&request.bundle), request.terminal)?;
        let reservation = Reservation::take(self, &request.id)?;
        let owner = self.owner(&request.id);
        let io = ProcessIo::prepare(stdio(&request), &owner).map_err(Status::invalid_argument)?;
        // Armed until the process owns it.
        let io = Unused(Some(io));
        let ends = io
            .get()
            .open(&owner)
            .await
            .map_err(|e| Status::unknown(format!("stdio: {e}")))?;
        let shares_pids = shares_pids(&spec);
        let mounts: Vec<_> = request.rootfs.iter().map(rootfs_mount).collect();
        let wanted = create_options(&request, &options, &mounts, ends);
        let created = match request.checkpoint.as_str() {
            "" => Container::create(spec, wanted),
            _ => Container::prepare_restore(spec, wanted),
        };
        let created = created.map_err(|e| status("create failed", &e))?;
        let task = self.adopt(&request, &options, created, io.take(), shares_pids)?;
        let pid = task.init.pid() as u32;
        reservation.fill(task.clone());
        self.events.publish(&create_event(&request, pid));
        Ok(CreateTaskResponse { pid })
    }

    /// Makes a task of the new container. From here on its end is noticed.
    fn adopt(
        self: &Arc<Self>,
        request: &CreateTaskRequest,
        options: &Options,
        created: Created,
        io: ProcessIo,
        shares_pids: bool,
    ) -> Result<Arc<Task>, Status> {
        log_warnings("create", &created.warnings);
        let mut container = created.container;
        let connected = io.connect(created.console);
        let init = Process::new(&request.id, "", io);
        init.set_pid(container.init_pid(), None);
        if let Err(error) = connected {
            let _ = container.delete();
            return Err(Status::unknown(format!("terminal: {error}")));
        }
        let task = Arc::new(Task {
            id: request.id.clone(),
            bundle: request.bundle.clone().into(),
            oom: Mutex::new(container.oom_events().ok().flatten()),
            container: Mutex::new(container),
            init: Arc::new(init),
            execs: Mutex::default(),
            paused: false.into(),
            no_new_keyring: options.no_new_keyring,
            io_owner: io_owner(options),
            checkpoint: checkpoint(request, options),
            checkpointing: tokio::sync::Mutex::default(),
            health: Mutex::default(),
            shares_pids,
        });
        if task.checkpoint.is_none() {
            supervise::init(self, &task);
        }
        Ok(task)
    }

    pub(super) fn owner<'a>(&'a self, id: &'a str) -> Owner<'a> {
        Owner {
            id,
            namespace: &self.namespace,
            reaper: &self.reaper,
            lingering: &self.lingering,
        }
    }
}

/// Holds an id while its task is being made.
struct Reservation<'a> {
    shim: &'a Shim,
    id: &'a str,
}

impl<'a> Reservation<'a> {
    fn take(shim: &'a Shim, id: &'a str) -> Result<Self, Status> {
        let mut tasks = shim.tasks.lock().unwrap();
        if tasks.contains_key(id) {
            return Err(Status::already_exists(format!("task {id}: already exists")));
        }
        tasks.insert(id.to_owned(), None);
        Ok(Reservation { shim, id })
    }

    fn fill(self, task: Arc<Task>) {
        self.shim
            .tasks
            .lock()
            .unwrap()
            .insert(self.id.to_owned(), Some(task));
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut tasks = self.shim.tasks.lock().unwrap();
        if tasks.get(self.id).is_some_and(Option::is_none) {
            tasks.remove(self.id);
        }
    }
}

/// Stdio that is closed again if no process comes to own it.
struct Unused(Option<ProcessIo>);

impl Unused {
    fn get(&self) -> &ProcessIo {
        self.0.as_ref().expect("taken only once, at the end")
    }

    fn take(mut self) -> ProcessIo {
        self.0.take().expect("taken only once, at the end")
    }
}

impl Drop for Unused {
    fn drop(&mut self) {
        if let Some(io) = &self.0 {
            io.close();
        }
    }
}

fn runtime_options(request: &CreateTaskRequest) -> Result<Options, Status> {
    let options = request
        .options
        .as_ref()
        .and_then(bootstrap::options)
        .unwrap_or_default();
    if !OURSELVES.contains(&options.binary_name.as_str()) {
        let name = &options.binary_name;
        return Err(Status::unimplemented(format!(
            "runtime binary_name is not supported by this shim yet: {name:?}"
        )));
    }
    Ok(options)
}

fn checkpoint(request: &CreateTaskRequest, options: &Options) -> Option<Checkpoint> {
    (!request.checkpoint.is_empty()).then(|| Checkpoint {
        images: request.checkpoint.clone().into(),
        work: options.criu_work_path.clone(),
        terminal: request.terminal,
    })
}

pub(super) fn read_spec(bundle: &Path, terminal: bool) -> Result<Spec, Status> {
    let path = bundle.join("config.json");
    let failed = |why: String| Status::invalid_argument(format!("{}: {why}", path.display()));
    let text = std::fs::read(&path).map_err(|e| failed(e.to_string()))?;
    let mut spec: Spec = serde_json::from_slice(&text).map_err(|e| failed(e.to_string()))?;
    if let Some(process) = spec.process_mut() {
        process.set_terminal(Some(terminal));
    }
    Ok(spec)
}

fn stdio(request: &CreateTaskRequest) -> Request {
    Request {
        terminal: request.terminal,
        stdin: request.stdin.clone(),
        stdout: request.stdout.clone(),
        stderr: request.stderr.clone(),
    }
}

fn create_options<'a>(
    request: &'a CreateTaskRequest,
    options: &Options,
    mounts: &'a [RootfsMount],
    stdio: Stdio,
) -> CreateOptions<'a> {
    let driver = if options.systemd_cgroup {
        CgroupDriver::Systemd
    } else {
        CgroupDriver::Cgroupfs
    };
    let default = CgroupConfig::default();
    let default_parent = if options.systemd_cgroup {
        "system.slice".to_owned()
    } else {
        default.default_parent
    };
    CreateOptions {
        id: &request.id,
        bundle: Path::new(&request.bundle),
        rootfs_mounts: mounts,
        stdio,
        cgroup: CgroupConfig {
            driver,
            default_parent,
        },
        no_new_keyring: options.no_new_keyring,
        no_pivot_root: options.no_pivot_root,
        io_owner: io_owner(options),
    }
}

fn io_owner(options: &Options) -> Option<(u32, u32)> {
    let owner = (options.io_uid, options.io_gid);
    (owner != (0, 0)).then_some(owner)
}

fn rootfs_mount(mount: &Mount) -> RootfsMount {
    RootfsMount {
        fs_type: mount.r#type.clone(),
        source: mount.source.clone(),
        target: mount.target.clone(),
        options: mount.options.clone(),
    }
}

/// True unless the container gets a pid namespace of its own, whose processes die with init.
fn shares_pids(spec: &Spec) -> bool {
    let namespaces = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.namespaces().as_ref());
    let own = namespaces
        .into_iter()
        .flatten()
        .any(|ns| ns.typ() == LinuxNamespaceType::Pid && ns.path().is_none());
    !own
}

fn create_event(request: &CreateTaskRequest, pid: u32) -> TaskCreate {
    TaskCreate {
        container_id: request.id.clone(),
        bundle: request.bundle.clone(),
        rootfs: request.rootfs.clone(),
        io: Some(TaskIo {
            stdin: request.stdin.clone(),
            stdout: request.stdout.clone(),
            stderr: request.stderr.clone(),
            terminal: request.terminal,
        }),
        checkpoint: request.checkpoint.clone(),
        pid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    fn request(binary_name: &str) -> CreateTaskRequest {
        let options = Options {
            binary_name: binary_name.into(),
            ..Default::default()
        };
        let any = prost_types::Any {
            type_url: "containerd.runc.v1.Options".into(),
            value: options.encode_to_vec(),
        };
        CreateTaskRequest {
            options: Some(any),
            ..Default::default()
        }
    }

    #[test]
    fn the_default_of_dockerd_means_us() {
        for name in OURSELVES {
            assert!(runtime_options(&request(name)).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn another_runtime_is_refused_by_name() {
        for name in ["crun", "/usr/sbin/runc"] {
            let status = runtime_options(&request(name)).unwrap_err();
            assert_eq!(status.code(), tonic::Code::Unimplemented);
            assert!(status.message().contains(name), "{}", status.message());
        }
    }
}
