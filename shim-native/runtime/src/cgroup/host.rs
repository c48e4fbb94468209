//! What this host has mounted.

use super::CgroupKind;
use crate::error::{Error, Step};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// One v1 hierarchy.
#[derive(Clone, Debug)]
pub(crate) struct Hierarchy {
    /// Controllers bound to it, or `name=...` for a named one.
    pub controllers: Vec<String>,
    pub mount: PathBuf,
}

impl Hierarchy {
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub kind: CgroupKind,
    pub v1: Vec<Hierarchy>,
    pub v2: Option<PathBuf>,
}

const USUAL: &str = "/sys/fs/cgroup";
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// v1 controllers that every container gets a group in; others only when a resource asks for them.
pub(super) const WANTED: [&str; 9] = [
    "cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb",
];

impl Host {
    pub(crate) fn detect() -> Result<Self, Error> {
        let magic = rustix::fs::statfs(USUAL).map(|stat| stat.f_type as u64);
        if magic == Ok(CGROUP2_SUPER_MAGIC) {
            return Ok(Self {
                kind: CgroupKind::V2,
                v1: Vec::new(),
                v2: Some(USUAL.into()),
            });
        }
        let table = std::fs::read_to_string("/proc/self/mountinfo")
            .map_err(|e| Error::system(Step::Cgroup, "/proc/self/mountinfo", errno(&e)))?;
        let host = Self::from_mountinfo(&table);
        if host.v1.is_empty() && host.v2.is_none() {
            let why = format!("no cgroup file system is mounted at or below {USUAL}");
            return Err(Error::Unsupported {
                what: "control groups".into(),
                why,
            });
        }
        Ok(host)
    }

    fn from_mountinfo(table: &str) -> Self {
        let mut v1: Vec<Hierarchy> = Vec::new();
        let mut v2 = None;
        for line in table.lines().filter(|line| line.contains(" - cgroup")) {
            let Some((mount, fs_type, options)) = parse_line(line) else {
                continue;
            };
            if fs_type == "cgroup2" {
                v2.get_or_insert(mount);
                continue;
            }
            let controllers = controllers_of(&options);
            let known = controllers
                .iter()
                .any(|name| v1.iter().any(|hierarchy| hierarchy.has(name)));
            if !controllers.is_empty() && !known {
                v1.push(Hierarchy { controllers, mount });
            }
        }
        let kind = match (v1.is_empty(), v2.is_some()) {
            (true, _) => CgroupKind::V2,
            (false, true) => CgroupKind::Hybrid,
            (false, false) => CgroupKind::V1,
        };
        Self { kind, v1, v2 }
    }
}

/// (mount point, type, super block options) of a mountinfo line, proc_pid_mountinfo(5).
fn parse_line(line: &str) -> Option<(PathBuf, String, String)> {
    let (left, right) = line.split_once(" - ")?;
    let mount = left.split(' ').nth(4)?;
    let mut right = right.split(' ');
    let fs_type = right.next()?.to_owned();
    let options = right.nth(1)?.to_owned();
    Some((PathBuf::from(mount), fs_type, options))
}

fn controllers_of(options: &str) -> Vec<String> {
    let not_controllers = [
        "rw",
        "ro",
        "xattr",
        "clone_children",
        "noprefix",
        "none",
        "favordynmods",
    ];
    let named = |word: &&str| !not_controllers.contains(word) && !word.starts_with("release_agent");
    options.split(',').filter(named).map(str::to_owned).collect()
}

/// `path` below `mount`, whether or not it starts with a slash, never above it.
pub(super) fn below(mount: &Path, path: &str) -> PathBuf {
    let parts = Path::new(path)
        .components()
        .filter_map(|component| match component {
            std::path::Component::Normal(part) => Some(part),
            _ => None,
        });
    parts.fold(mount.to_owned(), |mut joined, part| {
        joined.push(part);
        joined
    })
}

pub(super) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime shared:3 - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
50 31 0:32 / /elsewhere/memory rw,relatime - cgroup cgroup rw,memory
";

    #[test]
    fn a_hybrid_host_is_recognised() {
        let host = Host::from_mountinfo(HYBRID);
        assert_eq!(host.kind, CgroupKind::Hybrid);
        let names: Vec<_> = host.v1.iter().map(|h| h.controllers.join(",")).collect();
        assert_eq!(names, ["cpu,cpuacct", "memory", "name=systemd"]);
        assert_eq!(host.v2.as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
    }

    #[test]
    fn paths_never_climb() {
        assert_eq!(below(Path::new("/m"), "/a/../../b"), Path::new("/m/a/b"));
        assert_eq!(below(Path::new("/m"), ""), Path::new("/m"));
    }
}
