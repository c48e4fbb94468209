//! The directory a layer is written to, and how names are found in it.
//!
//! A name is resolved one component at a time from an open directory, without following links: a symbolic link is
//! read and its target resolved the same way, from the root when it is absolute, and `..` stops at the root. So
//! nothing outside can be reached, whatever links the layer (or the one below) contains. The usual
//! case, no links in the way, is one openat2(2) that refuses links.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::copy_up::inherit;
use super::lowers::{Found, Lowers};
use super::overlay::{Marks, is_whiteout};
use crate::error::{Context, LayerError, Result};
use crate::path::{CleanPath, join};
use crate::tar::Time;

/// As many links in one name as the kernel follows: path_resolution(7).
const MAX_LINKS: u32 = 40;
/// Open directories kept. Archives are ordered by directory, so few are enough.
const CACHED: usize = 64;

/// An open directory of the target.
pub struct Directory {
    fd: OwnedFd,
    /// Where it really is: no links in it.
    pub path: CleanPath,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

pub struct Tree {
    root: OwnedFd,
    /// `None`: a plain directory. Then there are no lowers either.
    pub marks: Option<Marks>,
    pub lowers: Lowers,
    cache: HashMap<CleanPath, Rc<Directory>>,
    /// Times of directories made because something in them was needed, to be set at the end.
    pub inherited_times: Vec<(CleanPath, Time)>,
}

/// One directory on the way down.
struct Level {
    fd: OwnedFd,
    /// Whether the layers below show through here.
    merged: bool,
    length: usize,
}

impl Tree {
    pub fn new(root: OwnedFd, marks: Option<Marks>, lowers: Lowers) -> Self {
        Self {
            root,
            marks,
            lowers,
            cache: HashMap::new(),
            inherited_times: Vec::new(),
        }
    }

    pub fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Must be called when a directory or a symbolic link was removed or made: names may mean something else now.
    pub fn forget(&mut self) {
        self.cache.clear();
    }

    /// The directory that `path` names, made if it is missing (as the lower layers have it, or 0755 root:root).
    pub fn directory(&mut self, path: &[u8]) -> Result<Rc<Directory>> {
        match self.resolve(path, true)? {
            Some(directory) => Ok(directory),
            None => Err(Errno::NOENT).call("open", path),
        }
    }

    /// The directory that `path` names, if it is there. In an overlay one of the lower layers is copied up.
    pub fn existing_directory(&mut self, path: &[u8]) -> Result<Option<Rc<Directory>>> {
        self.resolve(path, false)
    }

    fn resolve(&mut self, path: &[u8], make: bool) -> Result<Option<Rc<Directory>>> {
        if let Some(known) = self.cache.get(path) {
            return Ok(Some(Rc::clone(known)));
        }
        let found = match self.open_straight(path) {
            Some(fd) => Some(Directory {
                fd,
                path: path.to_vec(),
            }),
            None => self.walk(path, make)?,
        };
        Ok(found.map(|directory| self.remember(path, directory)))
    }

    fn remember(&mut self, path: &[u8], directory: Directory) -> Rc<Directory> {
        if self.cache.len() >= CACHED {
            self.cache.clear();
        }
        let directory = Rc::new(directory);
        self.cache.insert(path.to_vec(), Rc::clone(&directory));
        directory
    }

    /// What the layers below show at `path` (free of links), when no directory of the tree itself hides it.
    pub fn shown_from_lower(&self, path: &[u8]) -> Result<Option<Found>> {
        let slashes = path
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| at);
        for above in slashes.map(|at| &path[..at]) {
            if let Some(directory) = self.open_straight(above)
                && self.hides_lowers(&directory, above)?
            {
                return Ok(None);
            }
        }
        self.lowers.find(path)
    }

    /// Directories all the way, in the target itself; anything else is left to [`Tree::walk`].
    pub fn open_straight(&self, path: &[u8]) -> Option<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        fs::openat2(&self.root, path, flags, Mode::empty(), resolve).ok()
    }

    fn walk(&mut self, path: &[u8], make: bool) -> Result<Option<Directory>> {
        let root = open_directory(&self.root, b".").call("open", path)?;
        let mut levels = vec![Level {
            fd: root,
            merged: !self.lowers.is_empty(),
            length: 0,
        }];
        let mut place = CleanPath::new();
        let mut links = 0;
        let mut todo: VecDeque<Vec<u8>> = components(path).collect();
        while let Some(name) = todo.pop_front() {
            if name == b".." {
                if levels.len() > 1 {
                    levels.pop();
                    place.truncate(levels[levels.len() - 1].length);
                }
                continue;
            }
            let here = levels.last().expect("the root is never popped");
            let child = join(&place, &name);
            match self.step(here, &name, &child, make)? {
                Step::Down(level) => {
                    levels.push(level);
                    place = child;
                }
                Step::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP).call("open", path);
                    }
                    if target.starts_with(b"/") {
                        levels.truncate(1);
                        place.clear();
                    }
                    components(&target)
                        .rev()
                        .for_each(|component| todo.push_front(component));
                }
                Step::Missing => return Ok(None),
            }
        }
        Ok(levels.pop().map(|level| Directory {
            fd: level.fd,
            path: place,
        }))
    }

    fn step(&mut self, here: &Level, name: &[u8], child: &[u8], make: bool) -> Result<Step> {
        match open_directory(&here.fd, name) {
            Ok(fd) => {
                let merged = here.merged && !self.hides_lowers(&fd, child)?;
                Ok(Step::Down(Level {
                    fd,
                    merged,
                    length: child.len(),
                }))
            }
            Err(Errno::NOENT) if here.merged => self.step_into_lower(here, name, child, make),
            Err(Errno::NOENT) if make => self.make(here, name, child).map(Step::Down),
            Err(Errno::NOENT) => Ok(Step::Missing),
            // A link gives ENOTDIR with O_DIRECTORY, ELOOP without.
            Err(Errno::NOTDIR | Errno::LOOP) => self.step_over(here, name, child, make),
            error => error.map(|_| Step::Missing).call("open", child),
        }
    }

    fn hides_lowers(&self, directory: &OwnedFd, path: &[u8]) -> Result<bool> {
        self.marks
            .map_or(Ok(false), |marks| marks.is_opaque(directory, path))
    }

    /// Something that is no directory is in the way.
    fn step_over(&mut self, here: &Level, name: &[u8], child: &[u8], make: bool) -> Result<Step> {
        let stat = fs::statat(&here.fd, name, AtFlags::SYMLINK_NOFOLLOW).call("stat", child)?;
        match (FileType::from_raw_mode(stat.st_mode), self.marks) {
            (FileType::Symlink, _) => {
                let target = fs::readlinkat(&here.fd, name, Vec::new()).call("readlink", child)?;
                Ok(Step::Link(target.into_bytes()))
            }
            (_, Some(marks)) if is_whiteout(&stat) => {
                if !make {
                    return Ok(Step::Missing);
                }
                fs::unlinkat(&here.fd, name, AtFlags::empty()).call("unlink", child)?;
                let level = self.make(here, name, child)?;
                marks.set_opaque(&level.fd, child)?;
                Ok(Step::Down(Level {
                    merged: false,
                    ..level
                }))
            }
            _ => Err(LayerError::archive(format!(
                "'{}' is not a directory",
                String::from_utf8_lossy(child)
            ))),
        }
    }

    fn step_into_lower(&mut self, here: &Level, name: &[u8], child: &[u8], make: bool) -> Result<Step> {
        match self.lowers.find(child)? {
            Some(found) if found.kind() == FileType::Symlink => found.read_link().map(Step::Link),
            Some(found) if found.kind() == FileType::Directory => {
                let level = Level {
                    merged: true,
                    ..self.make(here, name, child)?
                };
                let time = inherit(&found, &level.fd, child)?;
                self.inherited_times.push((child.to_vec(), time));
                Ok(Step::Down(level))
            }
            Some(_) => Err(LayerError::archive(format!(
                "'{}' is not a directory",
                String::from_utf8_lossy(child)
            ))),
            None if make => self.make(here, name, child).map(Step::Down),
            None => Ok(Step::Missing),
        }
    }

    fn make(&self, here: &Level, name: &[u8], child: &[u8]) -> Result<Level> {
        let mode = Mode::from_raw_mode(0o755);
        fs::mkdirat(&here.fd, name, mode).call("mkdir", child)?;
        let fd = open_directory(&here.fd, name).call("open", child)?;
        // mkdir honours the umask.
        fs::fchmod(&fd, mode).call("fchmod", child)?;
        Ok(Level {
            fd,
            merged: false,
            length: child.len(),
        })
    }
}

enum Step {
    Down(Level),
    Link(Vec<u8>),
    Missing,
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
}

pub fn open_directory(parent: impl AsFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(parent, name, flags, Mode::empty())
}
