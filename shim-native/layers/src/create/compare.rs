//! The layer that leads from one tree to another.

use std::os::fd::OwnedFd;

use super::node::{Node, names};
use super::writer::Writer;
use crate::error::Result;

/// Compares as it goes. Directories that did not change are written only when something in them did.
pub struct Comparison<'a> {
    pub writer: &'a mut Writer,
}

/// Directories on the way down that have not been written yet.
type Pending<'p> = Vec<&'p Node<'p>>;

impl Comparison<'_> {
    pub fn run(&mut self, lower: Option<&OwnedFd>, upper: &OwnedFd) -> Result<()> {
        self.children(lower, upper, b"", &[])
    }

    fn children(
        &mut self,
        lower: Option<&OwnedFd>,
        upper: &OwnedFd,
        path: &[u8],
        above: &[&Node<'_>],
    ) -> Result<()> {
        let mut pending: Pending<'_> = above.to_vec();
        let mut all = names(upper, path)?;
        all.extend(lower.map_or(Ok(Vec::new()), |lower| names(lower, path))?);
        all.sort();
        all.dedup();
        for name in all {
            let before = lower.map_or(Ok(None), |lower| Node::find(lower, &name, path))?;
            match (before, Node::find(upper, &name, path)?) {
                (before, Some(after)) => self.both(before.as_ref(), &after, &mut pending)?,
                (Some(_), None) => {
                    self.flush(&mut pending)?;
                    self.writer.whiteout(path, &name)?;
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn both(&mut self, before: Option<&Node<'_>>, after: &Node<'_>, pending: &mut Pending<'_>) -> Result<()> {
        let changed = before.map_or(Ok(true), |before| differ(before, after))?;
        if changed {
            self.flush(pending)?;
            self.writer.node(after)?;
        }
        if !after.is_directory() {
            return Ok(());
        }
        let below = before
            .filter(|before| before.is_directory())
            .map(Node::open_directory)
            .transpose()?;
        let mut way = pending.clone();
        if !changed {
            way.push(after);
        }
        let entries = self.writer.entries;
        self.children(below.as_ref(), &after.open_directory()?, &after.path, &way)?;
        if self.writer.entries > entries {
            // Something below was written, and with it all that was pending.
            pending.clear();
        }
        Ok(())
    }

    fn flush(&mut self, pending: &mut Pending<'_>) -> Result<()> {
        pending
            .drain(..)
            .try_for_each(|directory| self.writer.node(directory))
    }
}

/// Contents are not read: a file whose time (to the nanosecond), size and attributes stayed is taken as the same.
fn differ(before: &Node<'_>, after: &Node<'_>) -> Result<bool> {
    let (old, new) = (&before.stat, &after.stat);
    if before.inode() == after.inode() {
        return Ok(false);
    }
    let shape = |stat: &rustix::fs::Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev);
    if shape(old) != shape(new) || before.xattrs()? != after.xattrs()? {
        return Ok(true);
    }
    let time = |stat: &rustix::fs::Stat| (stat.st_mtime, stat.st_mtime_nsec);
    Ok(match before.kind() {
        // A directory's time changes with its entries, which are compared themselves.
        rustix::fs::FileType::Directory => false,
        rustix::fs::FileType::Symlink => before.link()? != after.link()?,
        rustix::fs::FileType::RegularFile => old.st_size != new.st_size || time(old) != time(new),
        _ => time(old) != time(new),
    })
}
