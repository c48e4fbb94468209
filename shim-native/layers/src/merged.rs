//! A stack of directories as overlayfs shows it: whiteouts, opaque directories, redirects (a directory, or a file
//! without data, that continues below under another name) and files whose data lies below (metacopy).
//! Kernel documentation: filesystems/overlayfs.rst.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{self, AtFlags, FileType};
use rustix::io::Errno;

use crate::apply::{Marks, is_whiteout, open_directory, open_root};
use crate::error::{Context, LayerError, Result};

/// A chain of redirects longer than this leads in circles.
const MAX_REDIRECTS: usize = 512;

/// A directory of one layer; 0 is the topmost.
#[derive(Clone)]
pub struct Part {
    layer: usize,
    pub directory: Rc<OwnedFd>,
}

/// The directories that are merged into one, topmost first.
pub type Stack = Vec<Part>;

pub struct Layers {
    roots: Stack,
    marks: Marks,
}

/// What a name shows.
pub enum Shown {
    Nothing,
    /// Anything but a directory: the name it has in the layer it comes from, and how that layer's directory is merged
    /// with those below it.
    File {
        holder: Stack,
        name: Vec<u8>,
    },
    Directory(Stack),
}

impl Layers {
    /// `directories`: topmost first.
    pub fn open<'p>(directories: impl IntoIterator<Item = &'p Path>, marks: Marks) -> Result<Self> {
        let part = |(layer, path)| {
            Ok(Part {
                layer,
                directory: Rc::new(open_root(path)?),
            })
        };
        let roots = directories
            .into_iter()
            .enumerate()
            .map(part)
            .collect::<Result<_>>()?;
        Ok(Self { roots, marks })
    }

    /// The same of directories that are open.
    pub fn of(directories: Vec<OwnedFd>, marks: Marks) -> Self {
        let part = |(layer, directory)| Part {
            layer,
            directory: Rc::new(directory),
        };
        let roots = directories.into_iter().enumerate().map(part).collect();
        Self { roots, marks }
    }

    pub fn is_single(&self) -> bool {
        self.roots.len() == 1
    }

    pub fn root(&self) -> Stack {
        self.roots.clone()
    }

    /// What `name` shows in a merged directory.
    pub fn find(&self, holder: &[Part], name: &[u8], path: &[u8]) -> Result<Shown> {
        let mut merged = Stack::new();
        let mut name = name.to_vec();
        for (at, part) in holder.iter().enumerate() {
            let stat = match fs::statat(&part.directory, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                stat => stat.call("stat", path)?,
            };
            let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if is_whiteout(&stat) || !is_directory && !merged.is_empty() {
                break;
            }
            if !is_directory {
                let holder = holder[at..].to_vec();
                return Ok(Shown::File { holder, name });
            }
            let directory = Rc::new(open_directory(&part.directory, &name).call("open", path)?);
            let (opaque, redirect) = (
                self.marks.is_opaque(&directory, path)?,
                self.marks.redirect(&directory, path)?,
            );
            let layer = part.layer;
            merged.push(Part { layer, directory });
            match redirect {
                _ if opaque => break,
                Some(target) if target.starts_with(b"/") => {
                    if let Shown::Directory(below) = self.walk(layer + 1, &target, path)? {
                        merged.extend(below);
                    }
                    break;
                }
                Some(sibling) => name = sibling,
                None => {}
            }
        }
        Ok(if merged.is_empty() {
            Shown::Nothing
        } else {
            Shown::Directory(merged)
        })
    }

    /// What an absolute name shows when only `layer` and those below it are merged.
    pub fn walk(&self, layer: usize, target: &[u8], path: &[u8]) -> Result<Shown> {
        let mut shown = Shown::Directory(self.roots.get(layer..).unwrap_or_default().to_vec());
        for component in target.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
            shown = match shown {
                Shown::Directory(holder) if component != b".." && component != b"." => {
                    self.find(&holder, component, path)?
                }
                _ => return Ok(Shown::Nothing),
            };
        }
        Ok(shown)
    }

    /// Where the data of a file lies: itself, or with `metacopy` a file further below.
    pub fn data_of(&self, holder: Stack, name: Vec<u8>, path: &[u8]) -> Result<(Rc<OwnedFd>, Vec<u8>)> {
        let (mut holder, mut name) = (holder, name);
        for _ in 0..MAX_REDIRECTS {
            let Some(top) = holder.first().cloned() else { break };
            if !self.marks.is_metacopy(&top.directory, &name, path)? {
                return Ok((top.directory, name));
            }
            let next = match self.marks.redirect_of(&top.directory, &name, path)? {
                Some(target) if target.starts_with(b"/") => self.walk(top.layer + 1, &target, path)?,
                Some(sibling) => self.find(&holder[1..], &sibling, path)?,
                None => self.find(&holder[1..], &name, path)?,
            };
            match next {
                Shown::File {
                    holder: below,
                    name: found,
                    ..
                } => (holder, name) = (below, found),
                _ => break,
            }
        }
        Err(LayerError::archive(format!(
            "'{}' has its data in a lower layer, where it is not: are these its layers?",
            String::from_utf8_lossy(path)
        )))
    }
}
