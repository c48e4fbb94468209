//! Unpacking a layer.

mod attributes;
mod copy_up;
mod lowers;
mod overlay;
mod remove;
mod tree;
mod whiteout;
mod write;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::fs::{self, Mode, OFlags};

use crate::error::{Context, Result};
use crate::input::{Compression, Decompressor, Source, Stream};
use crate::limits::Limits;
use crate::path::{CleanPath, split};
use crate::tar::{Reader, Time};
use attributes::timestamps;
use lowers::Lowers;
pub use overlay::Marks;
pub(crate) use overlay::{is_reserved, is_whiteout};
use tree::Tree;
pub(crate) use tree::open_directory;

/// What the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A root directory: whiteouts remove what they name.
    Plain,
    /// An overlay upper directory: whiteouts are written down in overlayfs' form.
    Overlay(Marks),
}

/// Which bytes make up the layer.
pub struct Input {
    pub file: File,
    pub offset: u64,
    /// `None`: to the end of the file.
    pub length: Option<u64>,
    pub compression: Compression,
}

pub struct Target {
    /// An existing directory.
    pub directory: PathBuf,
    pub format: Format,
    /// For an overlay: the directories below, topmost first, as in `lowerdir=`.
    pub lowers: Vec<PathBuf>,
    /// syncfs(2) when all is written.
    pub sync: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// sha256 of the whole uncompressed stream.
    pub sha256: [u8; 32],
    pub uncompressed_bytes: u64,
    pub entries: u64,
    /// Extended attributes that the target's file system cannot hold.
    pub skipped_xattrs: u64,
}

/// Unpacks `input` into `target` in one pass. Setting `cancel` makes it fail with `Cancelled` soon.
/// After a failure the target holds a part of the layer.
pub fn apply(input: Input, target: &Target, limits: Limits, cancel: Arc<AtomicBool>) -> Result<Applied> {
    let mut applier = Applier::new(target)?;
    let source = Source::new(input.file, input.offset, input.length);
    let decompressor = Decompressor::new(source, input.compression)?;
    let mut reader = Reader::new(Stream::new(decompressor, limits.max_total_bytes, cancel)?, limits);
    while let Some(entry) = reader.next()? {
        let offset = reader.offset();
        applier
            .entry(&entry, &mut reader)
            .map_err(|error| error.at(&entry.path, offset))?;
    }
    applier.finish(target.sync)?;
    let entries = reader.entries();
    let summary = reader.finish()?;
    Ok(Applied {
        sha256: summary.sha256,
        uncompressed_bytes: summary.bytes,
        entries,
        skipped_xattrs: applier.skipped_xattrs,
    })
}

/// The state of one unpacking.
struct Applier {
    tree: Tree,
    /// Paths this layer put there, and the directories above them: whiteouts of the same layer spare these.
    unpacked: HashSet<CleanPath>,
    /// Directories' times, set last because every new entry changes them.
    times: HashMap<CleanPath, Time>,
    root_is_opaque: bool,
    skipped_xattrs: u64,
}

impl Applier {
    fn new(target: &Target) -> Result<Self> {
        let (marks, lowers) = match target.format {
            Format::Plain => (None, Lowers::new(Vec::new(), Marks::Trusted)),
            Format::Overlay(marks) => {
                let roots = target
                    .lowers
                    .iter()
                    .map(|path| open_root(path))
                    .collect::<Result<_>>()?;
                (Some(marks), Lowers::new(roots, marks))
            }
        };
        Ok(Self {
            tree: Tree::new(open_root(&target.directory)?, marks, lowers),
            unpacked: HashSet::new(),
            times: HashMap::new(),
            root_is_opaque: false,
            skipped_xattrs: 0,
        })
    }

    /// Notes that `path` comes from this layer.
    fn mark_unpacked(&mut self, path: CleanPath) {
        let mut above = split(&path).0.to_vec();
        while !above.is_empty() && !self.unpacked.contains(&above) {
            let next = split(&above).0.to_vec();
            self.unpacked.insert(std::mem::replace(&mut above, next));
        }
        self.unpacked.insert(path);
    }

    fn finish(&mut self, sync: bool) -> Result<()> {
        if self.root_is_opaque {
            self.hide_lower_root()?;
        }
        for (path, time) in std::mem::take(&mut self.tree.inherited_times) {
            self.times.entry(path).or_insert(time);
        }
        for (path, time) in &self.times {
            // Gone, or replaced by something else, in the meantime: nothing to set.
            if let Some(directory) = self.tree.open_straight(path) {
                fs::futimens(&directory, &timestamps(*time)).call("futimens", path)?;
            }
        }
        if sync {
            fs::syncfs(self.tree.root()).call("syncfs", b"/")?;
        }
        Ok(())
    }
}

pub(crate) fn open_root(path: &Path) -> Result<OwnedFd> {
    use std::os::unix::ffi::OsStrExt;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::open(path, flags, Mode::empty()).call("open", path.as_os_str().as_bytes())
}
