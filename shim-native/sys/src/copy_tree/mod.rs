//! A directory tree copied with everything a container can notice: owners, modes, times, extended attributes (file
//! capabilities and ACLs among them), hard links, links, FIFOs, sockets, devices, holes.

mod attributes;
mod content;
mod walk;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::layer::CancelToken;
use crate::thread::promise;

#[napi(object)]
pub struct CopyResult {
    pub inodes: i64,
    pub bytes: i64,
    pub cloned_files: i64,
    pub skipped_xattrs: i64,
}

/// Figures of a copy; bytes are those really copied, not those shared.
#[derive(Default)]
struct Tally {
    inodes: u64,
    bytes: u64,
    cloned_files: u64,
    skipped_xattrs: u64,
}

#[napi]
pub fn copy_tree<'env>(
    env: &'env Env,
    from: String,
    to: String,
    cancel: &CancelToken,
) -> napi::Result<Object<'env>> {
    let stop: Arc<AtomicBool> = cancel.flag();
    promise(env, move || {
        let tally = walk::copy(&from, &to, stop)?;
        Ok(CopyResult {
            inodes: tally.inodes as i64,
            bytes: tally.bytes as i64,
            cloned_files: tally.cloned_files as i64,
            skipped_xattrs: tally.skipped_xattrs as i64,
        })
    })
}
