//! `delete`: cleans up after a shim that is dead or was never there. Safe to run at any time, repeatedly.

use crate::args::Args;
use crate::proto::containerd::task::v3::DeleteResponse;
use crate::{log, start};
use prost::Message;
use prost_types::Timestamp;
use rustix::mount::{UnmountFlags, unmount};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// 128 + SIGKILL: what is left of the container gets killed.
const KILLED: u32 = 137;

/// Kills and removes whatever is left of the container and prints how it ended.
pub fn delete(args: &Args) -> Result<(), String> {
    let bundle = bundle(args)?;
    log::open(&bundle, &args.namespace, &args.id, args.debug);
    // Orphans of a dead shim may fall to us while hooks run.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let cleaned =
        gantry_runtime::cleanup(&bundle, &args.id).map_err(|e| format!("container {}: {e}", args.id))?;
    for warning in &cleaned.warnings {
        log::warning!("delete: {}: {}", warning.step.label(), warning.message);
    }
    unmount_all(&bundle.join("rootfs"));
    remove_socket(&bundle);
    let response = DeleteResponse {
        pid: cleaned.init_pid.unwrap_or(0) as u32,
        exit_status: KILLED,
        exited_at: Some(Timestamp::from(SystemTime::now())),
    };
    start::print(&response.encode_to_vec())
}

/// Where the bundle of `-id` lies: `-bundle`, or the directory of that name beside the working directory
/// (which, when the daemon starts us, is the same as the working directory).
fn bundle(args: &Args) -> Result<PathBuf, String> {
    let here = start::bundle(args)?;
    if !args.bundle.is_empty() || here.file_name().is_some_and(|name| name == args.id.as_str()) {
        return Ok(here);
    }
    let beside = here.with_file_name(&args.id);
    Ok(if beside.join("config.json").exists() {
        beside
    } else {
        here
    })
}

/// Peels every mount off `path`.
fn unmount_all(path: &Path) {
    while unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_ok() {}
}

/// Removes the socket unless a shim still answers there (it may serve others of its group).
fn remove_socket(bundle: &Path) {
    let Ok(address) = std::fs::read_to_string(bundle.join("address")) else {
        return;
    };
    let path = Path::new(address.strip_prefix("unix://").unwrap_or(&address));
    if UnixStream::connect(path).is_err() {
        let _ = std::fs::remove_file(path);
    }
}
