//! tar archives.

mod build;
mod entry;
mod header;
mod pax;
mod reader;
mod sparse;

pub use build::headers;
pub use entry::{Entry, Kind, Time};
pub use reader::Reader;
