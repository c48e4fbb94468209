//! Taking mounts away, so that afterwards nothing is mounted at the path.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rustix::io::Errno;
use rustix::mount::{self as kernel, UnmountFlags};

use crate::error::{Context, Result};
use crate::thread::promise;

/// A process that has just ended may hold its mount for a moment more.
const BUSY_FOR: Duration = Duration::from_millis(500);
const BUSY_STEP: Duration = Duration::from_millis(20);

#[napi(object)]
pub struct UnmountOptions {
    pub detach: Option<bool>,
    pub recursive: Option<bool>,
}

#[napi]
pub fn unmount(env: &Env, path: String, options: UnmountOptions) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let mut flags = UnmountFlags::NOFOLLOW;
        flags.set(UnmountFlags::DETACH, options.detach.unwrap_or(false));
        if options.recursive.unwrap_or(false) {
            for below in mounts_below(Path::new(&path))? {
                unmount_all(&below, flags)?;
            }
        }
        unmount_all(Path::new(&path), flags)
    })
}

/// Unmounts until the kernel says that `path` is no mount point (EINVAL) or is not there.
fn unmount_all(path: &Path, flags: UnmountFlags) -> Result<()> {
    let give_up = Instant::now() + BUSY_FOR;
    loop {
        match kernel::unmount(path, flags) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY) if Instant::now() < give_up => std::thread::sleep(BUSY_STEP),
            error => return error.call_on("umount2", path),
        }
    }
}

/// Mount points strictly below `path`, the last mounted first, so that children come before their parents.
fn mounts_below(path: &Path) -> Result<Vec<PathBuf>> {
    let Ok(root) = path.canonicalize() else {
        return Ok(Vec::new());
    };
    let table = std::fs::read_to_string("/proc/thread-self/mountinfo")
        .call_on("read", "/proc/thread-self/mountinfo")?;
    let points = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(unescape(point)));
    let mut below: Vec<PathBuf> = points
        .filter(|point| point.starts_with(&root) && *point != root)
        .collect();
    below.reverse();
    Ok(below)
}

/// mountinfo writes space, tab, newline and backslash as three octal digits: proc(5).
fn unescape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        let code = rest
            .get(at + 1..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        text.push_str(&rest[..at]);
        text.push(code.map_or('\\', char::from));
        rest = &rest[at + if code.is_some() { 4 } else { 1 }..];
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn octal_escapes_are_resolved() {
        assert_eq!(unescape(r"/a\040b\134c\011"), "/a b\\c\t");
        assert_eq!(unescape("/plain"), "/plain");
    }
}
