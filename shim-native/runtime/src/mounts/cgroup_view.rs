//! The container's view of its control groups: a `cgroup` mount of the spec becomes one v2 mount, or a
//! tmpfs with one v1 mount per hierarchy (and `unified` on hybrid hosts).

use super::MountContext;
use super::options::{Bind, Options};
use super::tree::{
    apply_attributes, attach, clone_host, mount_error, new_filesystem, set_propagation, set_read_only,
};
use crate::cgroup::CgroupKind;
use crate::error::Error;
use rustix::fs::{Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What the view is made from.
#[derive(Debug)]
pub(crate) struct CgroupView {
    pub kind: CgroupKind,
    /// Mounts are made anew, and show the group as their root because of the cgroup namespace: a user namespace locks the flags
    /// of what it binds. Else the groups are bound from the host's trees. To the container that looks the same, and takes
    /// neither five calls more for each hierarchy nor the kernel's one lock of all groups.
    pub anew: bool,
    pub hierarchies: Vec<ViewedHierarchy>,
    /// The container's v2 group on the host.
    pub v2: Option<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct ViewedHierarchy {
    /// Name of its directory, as on the host: `cpu`, `cpu,cpuacct`, `systemd`.
    pub name: String,
    pub controllers: Vec<String>,
    /// The container's group on the host.
    pub group: PathBuf,
}

pub(super) fn mount(context: &MountContext<'_>, destination: &Path, options: &Options) -> Result<(), Error> {
    let target = context.root.ensure_dir(destination)?;
    let view = context.cgroups;
    if view.kind == CgroupKind::V2 {
        let tree = v2_tree(view)?;
        apply_attributes(tree.as_fd(), options).map_err(failed(destination))?;
        return attach(tree.as_fd(), target.as_fd()).map_err(failed(destination));
    }
    let data = [("mode".to_owned(), Some("755".to_owned()))];
    let top = new_filesystem("tmpfs", "cgroup", &data)
        .map_err(|(errno, told)| mount_error(format!("{}: {told}", destination.display()))(errno))?;
    let mut calm = options.clone();
    // The tmpfs is written below; read-only comes last.
    calm.set &= !crate::kernel::attr::RDONLY;
    apply_attributes(top.as_fd(), &calm).map_err(failed(destination))?;
    attach(top.as_fd(), target.as_fd()).map_err(failed(destination))?;
    fill(top.as_fd(), destination, view, options)?;
    if options.read_only() {
        set_read_only(top.as_fd(), false).map_err(failed(destination))?;
    }
    Ok(())
}

fn failed(destination: &Path) -> impl FnOnce(Errno) -> Error + use<> {
    mount_error(format!("cgroup on {}", destination.display()))
}

/// `top` is a file system that nobody else has seen yet: its paths need no guard.
fn fill(top: BorrowedFd<'_>, destination: &Path, view: &CgroupView, options: &Options) -> Result<(), Error> {
    for hierarchy in &view.hierarchies {
        let place = destination.join(&hierarchy.name);
        let tree = v1_tree(view, hierarchy)?;
        apply_attributes(tree.as_fd(), options).map_err(failed(&place))?;
        attach_in(top, &hierarchy.name, tree.as_fd()).map_err(failed(&place))?;
        for alias in hierarchy
            .controllers
            .iter()
            .filter(|_| hierarchy.controllers.len() > 1)
        {
            symlinkat(hierarchy.name.as_str(), top, alias.as_str())
                .map_err(failed(&destination.join(alias)))?;
        }
    }
    if view.v2.is_some() {
        let place = destination.join("unified");
        let tree = v2_tree(view)?;
        apply_attributes(tree.as_fd(), options).map_err(failed(&place))?;
        attach_in(top, "unified", tree.as_fd()).map_err(failed(&place))?;
    }
    Ok(())
}

fn attach_in(top: BorrowedFd<'_>, name: &str, tree: BorrowedFd<'_>) -> Result<(), Errno> {
    mkdirat(top, name, Mode::from_raw_mode(0o755))?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    attach(tree, openat(top, name, flags, Mode::empty())?.as_fd())
}

fn v1_tree(view: &CgroupView, hierarchy: &ViewedHierarchy) -> Result<OwnedFd, Error> {
    if !view.anew {
        return bound(&hierarchy.group).map_err(failed(&hierarchy.group));
    }
    let mut data: Vec<(String, Option<String>)> = Vec::new();
    for controller in &hierarchy.controllers {
        match controller.split_once('=') {
            Some((key, name)) => {
                data.push(("none".to_owned(), None));
                data.push((key.to_owned(), Some(name.to_owned())));
            }
            None => data.push((controller.clone(), None)),
        }
    }
    new_filesystem("cgroup", "cgroup", &data)
        .map_err(|(errno, told)| mount_error(format!("cgroup {}: {told}", hierarchy.name))(errno))
}

/// Private: tied to the host's mount it could not be made again from a checkpoint.
fn bound(group: &Path) -> Result<OwnedFd, Errno> {
    let tree = clone_host(group, Bind::One)?;
    set_propagation(tree.as_fd(), libc::MS_PRIVATE, false)?;
    Ok(tree)
}

fn v2_tree(view: &CgroupView) -> Result<OwnedFd, Error> {
    match &view.v2 {
        Some(group) if !view.anew => bound(group).map_err(failed(group)),
        _ => new_filesystem("cgroup2", "cgroup", &[])
            .map_err(|(errno, told)| mount_error(format!("cgroup2: {told}"))(errno)),
    }
}
