//! What of a container is not its own: host directories, `/dev/null` over masked files, namespaces of others. A checkpoint holds
//! only their names; whoever restores says what the names stand for now.

use gantry_runtime::spec::{LinuxNamespaceType, Mount, Spec};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Namespaces that CRIU can leave to others: their kind, its word for the kind, and the name in the images (runc's).
pub const NAMESPACES: [(LinuxNamespaceType, &str, &str); 2] = [
    (LinuxNamespaceType::Network, "net", "extRootNetNS"),
    (LinuxNamespaceType::Pid, "pid", "extRootPidNS"),
];

/// The name of what covers masked files.
const COVER: &str = "/dev/null";

/// Everything a container's spec takes from outside.
pub struct External<'a> {
    pub spec: &'a Spec,
    pub bundle: &'a Path,
}

impl External<'_> {
    /// For a dump of the container whose first process is `pid`: each thing and its name.
    pub fn names(&self, pid: i32) -> Vec<String> {
        let binds = self.binds().map(|(at, _)| mount(at, at));
        let groups = v1_mounts(pid).into_iter().map(|at| mount(&at, &at));
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        let masked = self.masked().iter();
        let covered = masked.filter(|path| {
            root.join(path.trim_start_matches('/'))
                .metadata()
                .is_ok_and(|m| !m.is_dir())
        });
        let namespaces = self.namespaces().filter_map(|(word, name, path)| {
            let inode = std::fs::metadata(path).ok()?.ino();
            Some(format!("{word}[{inode}]:{name}"))
        });
        let covers = covered.map(|path| mount(path, COVER));
        binds.chain(groups).chain(covers).chain(namespaces).collect()
    }

    /// For a restore: each name and the mount's source. `v1` are the new cgroups by hierarchy.
    pub fn sources<'b>(&self, v1: impl Iterator<Item = (&'b str, &'b Path)>) -> Vec<String> {
        let binds = self
            .binds()
            .map(|(at, source)| mount(at, &source.to_string_lossy()));
        let root = self
            .mounts()
            .find(|mount| mount.typ().as_deref() == Some("cgroup"));
        let at = root.map(|mount| mount.destination().to_string_lossy().into_owned());
        let groups = v1.filter_map(|(name, dir)| {
            Some(mount(&format!("{}/{name}", at.as_ref()?), &dir.to_string_lossy()))
        });
        binds.chain(groups).chain([mount(COVER, COVER)]).collect()
    }

    /// Namespaces that the spec names by a path: CRIU's word, the name, the path.
    pub fn namespaces(&self) -> impl Iterator<Item = (&'static str, &'static str, &Path)> {
        let listed = self
            .spec
            .linux()
            .as_ref()
            .and_then(|linux| linux.namespaces().as_ref());
        listed.into_iter().flatten().filter_map(|namespace| {
            let (_, word, name) = NAMESPACES
                .into_iter()
                .find(|(kind, ..)| *kind == namespace.typ())?;
            let path = namespace
                .path()
                .as_deref()
                .filter(|path| !path.as_os_str().is_empty())?;
            Some((word, name, path))
        })
    }

    fn mounts(&self) -> impl Iterator<Item = &Mount> {
        self.spec.mounts().iter().flatten()
    }

    fn binds(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        self.mounts().filter_map(|mount| {
            let source = mount.source().as_ref()?;
            let is_bind = mount.typ().as_deref() == Some("bind")
                || mount
                    .options()
                    .iter()
                    .flatten()
                    .any(|o| o == "bind" || o == "rbind");
            is_bind.then(|| Some((mount.destination().to_str()?, self.bundle.join(source))))?
        })
    }

    fn masked(&self) -> &[String] {
        let linux = self.spec.linux().as_ref();
        linux
            .and_then(|linux| linux.masked_paths().as_deref())
            .unwrap_or_default()
    }
}

fn mount(name: &str, value: &str) -> String {
    format!("mnt[{name}]:{value}")
}

/// Where cgroup v1 hierarchies are mounted in the container.
fn v1_mounts(pid: i32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let place = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        right
            .starts_with("cgroup ")
            .then(|| left.split(' ').nth(4).map(str::to_owned))?
    };
    text.lines().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        serde_json::from_value(serde_json::json!({
            "ociVersion": "1.1.0",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/data", "type": "bind", "source": "/srv/data", "options": ["rbind"]},
                {"destination": "/etc/hosts", "source": "hosts", "options": ["bind", "ro"]},
                {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"}
            ],
            "linux": {
                "namespaces": [{"type": "network", "path": "/proc/self/ns/net"}, {"type": "pid"}],
                "maskedPaths": ["/proc/kcore", "/proc/acpi", "/nothing"]
            }
        }))
        .unwrap()
    }

    #[test]
    fn a_dump_names_what_is_outside() {
        let spec = spec();
        let external = External {
            spec: &spec,
            bundle: Path::new("/b"),
        };
        let names = external.names(std::process::id() as i32);
        let inode = std::fs::metadata("/proc/self/ns/net").unwrap().ino();
        for wanted in [
            "mnt[/data]:/data",
            "mnt[/etc/hosts]:/etc/hosts",
            &format!("net[{inode}]:extRootNetNS"),
        ] {
            assert!(names.iter().any(|name| name == wanted), "{wanted} in {names:?}");
        }
        assert!(
            !names
                .iter()
                .any(|name| name.contains("/proc/acpi") || name.contains("/nothing"))
        );
    }

    #[test]
    fn a_restore_says_where_it_is_now() {
        let spec = spec();
        let external = External {
            spec: &spec,
            bundle: Path::new("/b"),
        };
        let sources = external.sources([("memory", Path::new("/sys/fs/cgroup/memory/x"))].into_iter());
        assert_eq!(
            sources,
            [
                "mnt[/data]:/srv/data",
                "mnt[/etc/hosts]:/b/hosts",
                "mnt[/sys/fs/cgroup/memory]:/sys/fs/cgroup/memory/x",
                "mnt[/dev/null]:/dev/null",
            ]
        );
    }
}
