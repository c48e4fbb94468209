//! Deleting a whole tree by descriptors: names may nest deeper than a path can tell, and no link is followed.

use std::os::fd::OwnedFd;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Context, Result};
use crate::thread::promise;

/// Open directories at a time. What lies deeper is first moved up to the top.
const MAX_OPEN: usize = 128;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

#[napi]
pub fn remove_tree(env: &Env, path: String) -> napi::Result<Object<'_>> {
    promise(env, move || remove(&path))
}

/// A missing one is success; so is a file.
fn remove(path: &str) -> Result<()> {
    let top = match fs::openat(CWD, path, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => return unlinked(CWD, path.as_bytes()).call_on("unlink", path),
        top => top.call_on("open", path)?,
    };
    // Emptying may bring new entries to the top; the second round finds nothing but those.
    let mut moved = 0;
    while !empty(&top, &mut moved).call_on("rmdir", path)? {}
    match fs::unlinkat(CWD, path, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        outcome => outcome.call_on("rmdir", path),
    }
}

/// Open directories, each with its name in the one above.
type Levels = Vec<(Dir, Vec<u8>)>;

/// False when something was moved up and is left. `moved` counts on, so that no name is used twice.
fn empty(top: &OwnedFd, moved: &mut u32) -> rustix::io::Result<bool> {
    let mut levels: Levels = vec![(Dir::read_from(top)?, Vec::new())];
    let before = *moved;
    while let depth @ 1.. = levels.len() {
        let (directory, _) = &mut levels[depth - 1];
        let Some(entry) = directory.next() else {
            leave(&mut levels)?;
            continue;
        };
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let parent = directory.fd()?;
        if entry.file_type() != FileType::Directory && !is_directory(parent, name)? {
            unlinked(parent, name)?;
        } else if depth < MAX_OPEN {
            let child = fs::openat(parent, name, DIRECTORY, Mode::empty())?;
            let name = name.to_vec();
            levels.push((Dir::new(child)?, name));
        } else {
            *moved += 1;
            fs::renameat(parent, name, top, format!(".deep-{}-{moved}", std::process::id()))?;
        }
    }
    Ok(*moved == before)
}

fn leave(levels: &mut Levels) -> rustix::io::Result<()> {
    let Some((left, name)) = levels.pop() else {
        return Ok(());
    };
    drop(left);
    match levels.last() {
        Some((parent, _)) => match fs::unlinkat(parent.fd()?, &name, AtFlags::REMOVEDIR) {
            Err(Errno::NOENT) => Ok(()),
            outcome => outcome,
        },
        None => Ok(()),
    }
}

fn is_directory(parent: impl std::os::fd::AsFd, name: &[u8]) -> rustix::io::Result<bool> {
    match fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(false),
        stat => Ok(FileType::from_raw_mode(stat?.st_mode) == FileType::Directory),
    }
}

fn unlinked(parent: impl std::os::fd::AsFd, name: &[u8]) -> rustix::io::Result<()> {
    match fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        outcome => outcome,
    }
}
