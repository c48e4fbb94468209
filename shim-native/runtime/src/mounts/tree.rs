//! Detached mounts: made by descriptor, changed while nobody sees them, attached by descriptor.

use super::options::{Bind, Options};
use crate::error::{Error, Step};
use crate::kernel::{MountAttr, attr, fs_context_log, mount_setattr};
use rustix::fs::{CWD, FileType};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A copy of the mount (or tree of mounts) at a host path, not yet visible anywhere.
pub(crate) fn clone_host(source: &Path, bind: Bind) -> Result<OwnedFd, Errno> {
    open_tree(CWD, source, clone_flags(bind))
}

/// A copy of the mount (or tree) that `at` lies on, rooted at `at`.
pub(crate) fn clone_at(at: BorrowedFd<'_>, bind: Bind) -> Result<OwnedFd, Errno> {
    open_tree(at, c"", clone_flags(bind) | OpenTreeFlags::AT_EMPTY_PATH)
}

fn clone_flags(bind: Bind) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if bind == Bind::Tree {
        flags | OpenTreeFlags::AT_RECURSIVE
    } else {
        flags
    }
}

/// A new instance of file system `fs_type`. The error's text carries the file system's own words.
pub(crate) fn new_filesystem(
    fs_type: &str,
    source: &str,
    data: &[(String, Option<String>)],
) -> Result<OwnedFd, (Errno, String)> {
    let context = fsopen(fs_type, FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|errno| (errno, format!("file system type {fs_type:?}")))?;
    let told = |errno: Errno, doing: String| match fs_context_log(context.as_fd()) {
        Some(log) => (errno, format!("{doing}: {log}")),
        None => (errno, doing),
    };
    if !source.is_empty() {
        fsconfig_set_string(&context, "source", source)
            .map_err(|errno| told(errno, format!("source {source:?}")))?;
    }
    for (key, value) in data {
        match value {
            Some(value) => fsconfig_set_string(&context, key.as_str(), value.as_str()),
            None => fsconfig_set_flag(&context, key.as_str()),
        }
        .map_err(|errno| told(errno, format!("option {}", option_text(key, value.as_deref()))))?;
    }
    fsconfig_create(&context).map_err(|errno| told(errno, fs_type.to_owned()))?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        .map_err(|errno| told(errno, fs_type.to_owned()))
}

fn option_text(key: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("{key}={value}"),
        None => key.to_owned(),
    }
}

/// Applies read-only, nosuid and relatives of `options` to a detached or attached mount.
pub(crate) fn apply_attributes(tree: BorrowedFd<'_>, options: &Options) -> Result<(), Errno> {
    change(tree, options.set, options.clear, false)?;
    change(tree, options.set_recursive, options.clear_recursive, true)
}

fn change(tree: BorrowedFd<'_>, set: u64, clear: u64, recursive: bool) -> Result<(), Errno> {
    if set == 0 && clear == 0 {
        return Ok(());
    }
    // The access time mode is one field: the kernel wants it cleared whole before a new value is set.
    let times = if (set | clear) & attr::ATIME_MASK != 0 {
        attr::ATIME_MASK
    } else {
        0
    };
    let wanted = MountAttr {
        set,
        clear: clear | times,
        ..MountAttr::default()
    };
    mount_setattr(tree, c"", recursive, &wanted)
}

pub(crate) fn set_read_only(tree: BorrowedFd<'_>, recursive: bool) -> Result<(), Errno> {
    change(tree, attr::RDONLY, 0, recursive)
}

pub(crate) fn set_propagation(tree: BorrowedFd<'_>, flag: u64, recursive: bool) -> Result<(), Errno> {
    let wanted = MountAttr {
        propagation: flag,
        ..MountAttr::default()
    };
    mount_setattr(tree, c"", recursive, &wanted)
}

/// Makes a detached mount visible on top of `target`.
pub(crate) fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", target, c"", flags)
}

pub(crate) fn is_directory(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    let stat = rustix::fs::fstat(fd)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Shorthand for errors of the mount step.
pub(crate) fn mount_error(subject: impl Into<String>) -> impl FnOnce(Errno) -> Error {
    let subject = subject.into();
    move |errno| Error::system(Step::Mount, subject, errno)
}
