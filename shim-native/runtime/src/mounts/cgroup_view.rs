//! The container's view of its control groups: a `cgroup` mount of the spec becomes one v2 mount, or a
//! tmpfs with one v1 mount per hierarchy (and `unified` on hybrid hosts).

use super::MountContext;
use super::options::{Bind, Options};
use super::root_dir::RootDir;
use super::tree::{apply_attributes, attach, clone_host, mount_error, new_filesystem, set_read_only};
use crate::cgroup::CgroupKind;
use crate::error::Error;
use rustix::fs::symlinkat;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What the view is made from.
#[derive(Debug)]
pub(crate) struct CgroupView {
    pub kind: CgroupKind,
    /// A cgroup namespace: fresh mounts show the container's group as their root. Without one the groups
    /// are bind mounted from the host's trees.
    pub own_namespace: bool,
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
    fill(context.root, destination, view, options)?;
    if options.read_only() {
        set_read_only(top.as_fd(), false).map_err(failed(destination))?;
    }
    Ok(())
}

fn failed(destination: &Path) -> impl FnOnce(rustix::io::Errno) -> Error + use<> {
    mount_error(format!("cgroup on {}", destination.display()))
}

fn fill(root: &RootDir, destination: &Path, view: &CgroupView, options: &Options) -> Result<(), Error> {
    for hierarchy in &view.hierarchies {
        let place = destination.join(&hierarchy.name);
        let target = root.ensure_dir(&place)?;
        let tree = v1_tree(view, hierarchy)?;
        apply_attributes(tree.as_fd(), options).map_err(failed(&place))?;
        attach(tree.as_fd(), target.as_fd()).map_err(failed(&place))?;
        for alias in hierarchy
            .controllers
            .iter()
            .filter(|_| hierarchy.controllers.len() > 1)
        {
            let (parent, name) = (root.ensure_dir(destination)?, alias.as_str());
            symlinkat(hierarchy.name.as_str(), parent, name).map_err(failed(&destination.join(name)))?;
        }
    }
    if view.v2.is_some() {
        let place = destination.join("unified");
        let target = root.ensure_dir(&place)?;
        let tree = v2_tree(view)?;
        apply_attributes(tree.as_fd(), options).map_err(failed(&place))?;
        attach(tree.as_fd(), target.as_fd()).map_err(failed(&place))?;
    }
    Ok(())
}

fn v1_tree(view: &CgroupView, hierarchy: &ViewedHierarchy) -> Result<OwnedFd, Error> {
    if !view.own_namespace {
        return clone_host(&hierarchy.group, Bind::One).map_err(failed(&hierarchy.group));
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

fn v2_tree(view: &CgroupView) -> Result<OwnedFd, Error> {
    match &view.v2 {
        Some(group) if !view.own_namespace => clone_host(group, Bind::One).map_err(failed(group)),
        _ => new_filesystem("cgroup2", "cgroup", &[])
            .map_err(|(errno, told)| mount_error(format!("cgroup2: {told}"))(errno)),
    }
}
