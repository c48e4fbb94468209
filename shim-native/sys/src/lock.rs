//! flock(2): a lock that ends with its holder, however that ends.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{Context, Result};
use crate::thread::promise_with;

/// A held lock.
#[napi]
pub struct FileLock {
    file: RefCell<Option<File>>,
}

#[napi]
impl FileLock {
    /// Idempotent.
    #[napi]
    pub fn release(&self) {
        self.file.borrow_mut().take();
    }
}

#[napi]
pub fn lock_file(env: &Env, path: String, shared: bool, wait: bool) -> napi::Result<Object<'_>> {
    let convert = |_: &Env, file: Option<File>| {
        Ok(file.map(|file| FileLock {
            file: RefCell::new(Some(file)),
        }))
    };
    promise_with(env, move || lock(&path, shared, wait), convert)
}

/// `None`: somebody else holds it and we were not to wait.
fn lock(path: &str, shared: bool, wait: bool) -> Result<Option<File>> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let file = options.open(path).call_on("open", path)?;
    let operation = match (shared, wait) {
        (false, false) => FlockOperation::NonBlockingLockExclusive,
        (false, true) => FlockOperation::LockExclusive,
        (true, false) => FlockOperation::NonBlockingLockShared,
        (true, true) => FlockOperation::LockShared,
    };
    loop {
        match flock(&file, operation) {
            Ok(()) => return Ok(Some(file)),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            error => return error.map(|()| None).call_on("flock", path),
        }
    }
}
