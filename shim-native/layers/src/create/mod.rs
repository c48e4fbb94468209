//! Making a layer: the reverse of [`crate::apply`].

mod compare;
mod node;
mod output;
mod upper;
mod writer;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::apply::{Marks, open_root};
use crate::error::{Context, LayerError, Result};
use crate::input::Compression;
use crate::merged::Layers;
use crate::tar::Time;
use compare::Comparison;
use output::Output;
pub use output::Written;
use upper::Export;
use writer::Writer;

/// Address space only, until it is used.
const STACK: usize = 64 << 20;

/// What the layer describes.
pub enum Changes {
    /// What overlayfs wrote into an upper directory. `lowers`, topmost first, are what it lay on: needed for what the
    /// upper directory takes from there under another name (`redirect_dir`, `metacopy`).
    Upper {
        directory: PathBuf,
        marks: Marks,
        lowers: Vec<PathBuf>,
    },
    /// What changed from one tree (`None`: an empty one) to another.
    Between { lower: Option<PathBuf>, upper: PathBuf },
}

/// How the archive is written.
#[derive(Debug, Clone, Copy)]
pub struct Packing {
    pub compression: Compression,
    /// No entry is younger; younger ones get this time (reproducible-builds.org, `SOURCE_DATE_EPOCH`).
    pub latest: Option<Time>,
}

impl From<Compression> for Packing {
    fn from(compression: Compression) -> Self {
        Self {
            compression,
            latest: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    pub written: Written,
    pub entries: u64,
}

/// Writes the layer to `file`, from its current position. Entries are sorted by their names' bytes, a directory before what is in it;
/// the same tree gives the same bytes. The root itself is not part of a layer; sockets are left out.
pub fn create(
    changes: &Changes,
    file: File,
    packing: impl Into<Packing>,
    cancel: Arc<AtomicBool>,
) -> Result<Created> {
    let packing = packing.into();
    // One stack frame per directory level; names of 4096 bytes can have 2048 of those.
    let thread = std::thread::Builder::new()
        .name("layer-output".to_owned())
        .stack_size(STACK);
    std::thread::scope(|scope| {
        let work = || write(changes, file, packing, cancel);
        let running = thread.spawn_scoped(scope, work).call("clone", b"layer-output")?;
        running
            .join()
            .unwrap_or_else(|_| Err(LayerError::archive("the writing thread panicked")))
    })
}

fn write(changes: &Changes, file: File, packing: Packing, cancel: Arc<AtomicBool>) -> Result<Created> {
    let mut writer = Writer::new(Output::new(file, packing.compression)?, packing.latest, cancel);
    match changes {
        Changes::Upper {
            directory,
            marks,
            lowers,
        } => {
            let all = std::iter::once(directory).chain(lowers).map(PathBuf::as_path);
            let layers = Layers::open(all, *marks)?;
            Export {
                writer: &mut writer,
                layers: &layers,
                marks: *marks,
            }
            .run()?;
        }
        Changes::Between { lower, upper } => {
            let lower = lower.as_deref().map(open_root).transpose()?;
            Comparison { writer: &mut writer }.run(lower.as_ref(), &open_root(upper)?)?;
        }
    }
    let (written, entries) = writer.finish()?;
    Ok(Created { written, entries })
}
