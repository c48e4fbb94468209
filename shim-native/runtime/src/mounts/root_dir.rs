//! The container's root as a descriptor: every path of the spec or the image is resolved beneath it by
//! the kernel (`openat2`, `RESOLVE_IN_ROOT`), so no symlink of the image leads out.

use crate::error::{Error, Step};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// How deep symlinks may chain while missing parts of a path are made.
const MAX_LINKS: u32 = 40;

pub(crate) struct RootDir {
    fd: OwnedFd,
}

impl RootDir {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// An `O_PATH` descriptor of what `path` names inside the root.
    pub(crate) fn open(&self, path: &Path) -> Result<OwnedFd, Errno> {
        self.open_with(path, OFlags::PATH, ResolveFlags::empty())
    }

    pub(crate) fn open_with(
        &self,
        path: &Path,
        flags: OFlags,
        extra: ResolveFlags,
    ) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | extra;
        open_beneath(self.fd.as_fd(), path, flags, resolve)
    }

    /// The directory at `path`, made with its missing parents (mode 0755) where it is not there.
    pub(crate) fn ensure_dir(&self, path: &Path) -> Result<OwnedFd, Error> {
        self.ensure(path, FileType::Directory, 0).map_err(|errno| {
            Error::system(Step::Mount, format!("making directory {}", path.display()), errno)
        })
    }

    /// What is at `path`; an empty file is made, with missing parent directories, where nothing is.
    pub(crate) fn ensure_file(&self, path: &Path) -> Result<OwnedFd, Error> {
        self.ensure(path, FileType::RegularFile, 0)
            .map_err(|errno| Error::system(Step::Mount, format!("making file {}", path.display()), errno))
    }

    /// Parent directory (made if missing) and last name of `path`, for calls that create an entry.
    pub(crate) fn ensure_parent<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr), Error> {
        let name = path
            .file_name()
            .ok_or_else(|| Error::spec(path.display().to_string(), "the path has no file name"))?;
        Ok((self.ensure_dir(path.parent().unwrap_or(Path::new("/")))?, name))
    }

    fn ensure(&self, path: &Path, wanted: FileType, links: u32) -> Result<OwnedFd, Errno> {
        match self.open(path) {
            Err(Errno::NOENT) if links < MAX_LINKS => {}
            Err(Errno::NOENT) => return Err(Errno::LOOP),
            other => return other,
        }
        let last = match path.components().next_back() {
            Some(Component::Normal(name)) => name,
            _ => return Err(Errno::NOENT),
        };
        let above = path.parent().unwrap_or(Path::new("/"));
        let parent = self.ensure(above, FileType::Directory, links + 1)?;
        match create(parent.as_fd(), last, wanted) {
            Ok(()) => open_beneath(
                parent.as_fd(),
                Path::new(last),
                OFlags::PATH,
                ResolveFlags::NO_SYMLINKS,
            ),
            // Something is there and yet could not be opened: a symlink to nowhere. Its goal is made instead.
            Err(Errno::EXIST) => {
                let goal = read_link(parent.as_fd(), last)?;
                self.ensure(&above.join(goal), wanted, links + 1)
            }
            Err(errno) => Err(errno),
        }
    }
}

fn create(parent: BorrowedFd<'_>, name: &OsStr, wanted: FileType) -> Result<(), Errno> {
    if wanted == FileType::Directory {
        return rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755));
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
}

fn read_link(parent: BorrowedFd<'_>, name: &OsStr) -> Result<PathBuf, Errno> {
    use std::os::unix::ffi::OsStringExt;
    let goal = rustix::fs::readlinkat(parent, name, Vec::new())?;
    Ok(PathBuf::from(std::ffi::OsString::from_vec(goal.into_bytes())))
}

/// openat2(2), repeated while the kernel reports a race with a rename (`EAGAIN`).
pub(crate) fn open_beneath(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    for _ in 0..128 {
        match rustix::fs::openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// `O_PATH` descriptor of a host path.
pub(crate) fn open_host(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn root() -> (tempfile::TempDir, RootDir) {
        let dir = tempfile::tempdir().unwrap();
        let fd = open_host(dir.path()).unwrap();
        (dir, RootDir::new(fd))
    }

    #[test]
    fn absolute_and_climbing_links_stay_inside() {
        let (dir, root) = root();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("absolute")).unwrap();
        symlink("../../../../../../etc", dir.path().join("climbing")).unwrap();
        root.ensure_dir(Path::new("/absolute/made")).unwrap();
        root.ensure_dir(Path::new("/climbing/made")).unwrap();
        assert!(
            outside.path().read_dir().unwrap().next().is_none(),
            "something was made outside"
        );
        assert!(dir.path().join("etc/made").is_dir());
        assert!(
            dir.path()
                .join(outside.path().strip_prefix("/").unwrap())
                .join("made")
                .is_dir()
        );
    }

    #[test]
    fn a_dangling_link_gets_its_goal_made() {
        let (dir, root) = root();
        symlink("/run/lock", dir.path().join("lock")).unwrap();
        root.ensure_file(Path::new("/lock/file")).unwrap();
        assert!(dir.path().join("run/lock/file").is_file());
    }

    #[test]
    fn a_link_cycle_ends() {
        let (dir, root) = root();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert!(root.ensure_dir(Path::new("/a/x")).is_err());
        let long = root.ensure_dir(Path::new("/1/2/3/4/5/6/7/8")).unwrap();
        drop(long);
        assert!(dir.path().join("1/2/3/4/5/6/7/8").is_dir());
    }
}
