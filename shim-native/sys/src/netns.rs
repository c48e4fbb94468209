//! Network namespaces pinned to files: network_namespaces(7).

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rustix::io::Errno;
use rustix::mount::{self, UnmountFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::error::{Context, Result, SysError};
use crate::netlink::bring_up_loopback;
use crate::thread::promise;

/// `f_type` of a namespace file in statfs(2): NSFS_MAGIC of linux/magic.h.
const NSFS_MAGIC: i64 = 0x6e73_6673;

#[napi]
pub fn create_netns(env: &Env, pin_path: String) -> napi::Result<Object<'_>> {
    promise(env, move || create(&pin_path))
}

#[napi]
pub fn remove_netns(env: &Env, pin_path: String) -> napi::Result<Object<'_>> {
    promise(env, move || remove(&pin_path))
}

/// Leaves the calling thread in the new namespace.
fn create(pin_path: &str) -> Result<()> {
    let made = match OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o444)
        .open(pin_path)
    {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
        error => return error.map(drop).call_on("open", pin_path),
    };
    if !made && is_pinned(pin_path)? {
        return Ok(());
    }
    let outcome = pin_new(pin_path);
    if outcome.is_err() && made {
        let _ = fs::remove_file(pin_path);
    }
    outcome
}

fn pin_new(pin_path: &str) -> Result<()> {
    // SAFETY: CLONE_NEWNET concerns this thread alone, which ends after this call.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.call("unshare")?;
    bring_up_loopback()?;
    mount::mount_bind("/proc/thread-self/ns/net", pin_path).call_on("mount", pin_path)
}

fn is_pinned(path: &str) -> Result<bool> {
    Ok(rustix::fs::statfs(path).call_on("statfs", path)?.f_type == NSFS_MAGIC)
}

fn remove(pin_path: &str) -> Result<()> {
    loop {
        match mount::unmount(pin_path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT) => break,
            error => return error.call_on("umount2", pin_path),
        }
    }
    match fs::remove_file(pin_path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).call_on("unlink", pin_path),
        _ => Ok(()),
    }
}

/// Moves the calling thread into the namespace at `path`. The thread should end afterwards.
pub fn enter(path: &str) -> Result<()> {
    let file = File::open(path).call_on("open", path)?;
    rustix::thread::move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map_err(
        |errno| match errno {
            Errno::INVAL => SysError {
                syscall: Some("setns"),
                ..SysError::refused("EINVAL", "not a network namespace")
            }
            .path(path),
            _ => SysError::errno("setns", errno.raw_os_error()).path(path),
        },
    )
}
