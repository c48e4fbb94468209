//! `gantry-layers`: image layers, unpacked in one streaming pass, and made.
//!
//! [`apply`] reads a layer once: it decompresses, hashes the uncompressed bytes (the diffID) and writes the
//! files, the first two on a thread of their own. Nothing in an archive reaches outside of the target
//! directory, and every input is bounded by [`Limits`]. [`create`] is the reverse: the layer of an overlay upper
//! directory, or of the difference of two trees.

mod apply;
mod create;
mod error;
mod input;
mod limits;
mod merged;
mod path;
mod tar;

pub use apply::{Applied, Format, Input, Marks, Target, apply};
pub use create::{Changes, Created, Packing, Written, create};
pub use error::{LayerError, Position, Result};
pub use input::Compression;
pub use limits::Limits;
pub use tar::Time;
