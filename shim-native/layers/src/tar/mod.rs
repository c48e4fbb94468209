//! tar archives.

mod entry;
mod header;
mod pax;
mod reader;
mod sparse;

pub use entry::{Entry, Kind, Time};
pub use reader::Reader;
