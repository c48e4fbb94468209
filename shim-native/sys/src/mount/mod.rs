//! Mounts described as data, performed: mount(2), umount2(2).

mod options;
mod overlay;
mod unmount;

use std::ffi::CString;
use std::path::{Component, Path, PathBuf};

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rustix::fs::StatVfsMountFlags;
use rustix::mount::{self as kernel, MountFlags, UnmountFlags};

use crate::error::{Context, Result, SysError};
use crate::thread::promise;
use options::Options;

/// containerd's `types.Mount`.
#[napi(object)]
pub struct Mount {
    pub r#type: String,
    pub source: String,
    pub target: Option<String>,
    pub options: Vec<String>,
}

#[napi]
pub fn mount(env: &Env, mounts: Vec<Mount>, target_root: String) -> napi::Result<Object<'_>> {
    promise(env, move || mount_all(&mounts, &target_root))
}

/// All or nothing: when one fails, the ones before it are detached again.
fn mount_all(mounts: &[Mount], target_root: &str) -> Result<()> {
    // Absolute, because mounting a long overlay changes the working directory of this thread.
    let root = std::path::absolute(target_root).call_on("getcwd", target_root)?;
    let mut done: Vec<PathBuf> = Vec::new();
    for mount in mounts {
        let target = target_of(&root, mount);
        let result = target.and_then(|target| {
            mount_one(mount, &target.to_string_lossy())?;
            done.push(target);
            Ok(())
        });
        if let Err(error) = result {
            for target in done.iter().rev() {
                let _ = kernel::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
            }
            return Err(error);
        }
    }
    Ok(())
}

fn target_of(root: &Path, mount: &Mount) -> Result<PathBuf> {
    let below = Path::new(mount.target.as_deref().unwrap_or("").trim_start_matches('/'));
    if below.components().any(|part| part == Component::ParentDir) {
        return Err(SysError::refused(
            "EINVAL",
            format!("mount target '{}' contains '..'", below.display()),
        ));
    }
    Ok(if below.as_os_str().is_empty() {
        root.to_owned()
    } else {
        root.join(below)
    })
}

fn mount_one(mount: &Mount, target: &str) -> Result<()> {
    let options = Options::parse(&mount.options)?;
    let outcome = if options.bind {
        bind(mount, target, &options)
    } else if options.remount {
        remount(target, options.flags, &options.data)
    } else if mount.r#type == "overlay" && !overlay::fits(&options.data) {
        overlay::mount_long(target, options.flags, &options.data)
    } else {
        let data = joined(&options.data)?;
        kernel::mount(
            &mount.source,
            target,
            &mount.r#type,
            options.flags,
            data.as_c_str(),
        )
        .call("mount")
    };
    outcome.map_err(|error| name_mount(error, mount, target))?;
    for change in options.propagation {
        kernel::mount_change(target, change).call_on("mount", target)?;
    }
    Ok(())
}

fn name_mount(mut error: SysError, mount: &Mount, target: &str) -> SysError {
    if error.path.is_some() {
        return error;
    }
    // An overlay's source says nothing; the directory that is missing is among the options.
    let options: String = mount.options.join(",").chars().take(1000).collect();
    error.what += &format!(" (type {}, options {options})", mount.r#type);
    error.path(&mount.source).dest(target)
}

/// The kernel ignores every flag of a bind mount but MS_REC; what was asked for is set by a remount.
fn bind(mount: &Mount, target: &str, options: &Options) -> Result<()> {
    match options.recursive {
        true => kernel::mount_bind_recursive(&mount.source, target),
        false => kernel::mount_bind(&mount.source, target),
    }
    .call("mount")?;
    if options.flags.is_empty() {
        return Ok(());
    }
    let outcome = remount(target, MountFlags::BIND | options.flags | inherited(target)?, &[]);
    if outcome.is_err() {
        let _ = kernel::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    }
    outcome
}

/// Flags the source's mount has already: a remount sets all of them, so leaving these out would lift them.
fn inherited(target: &str) -> Result<MountFlags> {
    let present = rustix::fs::statvfs(target).call_on("statvfs", target)?.f_flag;
    let pairs = [
        (StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    Ok(pairs
        .iter()
        .filter(|(has, _)| present.contains(*has))
        .map(|(_, flag)| *flag)
        .collect())
}

fn remount(target: &str, flags: MountFlags, data: &[String]) -> Result<()> {
    let data = joined(data)?;
    kernel::mount_remount(target, flags, data.as_c_str()).call("mount")
}

fn joined(data: &[String]) -> Result<CString> {
    CString::new(data.join(","))
        .map_err(|_| SysError::refused("EINVAL", "a mount option contains a zero byte"))
}
