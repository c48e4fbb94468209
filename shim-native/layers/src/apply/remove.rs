//! Removing what a layer hides or replaces.

use std::os::fd::OwnedFd;

use rustix::fs::{self, AtFlags, Dir};
use rustix::io::Errno;

use super::tree::open_directory;
use crate::error::{Context, Result};
use crate::path::{CleanPath, join};

/// Removes a file, or a directory with all that is in it. Nothing there is fine.
pub fn remove(parent: impl std::os::fd::AsFd, name: &[u8], path: &[u8]) -> Result<()> {
    match fs::unlinkat(&parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        error => return error.call("unlink", path),
    }
    let directory = open_directory(&parent, name).call("open", path)?;
    clear(&directory, path, &mut |_| false)?;
    fs::unlinkat(&parent, name, AtFlags::REMOVEDIR).call("rmdir", path)
}

/// Empties a directory of all whose path `keep` does not want. A directory that is kept is emptied the same way.
pub fn clear(directory: &OwnedFd, path: &[u8], keep: &mut dyn FnMut(&[u8]) -> bool) -> Result<()> {
    // Explicit levels: depth comes from an archive.
    let mut levels = vec![Level::open(directory, path)?];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.names.pop() else {
            levels.pop().expect("there is one").close(levels.last())?;
            continue;
        };
        let child = join(&level.path, &name);
        let kept = keep(&child);
        let unlinked = if kept {
            Err(Errno::ISDIR)
        } else {
            fs::unlinkat(&level.fd, name.as_slice(), AtFlags::empty())
        };
        match unlinked {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => match open_directory(&level.fd, &name) {
                Ok(fd) => {
                    let below = Level {
                        doomed: (!kept).then_some(name),
                        ..Level::open(&fd, &child)?
                    };
                    levels.push(below);
                }
                Err(Errno::NOTDIR | Errno::LOOP) if kept => {}
                error => return error.map(drop).call("open", &child),
            },
            error => return error.call("unlink", &child),
        }
    }
    Ok(())
}

struct Level {
    fd: OwnedFd,
    path: CleanPath,
    names: Vec<Vec<u8>>,
    /// Its name, when it is to be removed once it is empty.
    doomed: Option<Vec<u8>>,
}

impl Level {
    fn open(directory: &OwnedFd, path: &[u8]) -> Result<Self> {
        let fd = open_directory(directory, b".").call("open", path)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd).call("getdents64", path)? {
            let name = entry.call("getdents64", path)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        Ok(Self {
            fd,
            path: path.to_vec(),
            names,
            doomed: None,
        })
    }

    fn close(self, above: Option<&Level>) -> Result<()> {
        match (self.doomed, above) {
            (Some(name), Some(above)) => {
                fs::unlinkat(&above.fd, name.as_slice(), AtFlags::REMOVEDIR).call("rmdir", &self.path)
            }
            _ => Ok(()),
        }
    }
}
