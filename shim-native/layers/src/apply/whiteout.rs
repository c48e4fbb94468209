//! What a layer takes away: OCI image specification, layer.md, "Whiteouts".
//!
//! Whiteouts concern the layers below only: what this layer put there itself stays, in whatever order
//! the archive has them.

use rustix::fs::{self, AtFlags, FileType};
use rustix::io::Errno;

use super::Applier;
use super::overlay::make_whiteout;
use super::remove::clear;
use super::tree::open_directory;
use crate::error::{Context, LayerError, Result};
use crate::path::join;

const PREFIX: &[u8] = b".wh.";
/// AUFS' own files and, of those, the one that says "nothing below shows in this directory".
const META_PREFIX: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

impl Applier {
    /// Handles a name that is a whiteout, or lies in one of AUFS' directories. False: it is an ordinary name.
    pub fn whiteout(&mut self, above: &[u8], name: &[u8]) -> Result<bool> {
        if above
            .split(|byte| *byte == b'/')
            .any(|component| component.starts_with(META_PREFIX))
        {
            return Ok(true);
        }
        let Some(hidden) = name.strip_prefix(PREFIX) else {
            return Ok(false);
        };
        if name == OPAQUE {
            self.opaque(above)?;
        } else if matches!(hidden, b"" | b"." | b"..") {
            let what = format!("the whiteout '{}' names no file", String::from_utf8_lossy(name));
            return Err(LayerError::Unsafe { what, at: None });
        } else if !name.starts_with(META_PREFIX) {
            self.hide(above, hidden)?;
        }
        Ok(true)
    }

    /// Nothing of the layers below stays in the directory.
    fn opaque(&mut self, above: &[u8]) -> Result<()> {
        let directory = match self.tree.marks {
            None => match self.tree.existing_directory(above)? {
                Some(directory) => directory,
                None => return Ok(()),
            },
            Some(_) => self.tree.directory(above)?,
        };
        self.empty(&directory.path)?;
        if self.tree.marks.is_some() && directory.path.is_empty() {
            self.root_is_opaque = true;
        }
        Ok(())
    }

    /// Removes from a directory what this layer did not put there, and hides what is below it.
    fn empty(&mut self, path: &[u8]) -> Result<()> {
        let directory = self
            .tree
            .open_straight(path)
            .ok_or(Errno::NOTDIR)
            .call("open", path)?;
        let unpacked = &self.unpacked;
        clear(&directory, path, &mut |child| unpacked.contains(child))?;
        self.tree.forget();
        match self.tree.marks {
            // The root of an overlay cannot be opaque; see `hide_lower_root`.
            Some(marks) if !path.is_empty() => {
                marks.set_opaque(&directory, path)?;
                self.mark_unpacked(path.to_vec());
            }
            _ => {}
        }
        Ok(())
    }

    /// The name no longer shows what the layers below have there.
    fn hide(&mut self, above: &[u8], name: &[u8]) -> Result<()> {
        let parent = match self.tree.marks {
            None => match self.tree.existing_directory(above)? {
                Some(parent) => parent,
                None => return Ok(()),
            },
            Some(_) => self.tree.directory(above)?,
        };
        let path = join(&parent.path, name);
        if self.unpacked.contains(&path) {
            let stat = fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).call("stat", &path)?;
            return match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => self.empty(&path),
                _ => Ok(()),
            };
        }
        self.remove(&parent, name, &path)?;
        if self.tree.marks.is_some() {
            make_whiteout(&parent, name, &path)?;
            self.mark_unpacked(parent.path.clone());
        }
        Ok(())
    }

    /// overlayfs always merges the roots, so an opaque root is spelled out: a whiteout for each name of the lower
    /// roots, an opaque mark on each directory that both have.
    pub fn hide_lower_root(&mut self) -> Result<()> {
        let Some(marks) = self.tree.marks else {
            return Ok(());
        };
        for name in self.tree.lowers.root_names()? {
            match fs::statat(self.tree.root(), name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => make_whiteout(self.tree.root(), &name, &name)?,
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                    let directory = open_directory(self.tree.root(), &name).call("open", &name)?;
                    marks.set_opaque(&directory, &name)?;
                }
                // A file hides the one below by itself.
                Ok(_) => {}
                error => return error.map(drop).call("stat", &name),
            }
        }
        Ok(())
    }
}
