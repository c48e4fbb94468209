//! The archive being written.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::node::Node;
use super::output::{Output, Written};
use crate::error::{LayerError, Result};
use crate::limits::Limits;
use crate::path::{CleanPath, join};
use crate::tar::{Entry, Kind, Time, headers};

pub struct Writer {
    output: Output,
    /// First name of each file that has several.
    linked: HashMap<(u64, u64), CleanPath>,
    pub entries: u64,
    latest: Option<Time>,
    cancel: Arc<AtomicBool>,
}

impl Writer {
    pub fn new(output: Output, latest: Option<Time>, cancel: Arc<AtomicBool>) -> Self {
        Self {
            output,
            linked: HashMap::new(),
            entries: 0,
            latest,
            cancel,
        }
    }

    /// Writes what the node is, but not what is in it.
    pub fn node(&mut self, node: &Node<'_>) -> Result<()> {
        self.node_with(node, |_| Ok(None))
    }

    /// `data` may name another file that has the node's content; asked only when it is to be read.
    pub fn node_with(
        &mut self,
        node: &Node<'_>,
        data: impl FnOnce(&Node<'_>) -> Result<Option<(Rc<OwnedFd>, Vec<u8>)>>,
    ) -> Result<()> {
        let Some(mut entry) = node.entry()? else {
            return Ok(());
        };
        if entry.kind != Kind::Directory && node.stat.st_nlink > 1 {
            if let Some(first) = self.linked.get(&node.inode()) {
                entry = Entry {
                    kind: Kind::HardLink,
                    link: first.clone(),
                    size: 0,
                    xattrs: Vec::new(),
                    ..entry
                };
            } else {
                self.linked.insert(node.inode(), node.path.clone());
            }
        }
        if let Some(latest) = self.latest {
            entry.mtime = entry.mtime.min(latest);
        }
        self.header(&entry)?;
        if entry.kind == Kind::File {
            match data(node)? {
                Some((parent, name)) => node.content_of(&parent, &name, |piece| self.data(piece))?,
                None => node.content_of(node.parent, &node.name, |piece| self.data(piece))?,
            }
            self.pad(entry.size)?;
        }
        Ok(())
    }

    /// The name is no longer there.
    pub fn whiteout(&mut self, above: &[u8], name: &[u8]) -> Result<()> {
        self.marker(join(above, &[b".wh.", name].concat()))
    }

    /// Nothing that was in the directory is there any more.
    pub fn opaque(&mut self, directory: &[u8]) -> Result<()> {
        self.marker(join(directory, b".wh..wh..opq"))
    }

    pub fn finish(mut self) -> Result<(Written, u64)> {
        self.output.write(&[0; 1024])?;
        let entries = self.entries;
        self.output.finish().map(|written| (written, entries))
    }

    fn marker(&mut self, path: CleanPath) -> Result<()> {
        self.header(&Entry {
            path,
            mode: 0o600,
            ..Entry::default()
        })
    }

    fn header(&mut self, entry: &Entry) -> Result<()> {
        let length = entry.path.len() as u64;
        if length > Limits::default().max_path_bytes {
            let name = String::from_utf8_lossy(&entry.path[..100]).into_owned();
            return Err(LayerError::limit(format!(
                "a name of {length} bytes ('{name}…'), too long to be unpacked again"
            )));
        }
        self.entries += 1;
        self.data(&headers(entry))
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(LayerError::Cancelled);
        }
        self.output.write(bytes)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let padding = size.wrapping_neg() % 512;
        self.output.write(&[0; 512][..padding as usize])
    }
}
