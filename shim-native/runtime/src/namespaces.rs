//! The spec's namespaces: which are new, which are joined, in what order.

use crate::error::{Error, Step};
use crate::kernel::setns;
use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// Parsed and opened `linux.namespaces`.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    /// `CLONE_NEW*` of those to be made.
    pub new: i32,
    /// `CLONE_NEW*` of every listed one, made or joined: what an exec has to enter.
    pub all: i32,
    pub joined: Vec<Joined>,
}

#[derive(Debug)]
pub(crate) struct Joined {
    pub flag: i32,
    path: PathBuf,
    file: OwnedFd,
}

pub(crate) fn flag_of(kind: LinuxNamespaceType) -> i32 {
    match kind {
        LinuxNamespaceType::Mount => libc::CLONE_NEWNS,
        LinuxNamespaceType::Cgroup => libc::CLONE_NEWCGROUP,
        LinuxNamespaceType::Uts => libc::CLONE_NEWUTS,
        LinuxNamespaceType::Ipc => libc::CLONE_NEWIPC,
        LinuxNamespaceType::User => libc::CLONE_NEWUSER,
        LinuxNamespaceType::Pid => libc::CLONE_NEWPID,
        LinuxNamespaceType::Network => libc::CLONE_NEWNET,
        LinuxNamespaceType::Time => CLONE_NEWTIME,
    }
}

pub(crate) const CLONE_NEWTIME: i32 = 0x80;

impl Namespaces {
    /// Opens every path now, so that a missing one fails before anything is made.
    pub(crate) fn new(listed: &[LinuxNamespace]) -> Result<Self, Error> {
        let mut result = Namespaces::default();
        for namespace in listed {
            let flag = flag_of(namespace.typ());
            if result.all & flag != 0 {
                let reason = format!("{} is listed twice", namespace.typ());
                return Err(Error::spec("linux.namespaces", reason));
            }
            result.all |= flag;
            match namespace
                .path()
                .as_ref()
                .filter(|path| !path.as_os_str().is_empty())
            {
                None => result.new |= flag,
                Some(path) => result.joined.push(Joined::open(flag, path.clone())?),
            }
        }
        if result.all & libc::CLONE_NEWNS == 0 {
            return Err(Error::spec("linux.namespaces", "a mount namespace is needed"));
        }
        Ok(result)
    }

    pub(crate) fn is_new(&self, flag: i32) -> bool {
        self.new & flag != 0
    }

    /// Whether the container shares the caller's namespace of this kind.
    pub(crate) fn is_host(&self, flag: i32) -> bool {
        self.all & flag == 0
            || self
                .joined
                .iter()
                .any(|joined| joined.flag == flag && joined.is_own())
    }

    pub(crate) fn joins(&self, flag: i32) -> bool {
        self.joined.iter().any(|joined| joined.flag == flag)
    }

    /// Enters every namespace of the list but the cgroup one: others first, with the rights of the host,
    /// then the user namespace, then those that refused because they belong to it. Pid and time namespaces
    /// apply to children only.
    pub(crate) fn join_all(&self) -> Result<(), Error> {
        let mut refused = Vec::new();
        let later = libc::CLONE_NEWUSER | libc::CLONE_NEWCGROUP;
        for joined in self.joined.iter().filter(|joined| joined.flag & later == 0) {
            match setns(joined.file.as_fd(), joined.flag) {
                Err(Errno::PERM) if self.joins(libc::CLONE_NEWUSER) => refused.push(joined),
                other => other.map_err(|errno| joined.failed(errno))?,
            }
        }
        self.join(libc::CLONE_NEWUSER)?;
        for joined in refused {
            setns(joined.file.as_fd(), joined.flag).map_err(|errno| joined.failed(errno))?;
        }
        Ok(())
    }

    /// Enters the namespace of this kind, if one is to be joined. The cgroup namespace comes after the process
    /// is in its group: from inside, groups outside of it cannot be left (cgroup_namespaces(7), nsdelegate).
    pub(crate) fn join(&self, flag: i32) -> Result<(), Error> {
        for joined in self.joined.iter().filter(|joined| joined.flag == flag) {
            setns(joined.file.as_fd(), flag).map_err(|errno| joined.failed(errno))?;
        }
        Ok(())
    }
}

impl Joined {
    fn open(flag: i32, path: PathBuf) -> Result<Self, Error> {
        let opened = rustix::fs::openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let file = opened
            .map_err(|errno| Error::system(Step::Namespaces, format!("joining {}", path.display()), errno))?;
        Ok(Self { flag, path, file })
    }

    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    fn failed(&self, errno: Errno) -> Error {
        Error::system(
            Step::Namespaces,
            format!("joining {}", self.path.display()),
            errno,
        )
    }

    /// Whether this is the caller's own namespace under another name.
    fn is_own(&self) -> bool {
        let name = match self.flag {
            libc::CLONE_NEWNET => "net",
            libc::CLONE_NEWIPC => "ipc",
            libc::CLONE_NEWUTS => "uts",
            libc::CLONE_NEWPID => "pid",
            _ => return false,
        };
        let own = rustix::fs::stat(format!("/proc/self/ns/{name}"));
        let file = rustix::fs::fstat(&self.file);
        matches!((own, file), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxNamespaceBuilder;

    fn namespace(kind: LinuxNamespaceType, path: Option<&str>) -> LinuxNamespace {
        let builder = LinuxNamespaceBuilder::default().typ(kind);
        let builder = if let Some(path) = path {
            builder.path(path)
        } else {
            builder
        };
        builder.build().unwrap()
    }

    #[test]
    fn a_path_means_joining() {
        let list = [
            namespace(LinuxNamespaceType::Mount, None),
            namespace(LinuxNamespaceType::Network, Some("/proc/self/ns/net")),
        ];
        let parsed = Namespaces::new(&list).unwrap();
        assert_eq!(parsed.new, libc::CLONE_NEWNS);
        assert!(parsed.joins(libc::CLONE_NEWNET) && parsed.is_host(libc::CLONE_NEWNET));
        assert!(parsed.is_host(libc::CLONE_NEWIPC) && !parsed.is_host(libc::CLONE_NEWNS));
    }

    #[test]
    fn doubles_missing_files_and_a_missing_mount_namespace_are_refused() {
        let mount = namespace(LinuxNamespaceType::Mount, None);
        assert!(Namespaces::new(&[mount.clone(), mount.clone()]).is_err());
        assert!(Namespaces::new(&[]).is_err());
        let gone = namespace(LinuxNamespaceType::Network, Some("/nonexistent/netns"));
        let error = Namespaces::new(&[mount, gone]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "namespaces: joining /nonexistent/netns: No such file or directory (os error 2)"
        );
    }
}
