//! Calls on files that Node has no function for.

use std::fs::File;
use std::os::fd::IntoRawFd;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rustix::fs::{self, CWD, FileType, Mode, OFlags, RenameFlags, ResolveFlags};

use crate::error::{Context, SysError};
use crate::thread::promise;

#[napi]
pub fn mknod(env: &Env, path: String, mode: u32, major: u32, minor: u32) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let permissions = Mode::from_raw_mode(mode & 0o7777);
        fs::mknodat(
            CWD,
            &path,
            FileType::from_raw_mode(mode),
            permissions,
            fs::makedev(major, minor),
        )
        .call_on("mknod", &path)?;
        // The umask of the process took its part of the permissions; give it back.
        fs::chmod(&path, permissions).call_on("chmod", &path)
    })
}

#[napi]
pub fn renameat2(env: &Env, from: String, to: String, flags: u32) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let flags = RenameFlags::from_bits(flags)
            .ok_or_else(|| SysError::refused("EINVAL", format!("renameat2: unknown flags {flags:#x}")))?;
        fs::renameat_with(CWD, &from, CWD, &to, flags)
            .call_on("renameat2", &from)
            .map_err(|e| e.dest(&to))
    })
}

#[napi]
pub fn syncfs(env: &Env, path: String) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let file = File::open(&path).call_on("open", &path)?;
        fs::syncfs(&file).call_on("syncfs", &path)
    })
}

#[napi]
pub fn fsync_dir(env: &Env, path: String) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::open(&path, flags, Mode::empty()).call_on("open", &path)?;
        fs::fsync(&directory).call_on("fsync", &path)
    })
}

/// Opens `path` as a process whose root directory is `root` would: no symbolic link leads out, whoever
/// changes one meanwhile (openat2(2), RESOLVE_IN_ROOT). Answers a descriptor that the caller closes.
#[napi]
pub fn open_in_root(
    env: &Env,
    root: String,
    path: String,
    flags: u32,
    mode: u32,
) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let top = fs::open(
            &root,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .call_on("open", &root)?;
        let flags = OFlags::from_bits_retain(flags) | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let inside = if path.is_empty() { "." } else { path.as_str() };
        let file =
            fs::openat2(&top, inside, flags, Mode::from_raw_mode(mode), resolve).call_on("openat2", &path)?;
        Ok(file.into_raw_fd())
    })
}
