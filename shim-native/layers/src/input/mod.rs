//! From a stored layer to its uncompressed stream and digest.

mod decompress;
mod source;
mod stream;

pub use decompress::{Compression, Decompressor};
pub use source::Source;
pub use stream::{Stream, Summary};
