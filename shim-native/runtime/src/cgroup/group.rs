//! One container's group, over every hierarchy of the host.

use super::host::{Hierarchy, Host, WANTED, below, errno};
use super::placement::{Placement, place};
use super::{CgroupKind, files, freezer, systemd, v1, v2};
use crate::error::{Error, Step, Warning};
use crate::options::CgroupConfig;
use oci_spec::runtime::LinuxResources;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A container's group directories. Serialised into the state file: all that clean-up needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cgroup {
    pub kind: CgroupKind,
    /// Path below each mount, with a leading slash.
    pub path: String,
    pub v1: Vec<V1Group>,
    pub v2: Option<PathBuf>,
    /// systemd's (slice, unit), when systemd made the group.
    pub unit: Option<(String, String)>,
    /// A group above this one that nobody asked for: it goes with the last one in it.
    #[serde(default)]
    pub shared_parent: Option<String>,
}

/// The group in one v1 hierarchy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct V1Group {
    pub controllers: Vec<String>,
    pub mount: PathBuf,
    pub dir: PathBuf,
}

/// Open descriptors through which a new process enters the group without the threadgroup lock of
/// `cgroup.procs`, whose RCU grace period costs about 10 ms on an idle host: it is born in the v2 group
/// (`CLONE_INTO_CGROUP`), and writes `0` (itself, a single thread) to each v1 `tasks` file.
#[derive(Debug, Default)]
pub(crate) struct Attachment {
    v1_tasks: Vec<OwnedFd>,
    v2: Option<OwnedFd>,
}

impl Attachment {
    pub(crate) fn v2(&self) -> Option<BorrowedFd<'_>> {
        self.v2.as_ref().map(AsFd::as_fd)
    }

    /// Moves the calling process, which must have one thread, into the v1 groups.
    pub(crate) fn enter(&self) -> Result<(), Error> {
        for tasks in &self.v1_tasks {
            rustix::io::write(tasks, b"0")
                .map_err(|errno| Error::system(Step::Cgroup, "entering a v1 group", errno))?;
        }
        Ok(())
    }
}

impl Cgroup {
    /// Computes the paths; touches nothing.
    pub(crate) fn plan(
        host: &Host,
        config: &CgroupConfig,
        spec_path: Option<&Path>,
        id: &str,
        resources: Option<&LinuxResources>,
    ) -> Result<Self, Error> {
        let Placement {
            path,
            unit,
            shared_parent,
        } = place(config, spec_path, id)?;
        let group = |hierarchy: &Hierarchy| V1Group {
            controllers: hierarchy.controllers.clone(),
            mount: hierarchy.mount.clone(),
            dir: below(&hierarchy.mount, &path),
        };
        let v1 = host
            .v1
            .iter()
            .filter(|h| is_wanted(h, resources))
            .map(group)
            .collect();
        let v2 = host.v2.as_ref().map(|mount| below(mount, &path));
        Ok(Self {
            kind: host.kind,
            v1,
            v2,
            unit,
            path,
            shared_parent,
        })
    }

    /// The v1 group that has `controller`.
    pub(crate) fn v1_dir(&self, controller: &str) -> Option<&Path> {
        self.v1
            .iter()
            .find(|group| group.controllers.iter().any(|c| c == controller))
            .map(|g| g.dir.as_path())
    }

    /// Refuses a group that has processes: it is somebody else's.
    pub(crate) fn require_free(&self) -> Result<(), Error> {
        for dir in self.v1.iter().map(|group| &group.dir).chain(&self.v2) {
            let mut pids = Vec::new();
            // No such group, no processes.
            let _ = collect_pids(dir, &mut pids);
            if let Some(first) = pids.first() {
                let reason = format!(
                    "{} exists and has {} processes, the first is {first}",
                    dir.display(),
                    pids.len()
                );
                return Err(Error::spec("linux.cgroupsPath", reason));
            }
        }
        Ok(())
    }

    /// Makes the directories; on failure what was made is removed again.
    pub(crate) fn create(&self) -> Result<(), Error> {
        self.make().inspect_err(|_| self.discard())
    }

    fn make(&self) -> Result<(), Error> {
        for group in &self.v1 {
            make_group(&group.dir)?;
            if group.controllers.iter().any(|c| c == "cpuset") {
                v1::inherit_cpuset(&group.mount, &group.dir)?;
            }
        }
        if let Some(dir) = &self.v2 {
            make_group(dir)?;
            if self.kind == CgroupKind::V2 {
                v2::enable_controllers(dir, &self.path)?;
            }
        }
        Ok(())
    }

    /// Asks systemd to make the unit around process `pid`, which is the first process of the group.
    pub(crate) fn start_unit(&self, pid: i32, resources: Option<&LinuxResources>) -> Result<(), Error> {
        match &self.unit {
            Some((slice, unit)) => systemd::start_scope(slice, unit, pid, resources, self.kind),
            None => Ok(()),
        }
    }

    /// Opens what a new process needs to enter the group.
    pub(crate) fn attachment(&self) -> Result<Attachment, Error> {
        let open = |path: PathBuf, flags: OFlags| {
            rustix::fs::openat(CWD, &path, flags | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| Error::system(Step::Cgroup, path.display().to_string(), errno))
        };
        let tasks = self
            .v1
            .iter()
            .map(|group| open(group.dir.join("tasks"), OFlags::WRONLY));
        let v2 = self
            .v2
            .as_ref()
            .map(|dir| open(dir.clone(), OFlags::RDONLY | OFlags::DIRECTORY))
            .transpose()?;
        Ok(Attachment {
            v1_tasks: tasks.collect::<Result<_, _>>()?,
            v2,
        })
    }

    /// Applies limits; absent fields are left alone. `initial` also closes the device list.
    pub(crate) fn apply(&self, resources: &LinuxResources, initial: bool) -> Result<Vec<Warning>, Error> {
        let mut warnings = Vec::new();
        match self.kind {
            CgroupKind::V2 => v2::apply(self, resources, initial, &mut warnings)?,
            CgroupKind::V1 | CgroupKind::Hybrid => v1::apply(self, resources, initial, &mut warnings)?,
        }
        if let Some((_, unit)) = self.unit.as_ref().filter(|_| !initial) {
            systemd::update_scope(unit, resources, self.kind)?;
        }
        Ok(warnings)
    }

    /// Pids in the group and its sub groups. No group (systemd drops an empty one), no pids.
    pub(crate) fn pids(&self) -> Result<Vec<i32>, Error> {
        let dir = self.any_dir().ok_or_else(no_group)?;
        let mut pids = Vec::new();
        match collect_pids(dir, &mut pids) {
            Err(Error::System {
                errno: Errno::NOENT, ..
            }) => Ok(pids),
            other => other.map(|()| pids),
        }
    }

    fn any_dir(&self) -> Option<&Path> {
        self.v2
            .as_deref()
            .or(self.v1_dir("pids"))
            .or(self.v1.first().map(|group| group.dir.as_path()))
    }

    pub(crate) fn freeze(&self) -> Result<(), Error> {
        freezer::set(self, true)
    }

    pub(crate) fn thaw(&self) -> Result<(), Error> {
        freezer::set(self, false)
    }

    /// SIGKILL to everything in the group, frozen or not. No group is success.
    pub(crate) fn kill_all(&self) -> Result<(), Error> {
        let killed = self
            .v2
            .as_ref()
            .map(|dir| files::try_write(dir, "cgroup.kill", "1"));
        if !matches!(killed, Some(Ok(()))) {
            // Before Linux 5.14: until no pid is left that was not there in the round before.
            for _ in 0..16 {
                let pids = self.pids().unwrap_or_default();
                if pids.is_empty() {
                    break;
                }
                signal_all(&pids, rustix::process::Signal::KILL);
            }
        }
        self.thaw_if_frozen()
    }

    /// v1's freezer holds even SIGKILL back until the group is thawed.
    pub(crate) fn thaw_if_frozen(&self) -> Result<(), Error> {
        let state = self
            .v1_dir("freezer")
            .and_then(|dir| files::read_optional(dir, "freezer.state"));
        match state {
            Some(state) if state.trim() != v1::THAWED => self.thaw(),
            _ => Ok(()),
        }
    }

    /// Signals every process of the group.
    pub(crate) fn signal_all(&self, signal: rustix::process::Signal) {
        signal_all(&self.pids().unwrap_or_default(), signal);
    }

    /// Moves process `pid` into every directory of the group (the slow way, for what systemd started).
    pub(crate) fn adopt(&self, pid: i32) -> Result<(), Error> {
        for dir in self.v1.iter().map(|group| &group.dir).chain(&self.v2) {
            files::write(dir, "cgroup.procs", &pid.to_string())?;
        }
        Ok(())
    }

    /// Removes the directories, retrying while dying processes still hold them. Missing ones are success.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        if let Some((_, unit)) = self.unit.as_ref().filter(|_| self.kind != CgroupKind::V2) {
            let _ = systemd::stop_unit(unit);
        }
        let dirs = self.v1.iter().map(|group| &group.dir).chain(&self.v2);
        let mut outcome = Ok(());
        for dir in dirs {
            outcome = outcome.and(remove_group(dir, Instant::now() + REMOVE_PATIENCE));
            self.remove_shared(dir);
        }
        outcome
    }

    /// Undo of a failed creation: removes what is empty, without waiting.
    fn discard(&self) {
        for dir in self.v1.iter().map(|group| &group.dir).chain(&self.v2) {
            let _ = rustix::fs::rmdir(dir);
            self.remove_shared(dir);
        }
    }

    /// Removes the groups above `dir` up to the shared one. The kernel refuses while others are in them, and who is
    /// just making one there tries again (see [`make_group`]).
    fn remove_shared(&self, dir: &Path) {
        let Some(shared) = &self.shared_parent else { return };
        let levels = |path: &str| Path::new(path).components().count();
        let above = levels(&self.path).saturating_sub(levels(shared));
        for parent in dir.ancestors().skip(1).take(above) {
            if rustix::fs::rmdir(parent).is_err() {
                break;
            }
        }
    }
}

/// How often a parent may vanish while a group is made in it. Each time costs another container's whole life.
const MAKE_ATTEMPTS: u32 = 100;

const REMOVE_PATIENCE: Duration = Duration::from_secs(2);

fn no_group() -> Error {
    Error::Unsupported {
        what: "cgroup".into(),
        why: "no hierarchy is mounted".into(),
    }
}

fn is_wanted(hierarchy: &Hierarchy, resources: Option<&LinuxResources>) -> bool {
    let network = resources.is_some_and(|r| r.network().is_some());
    let asked = |name: &str| network && (name == "net_cls" || name == "net_prio");
    hierarchy
        .controllers
        .iter()
        .any(|name| WANTED.contains(&name.as_str()) || name.starts_with("name=") || asked(name))
}

fn make_group(dir: &Path) -> Result<(), Error> {
    let failed = |errno| Error::system(Step::Cgroup, format!("making {}", dir.display()), errno);
    for _ in 0..MAKE_ATTEMPTS {
        match rustix::fs::mkdir(dir, Mode::from_raw_mode(0o755)) {
            Err(Errno::NOENT) => {}
            // Left over empty, or made by systemd around the container's process.
            Ok(()) | Err(Errno::EXIST) => return Ok(()),
            Err(errno) => return Err(failed(errno)),
        }
        // A parent may be there already, or go again with the last group in it before ours is made.
        if let Some(parent) = dir.parent() {
            match std::fs::create_dir_all(parent) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed(errno(&error)));
                }
                _ => {}
            }
        }
    }
    Err(failed(Errno::NOENT))
}

fn collect_pids(dir: &Path, pids: &mut Vec<i32>) -> Result<(), Error> {
    match files::read(dir, "cgroup.procs") {
        Ok(text) => pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok())),
        Err(Error::System {
            errno: Errno::OPNOTSUPP | Errno::NODEV,
            ..
        }) => {}
        Err(error) => return Err(error),
    }
    for child in children(dir) {
        // A sub group that vanishes meanwhile has no processes.
        let _ = collect_pids(&child, pids);
    }
    Ok(())
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let directories = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

fn signal_all(pids: &[i32], signal: rustix::process::Signal) {
    for pid in pids {
        if let Some(pid) = rustix::process::Pid::from_raw(*pid) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

fn remove_group(dir: &Path, deadline: Instant) -> Result<(), Error> {
    let mut pause = Duration::from_micros(100);
    loop {
        match rustix::fs::rmdir(dir) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY | Errno::NOTEMPTY) if Instant::now() < deadline => {
                for child in children(dir) {
                    remove_group(&child, deadline)?;
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Err(errno) => {
                return Err(Error::system(
                    Step::Cgroup,
                    format!("removing {}", dir.display()),
                    errno,
                ));
            }
        }
    }
}
