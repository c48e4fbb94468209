//! Subvolumes of btrfs: ioctl(2) requests of `linux/btrfs.h`, told in whole operations.

mod ioctl;
mod quota;
mod remove;
mod search;
mod usage;

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rustix::fs::{self, CWD, Mode, OFlags};

use crate::error::{Context, Result, SysError};
use crate::thread::promise;
use ioctl::{SubvolInfo, VolArgs};

#[napi(object)]
pub struct SubvolumeInfo {
    pub id: i64,
    pub read_only: bool,
    pub generation: i64,
    pub created_generation: i64,
}

#[napi]
pub fn create_subvolume(env: &Env, path: String) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let (parent, name) = open_parent(&path)?;
        let mut args = VolArgs::named(name).ok_or_else(|| name_too_long(&path))?;
        ioctl::call(&parent, ioctl::SUBVOL_CREATE_V2, &mut args)
            .call_on("BTRFS_IOC_SUBVOL_CREATE_V2", &path)?;
        // Unlike a snapshot, it is not durable by itself on every kernel.
        fs::fsync(&parent).call_on("fsync", &path)
    })
}

#[napi]
pub fn snapshot_subvolume(
    env: &Env,
    source: String,
    path: String,
    read_only: bool,
) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let from = open_directory(&source)?;
        let (parent, name) = open_parent(&path)?;
        let mut args = VolArgs::named(name).ok_or_else(|| name_too_long(&path))?;
        args.fd = from.as_raw_fd().into();
        args.flags = if read_only { ioctl::SUBVOL_RDONLY } else { 0 };
        ioctl::call(&parent, ioctl::SNAP_CREATE_V2, &mut args)
            .call_on("BTRFS_IOC_SNAP_CREATE_V2", &source)
            .map_err(|error| error.dest(&path))
    })
}

#[napi]
pub fn remove_subvolume(env: &Env, path: String) -> napi::Result<Object<'_>> {
    promise(env, move || remove::with_all_inside(&path))
}

#[napi]
pub fn subvolume_info(env: &Env, path: String) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let info = info_of(&open_directory(&path)?, &path)?;
        Ok(SubvolumeInfo {
            id: info.id as i64,
            read_only: info.flags & ioctl::ROOT_RDONLY != 0,
            generation: info.generation as i64,
            created_generation: info.otransid as i64,
        })
    })
}

#[napi]
pub fn set_subvolume_read_only(env: &Env, path: String, read_only: bool) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let subvolume = open_directory(&path)?;
        let mut flags = 0_u64;
        ioctl::call(&subvolume, ioctl::SUBVOL_GETFLAGS, &mut flags)
            .call_on("BTRFS_IOC_SUBVOL_GETFLAGS", &path)?;
        let wanted = if read_only {
            flags | ioctl::SUBVOL_RDONLY
        } else {
            flags & !ioctl::SUBVOL_RDONLY
        };
        if wanted == flags {
            return Ok(());
        }
        let mut wanted = wanted;
        ioctl::call(&subvolume, ioctl::SUBVOL_SETFLAGS, &mut wanted)
            .call_on("BTRFS_IOC_SUBVOL_SETFLAGS", &path)
    })
}

fn info_of(subvolume: &OwnedFd, path: &str) -> Result<SubvolInfo> {
    let mut info = SubvolInfo::default();
    ioctl::call(subvolume, ioctl::GET_SUBVOL_INFO, &mut info).call_on("BTRFS_IOC_GET_SUBVOL_INFO", path)?;
    Ok(info)
}

fn open_directory(path: impl AsRef<Path>) -> Result<OwnedFd> {
    let path = path.as_ref();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(CWD, path, flags, Mode::empty()).call_on("open", path)
}

/// The directory that holds (or will hold) `path`, and the name in it.
fn open_parent(path: &str) -> Result<(OwnedFd, &[u8])> {
    let whole = Path::new(path);
    match (whole.parent(), whole.file_name().map(OsStr::as_bytes)) {
        (Some(parent), Some(name)) => Ok((open_directory(parent)?, name)),
        _ => Err(SysError::refused(
            "EINVAL",
            format!("'{path}' cannot be a subvolume's path: it needs a parent directory and a name"),
        )),
    }
}

fn name_too_long(path: &str) -> SysError {
    SysError::errno("ioctl", libc::ENAMETOOLONG).path(path)
}
