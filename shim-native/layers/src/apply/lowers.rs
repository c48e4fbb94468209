//! The read-only directories under an overlay upper directory: what a path shows when the upper has nothing there.

use std::os::fd::OwnedFd;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::overlay::{Marks, is_whiteout};
use crate::error::{Context, Result};
use crate::merged::{Layers, Shown};
use crate::path::{join, split};

/// Topmost first.
pub struct Lowers {
    roots: Vec<OwnedFd>,
    marks: Marks,
}

/// A file seen through the lower layers.
pub struct Found {
    /// The directory that holds it, in the layer it comes from.
    pub parent: OwnedFd,
    pub name: Vec<u8>,
    pub stat: Stat,
}

impl Found {
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    pub fn read_link(&self) -> Result<Vec<u8>> {
        let target = fs::readlinkat(&self.parent, self.name.as_slice(), Vec::new());
        target
            .map(|target| target.into_bytes())
            .call("readlink", &self.name)
    }

    /// Opens a file or directory for reading.
    pub fn open(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        fs::openat(&self.parent, self.name.as_slice(), flags, Mode::empty()).call("open", &self.name)
    }
}

/// What one layer says about a path.
enum Verdict {
    Here(Found),
    /// This layer has nothing; the next one may.
    Below,
    /// A whiteout, an opaque directory or a non-directory hides what is below.
    Hidden,
    /// A directory on the way continues below under another name.
    Elsewhere,
}

impl Lowers {
    pub fn new(roots: Vec<OwnedFd>, marks: Marks) -> Self {
        Self { roots, marks }
    }

    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// `path` without symbolic links in it, except as last component, which is not followed.
    pub fn find(&self, path: &[u8]) -> Result<Option<Found>> {
        for root in &self.roots {
            match self.look(root, path)? {
                Verdict::Here(found) => return Ok(Some(found)),
                Verdict::Below => {}
                Verdict::Hidden => return Ok(None),
                Verdict::Elsewhere => return self.find_merged(path),
            }
        }
        Ok(None)
    }

    /// The thorough way, which opens every layer's part of each directory: for layers with renamed directories.
    fn find_merged(&self, path: &[u8]) -> Result<Option<Found>> {
        let roots = self
            .roots
            .iter()
            .map(OwnedFd::try_clone)
            .collect::<std::io::Result<_>>();
        let layers = Layers::of(roots.call("dup", path)?, self.marks);
        let found = |directory: &OwnedFd, name: Vec<u8>| {
            let parent = directory.try_clone().call("dup", path)?;
            let stat = fs::statat(&parent, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW).call("stat", path)?;
            Ok(Some(Found { parent, name, stat }))
        };
        match layers.walk(0, path, path)? {
            Shown::Nothing => Ok(None),
            Shown::File { holder, name } => match holder.first() {
                Some(top) => found(&top.directory, name),
                None => Ok(None),
            },
            Shown::Directory(stack) => match stack.first() {
                Some(top) => found(&top.directory, b".".to_vec()),
                None => Ok(None),
            },
        }
    }

    fn look(&self, root: &OwnedFd, path: &[u8]) -> Result<Verdict> {
        let (parents, name) = split(path);
        let mut directory = open_directory(root, b".").call("open", path)?;
        let mut hides = false;
        for component in parents
            .split(|byte| *byte == b'/')
            .filter(|component| !component.is_empty())
        {
            directory = match open_directory(&directory, component) {
                Ok(child) => child,
                Err(Errno::NOENT) if hides => return Ok(Verdict::Hidden),
                Err(Errno::NOENT) => return Ok(Verdict::Below),
                Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Verdict::Hidden),
                error => return error.map(|_| Verdict::Hidden).call("open", path),
            };
            if self.marks.redirect(&directory, path)?.is_some() {
                return Ok(Verdict::Elsewhere);
            }
            hides |= self.marks.is_opaque(&directory, path)?;
        }
        match fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_whiteout(&stat) => Ok(Verdict::Hidden),
            Ok(stat) => Ok(Verdict::Here(Found {
                parent: directory,
                name: name.to_vec(),
                stat,
            })),
            Err(Errno::NOENT) if hides => Ok(Verdict::Hidden),
            Err(Errno::NOENT) => Ok(Verdict::Below),
            error => error.map(|_| Verdict::Hidden).call("stat", path),
        }
    }

    /// Names in the merged root directory.
    pub fn root_names(&self) -> Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        for root in &self.roots {
            let directory = open_directory(root, b".").call("open", b"/")?;
            for entry in fs::Dir::new(directory).call("getdents64", b"/")? {
                let name = entry.call("getdents64", b"/")?.file_name().to_bytes().to_vec();
                if name != b"."
                    && name != b".."
                    && !names.contains(&name)
                    && self.find(&join(b"", &name))?.is_some()
                {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }
}

fn open_directory(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(parent, name, flags, Mode::empty())
}
