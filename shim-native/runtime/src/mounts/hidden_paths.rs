//! Masked and read-only paths.

use super::options::Bind;
use super::root_dir::RootDir;
use super::tree::{
    attach, clone_at, clone_host, is_directory, new_filesystem, set_propagation, set_read_only,
};
use crate::error::{Error, Step};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Hides each path that exists: a file under `/dev/null`, a directory under one empty read-only tmpfs
/// that all masked directories share.
pub(crate) fn mask(root: &RootDir, paths: &[String]) -> Result<(), Error> {
    let mut empty: Option<OwnedFd> = None;
    for path in paths {
        let failed = |errno| Error::system(Step::MaskedPath, path.as_str(), errno);
        let target = match root.open(Path::new(path)) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => continue,
            other => other.map_err(failed)?,
        };
        if is_directory(target.as_fd()).map_err(failed)? {
            let cover = match &empty {
                Some(first) => clone_at(first.as_fd(), Bind::One).map_err(failed)?,
                None => empty_directory().map_err(failed)?,
            };
            attach(cover.as_fd(), target.as_fd()).map_err(failed)?;
            empty.get_or_insert(cover);
        } else {
            let cover = clone_host(Path::new("/dev/null"), Bind::One).map_err(failed)?;
            // Tied to the host's /dev it could not be made again from a checkpoint.
            set_propagation(cover.as_fd(), libc::MS_PRIVATE, false).map_err(failed)?;
            attach(cover.as_fd(), target.as_fd()).map_err(failed)?;
        }
    }
    Ok(())
}

fn empty_directory() -> Result<OwnedFd, Errno> {
    let data = [("size", "0"), ("nr_inodes", "2"), ("mode", "755")];
    let data = data.map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
    let tmpfs = new_filesystem("tmpfs", "tmpfs", &data).map_err(|(errno, _)| errno)?;
    set_read_only(tmpfs.as_fd(), false)?;
    Ok(tmpfs)
}

/// Lays over each path that exists a read-only view of itself, sub mounts included.
pub(crate) fn make_read_only(root: &RootDir, paths: &[String]) -> Result<(), Error> {
    for path in paths {
        let failed = |errno| Error::system(Step::ReadonlyPath, path.as_str(), errno);
        let target = match root.open(Path::new(path)) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            other => other.map_err(failed)?,
        };
        let view = clone_at(target.as_fd(), Bind::Tree).map_err(failed)?;
        set_read_only(view.as_fd(), true).map_err(failed)?;
        attach(view.as_fd(), target.as_fd()).map_err(failed)?;
    }
    Ok(())
}
