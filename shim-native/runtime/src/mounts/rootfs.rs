//! The root file system as a detached mount tree: made beside the host's mount table, attached only
//! inside the container's own mount namespace.

use super::options::{Bind, Options};
use super::tree::{apply_attributes, attach, clone_at, clone_host, new_filesystem, set_propagation};
use crate::error::{Error, Step};
use crate::kernel::{exit_now, unshare};
use crate::options::RootfsMount;
use crate::protocol::{Channel, Message, unexpected};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use rustix::process::{Pid, WaitOptions, waitpid};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// File systems whose read-only state belongs to the mount alone, never to the (possibly shared) super block.
const VIRTUAL: [&str; 8] = [
    "overlay", "tmpfs", "proc", "sysfs", "mqueue", "devpts", "cgroup", "cgroup2",
];

/// Builds the tree that becomes the container's root. No mounts: a copy of the tree at `root`.
/// Propagation is cut towards the host (slave).
pub(crate) fn build(mounts: &[RootfsMount], root: &Path) -> Result<OwnedFd, Error> {
    let tree = match mounts {
        [] => clone_host(root, Bind::Tree)
            .map_err(|errno| Error::system(Step::Rootfs, root.display().to_string(), errno))?,
        [only] if only.target.is_empty() => match single(only) {
            Ok(tree) => tree,
            // Kernels before 6.8 take no `lowerdir+`, and no value over 255 bytes.
            Err(_) if only.fs_type == "overlay" => in_helper(mounts, root)?,
            Err((errno, told)) => return Err(rootfs_error(only, errno, &told)),
        },
        several => in_helper(several, root)?,
    };
    set_propagation(tree.as_fd(), libc::MS_SLAVE, true)
        .map_err(|errno| Error::system(Step::Rootfs, "cutting propagation", errno))?;
    Ok(tree)
}

/// One mount as a detached tree, with its attributes applied.
fn single(mount: &RootfsMount) -> Result<OwnedFd, (Errno, String)> {
    let options = Options::parse(&mount.options);
    let tree = if let Some(bind) = bind_kind(mount, &options) {
        clone_host(Path::new(&mount.source), bind).map_err(|errno| (errno, mount.source.clone()))?
    } else {
        new_filesystem(&mount.fs_type, &mount.source, &filesystem_data(mount, &options))?
    };
    apply_attributes(tree.as_fd(), &options).map_err(|errno| (errno, "mount attributes".to_owned()))?;
    Ok(tree)
}

fn bind_kind(mount: &RootfsMount, options: &Options) -> Option<Bind> {
    options
        .bind
        .or(matches!(mount.fs_type.as_str(), "bind" | "").then_some(Bind::One))
}

fn filesystem_data(mount: &RootfsMount, options: &Options) -> Vec<(String, Option<String>)> {
    let mut data = Vec::with_capacity(options.data.len() + 8);
    for (key, value) in &options.data {
        match value {
            Some(layers) if mount.fs_type == "overlay" && key == "lowerdir" => {
                data.extend(split_layers(layers).map(|layer| ("lowerdir+".to_owned(), Some(layer))));
            }
            _ => data.push((key.clone(), value.clone())),
        }
    }
    if options.read_only() && !VIRTUAL.contains(&mount.fs_type.as_str()) {
        data.push(("ro".to_owned(), None));
    }
    data
}

/// Splits overlay's `lowerdir` at colons that are not escaped by a backslash, and unescapes.
fn split_layers(layers: &str) -> impl Iterator<Item = String> {
    let mut parts = vec![String::new()];
    let mut chars = layers.chars();
    while let Some(c) = chars.next() {
        let last = parts.len() - 1;
        match c {
            ':' => parts.push(String::new()),
            '\\' => parts[last].extend(chars.next()),
            other => parts[last].push(other),
        }
    }
    parts.into_iter()
}

fn rootfs_error(mount: &RootfsMount, errno: Errno, told: &str) -> Error {
    Error::system(
        Step::Rootfs,
        format!("{} {:?}: {told}", mount.fs_type, mount.source),
        errno,
    )
}

/// Performs the mounts one over the other in the private mount namespace of a short-lived process, which
/// hands the finished tree over as a descriptor. For mount lists, and for what old kernels only do by mount(2).
fn in_helper(mounts: &[RootfsMount], root: &Path) -> Result<OwnedFd, Error> {
    let (ours, theirs) = Channel::pair()?;
    // SAFETY: fork(2) through glibc, whose handlers make allocation safe in the child even when this
    // process has more threads; the child ends by exit_now below.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        drop(ours);
        match helper(mounts, root) {
            Ok(tree) => drop(theirs.send_with_fd(&Message::Console, tree.as_fd())),
            Err(error) => drop(theirs.send(&Message::Failed(error.into()))),
        }
        exit_now(0);
    }
    drop(theirs);
    let pid = Pid::from_raw(pid).ok_or_else(|| Error::system(Step::Fork, "rootfs helper", Errno::AGAIN))?;
    let answer = ours.receive();
    // ECHILD: the caller ignores SIGCHLD, so the kernel reaped it.
    let _ = waitpid(Some(pid), WaitOptions::empty());
    match answer? {
        Some((Message::Console, Some(tree))) => Ok(tree),
        Some((Message::Failed(failure), _)) => Err(failure.into()),
        Some((other, _)) => Err(unexpected("a mount tree", other.name().to_owned())),
        None => Err(Error::ChildDied {
            pid: pid.as_raw_nonzero().get(),
            during: "mounting the root",
        }),
    }
}

fn helper(mounts: &[RootfsMount], root: &Path) -> Result<OwnedFd, Error> {
    let failed = |what: &str, errno| Error::system(Step::Rootfs, what, errno);
    unshare(libc::CLONE_NEWNS).map_err(|errno| failed("unshare", errno))?;
    rustix::mount::mount_change(
        "/",
        rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC,
    )
    .map_err(|errno| failed("/", errno))?;
    for mount in mounts {
        perform(mount, &root.join(mount.target.trim_start_matches('/')))?;
    }
    let top = super::root_dir::open_host(root).map_err(|errno| failed("root", errno))?;
    clone_at(top.as_fd(), Bind::Tree).map_err(|errno| failed("root", errno))
}

fn perform(mount: &RootfsMount, target: &Path) -> Result<(), Error> {
    match single(mount) {
        Ok(tree) => {
            let target = super::root_dir::open_host(target)
                .map_err(|errno| Error::system(Step::Rootfs, target.display().to_string(), errno))?;
            attach(tree.as_fd(), target.as_fd()).map_err(|errno| rootfs_error(mount, errno, "attach"))
        }
        Err(_) if mount.fs_type == "overlay" => {
            overlay_by_mount(mount, target).map_err(|errno| rootfs_error(mount, errno, "mount"))
        }
        Err((errno, told)) => Err(rootfs_error(mount, errno, &told)),
    }
}

/// mount(2) takes one page of options, so each layer gets a name of a few bytes: a symlink in a tmpfs that
/// is nowhere attached and only this process's working directory.
fn overlay_by_mount(mount: &RootfsMount, target: &Path) -> Result<(), Errno> {
    let options = Options::parse(&mount.options);
    let layers = options
        .data
        .iter()
        .find(|(key, _)| key == "lowerdir")
        .and_then(|(_, v)| v.clone());
    let names = new_filesystem("tmpfs", "layers", &[]).map_err(|(errno, _)| errno)?;
    let mut lower = Vec::new();
    for (number, layer) in split_layers(layers.as_deref().unwrap_or_default()).enumerate() {
        lower.push(number.to_string());
        rustix::fs::symlinkat(&layer, &names, number.to_string())?;
    }
    rustix::process::fchdir(&names)?;
    let mut data: Vec<String> = vec![format!("lowerdir={}", lower.join(":"))];
    for (key, value) in options.data.iter().filter(|(key, _)| key != "lowerdir") {
        data.push(
            value
                .as_ref()
                .map_or(key.clone(), |value| format!("{key}={value}")),
        );
    }
    let data = std::ffi::CString::new(data.join(",")).map_err(|_| Errno::INVAL)?;
    rustix::mount::mount(
        c"overlay",
        target,
        c"overlay",
        MountFlags::empty(),
        Some(data.as_c_str()),
    )?;
    let top = super::root_dir::open_host(target)?;
    apply_attributes(top.as_fd(), &options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_split_at_unescaped_colons() {
        let layers: Vec<_> = split_layers(r"/a:/b\:c:/d").collect();
        assert_eq!(layers, ["/a", "/b:c", "/d"]);
    }

    #[test]
    fn the_way_of_old_kernels_takes_many_layers() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: mounting needs root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let layers: Vec<String> = (0..100)
            .map(|number| {
                let layer = dir.path().join(format!(
                    "a-long-name-to-make-the-options-exceed-one-page-{number}"
                ));
                std::fs::create_dir(&layer).unwrap();
                std::fs::write(layer.join(number.to_string()), "").unwrap();
                layer.display().to_string()
            })
            .collect();
        let target = dir.path().join("target");
        std::fs::create_dir(&target).unwrap();
        let mount = RootfsMount {
            fs_type: "overlay".into(),
            options: vec![format!("lowerdir={}", layers.join(":")), "ro".into()],
            ..RootfsMount::default()
        };
        // SAFETY: the child mounts in a namespace of its own and ends here.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let made = unshare(libc::CLONE_NEWNS)
                .and_then(|()| {
                    let private = rustix::mount::MountPropagationFlags::PRIVATE;
                    rustix::mount::mount_change("/", private | rustix::mount::MountPropagationFlags::REC)
                })
                .and_then(|()| overlay_by_mount(&mount, &target));
            exit_now(i32::from(
                !(made.is_ok() && target.join("0").exists() && target.join("99").exists()),
            ));
        }
        let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty())
            .unwrap()
            .unwrap();
        assert_eq!(status.exit_status(), Some(0));
    }
}
