//! The layer of an overlay upper directory: what overlayfs wrote there, in the image's terms.

use super::node::{Node, names};
use super::writer::Writer;
use crate::apply::{Marks, is_whiteout};
use crate::error::{Context, LayerError, Result};
use crate::merged::{Layers, Shown, Stack};
use crate::path::join;

/// Layer 0 is the upper directory.
pub struct Export<'a> {
    pub writer: &'a mut Writer,
    pub layers: &'a Layers,
    pub marks: Marks,
}

impl Export<'_> {
    pub fn run(&mut self) -> Result<()> {
        self.changes(&self.layers.root(), b"")
    }

    /// What the upper directory has of a merged directory; its own part is the first.
    fn changes(&mut self, merged: &Stack, path: &[u8]) -> Result<()> {
        let Some(own) = merged.first() else { return Ok(()) };
        for name in names(&own.directory, path)? {
            // Gone since it was listed: the upper directory may be in use.
            let Some(node) = Node::find(&own.directory, &name, path)? else {
                continue;
            };
            if is_whiteout(&node.stat) {
                self.writer.whiteout(path, &name)?;
            } else if node.is_directory() {
                self.directory(merged, &node)?;
            } else {
                self.file(merged, &node)?;
            }
        }
        Ok(())
    }

    fn directory(&mut self, merged: &Stack, node: &Node<'_>) -> Result<()> {
        let opened = node.open_directory()?;
        let Shown::Directory(below) = self.layers.find(merged, &node.name, &node.path)? else {
            return Ok(());
        };
        self.writer.node(node)?;
        if self.marks.redirect(&opened, &node.path)?.is_some() {
            if self.layers.is_single() {
                return Err(needs_lowers(&node.path));
            }
            return self.moved(merged, node, &below);
        }
        if self.marks.is_opaque(&opened, &node.path)? {
            self.writer.opaque(&node.path)?;
        }
        self.changes(&below, &node.path)
    }

    /// A directory that came from elsewhere: images know no renames, so all that it shows is written.
    fn moved(&mut self, merged: &Stack, node: &Node<'_>, shown: &Stack) -> Result<()> {
        // What the layers below have under the new name is not in it.
        if let Shown::Directory(_) = self.layers.find(&merged[1..], &node.name, &node.path)? {
            self.writer.opaque(&node.path)?;
        }
        self.whole(shown, &node.path)
    }

    /// All that a merged directory shows.
    fn whole(&mut self, merged: &Stack, path: &[u8]) -> Result<()> {
        let mut all = Vec::new();
        for part in merged {
            all.extend(names(&part.directory, path)?);
        }
        all.sort();
        all.dedup();
        for name in all {
            let below = join(path, &name);
            match self.layers.find(merged, &name, &below)? {
                Shown::Nothing => {}
                Shown::File {
                    holder, name: found, ..
                } => {
                    if let Some(node) = self.shown_as(&holder, &found, &below)? {
                        self.file(&holder, &node)?;
                    }
                }
                Shown::Directory(stack) => self.whole_directory(&stack, below)?,
            }
        }
        Ok(())
    }

    fn whole_directory(&mut self, stack: &Stack, path: Vec<u8>) -> Result<()> {
        let Some(top) = stack.first() else { return Ok(()) };
        let stat = rustix::fs::fstat(&top.directory).call("fstat", &path)?;
        let node = Node {
            parent: &top.directory,
            name: b".".to_vec(),
            path,
            stat,
        };
        self.writer.node(&node)?;
        self.whole(stack, &node.path)
    }

    /// The file `found` of a layer, under the name that it has above.
    fn shown_as<'s>(&self, holder: &'s Stack, found: &[u8], path: &[u8]) -> Result<Option<Node<'s>>> {
        let Some(top) = holder.first() else {
            return Ok(None);
        };
        let node = Node::find(&top.directory, found, path)?;
        Ok(node.map(|node| Node {
            path: path.to_vec(),
            ..node
        }))
    }

    fn file(&mut self, holder: &Stack, node: &Node<'_>) -> Result<()> {
        let layers = self.layers;
        self.writer.node_with(node, |node| {
            layers
                .data_of(holder.clone(), node.name.clone(), &node.path)
                .map(Some)
        })
    }
}

fn needs_lowers(path: &[u8]) -> LayerError {
    LayerError::archive(format!(
        "'{}' was renamed and lies in a lower layer: name the layers below, or compare the mounted trees (mode diff)",
        String::from_utf8_lossy(path)
    ))
}
