//! CRIU, which stores processes and makes them again: one process of it per request, spoken to over a socket (`criu swrk`).

mod client;
mod external;
mod refusal;
mod wire;

pub use client::{Criu, Notified, Setup};
pub use external::{External, NAMESPACES};
pub use refusal::Refusal;
pub use wire::{CgroupMode, CgroupRoot, InheritFd, Kind, Options, Request};

/// Where the links of the first process's streams are kept among the images, in runc's form: a list of three.
pub const DESCRIPTORS: &str = "descriptors.json";

/// Shows everything but single pages; a failed run is explained by its log.
pub const LOG_LEVEL: i32 = 3;
