//! The layer of an overlay upper directory: what overlayfs wrote there, in the image's terms.

use std::os::fd::OwnedFd;

use super::node::{Node, names};
use super::writer::Writer;
use crate::apply::{Marks, is_whiteout};
use crate::error::{LayerError, Result};

pub fn write_upper(writer: &mut Writer, upper: &OwnedFd, marks: Marks) -> Result<()> {
    children(writer, upper, b"", marks)
}

fn children(writer: &mut Writer, directory: &OwnedFd, path: &[u8], marks: Marks) -> Result<()> {
    for name in names(directory, path)? {
        // Gone since it was listed: the upper directory may be in use.
        let Some(node) = Node::find(directory, &name, path)? else {
            continue;
        };
        if is_whiteout(&node.stat) {
            writer.whiteout(path, &name)?;
            continue;
        }
        refuse_redirects(&node)?;
        writer.node(&node)?;
        if node.is_directory() {
            let below = node.open_directory()?;
            if marks.is_opaque(&below, &node.path)? {
                writer.opaque(&node.path)?;
            }
            children(writer, &below, &node.path, marks)?;
        }
    }
    Ok(())
}

/// With `redirect_dir` or `metacopy` a file of the upper directory is not all there: the rest is below, under another name.
fn refuse_redirects(node: &Node<'_>) -> Result<()> {
    let partial = |name: &[u8]| {
        name.strip_prefix(b"trusted.overlay.")
            .or_else(|| name.strip_prefix(b"user.overlay."))
            .is_some_and(|mark| matches!(mark, b"redirect" | b"metacopy"))
    };
    match node.xattrs_where(partial)?.first() {
        Some((name, _)) => Err(LayerError::archive(format!(
            "'{}' has {}: compare the mounted trees instead (mode diff)",
            String::from_utf8_lossy(&node.path),
            String::from_utf8_lossy(name)
        ))),
        None => Ok(()),
    }
}
