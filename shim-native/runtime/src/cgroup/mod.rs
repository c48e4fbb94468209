//! Control groups: v1, v2 and hybrid hosts.
//!
//! [`host`] finds out what is mounted, [`group`] is one container's group over all hierarchies, [`v1`] and
//! [`v2`] translate `linux.resources` into files.

mod device_program;
mod device_rules;
mod files;
mod freezer;
mod group;
mod host;
mod oom;
mod placement;
mod statistics;
mod systemd;
mod v1;
mod v2;

pub(crate) use group::{Attachment, Cgroup, V1Group};
pub(crate) use host::Host;
pub(crate) use oom::OomWatch;

use serde::{Deserialize, Serialize};

/// How this host mounts its control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupKind {
    /// Every controller in its own v1 hierarchy.
    V1,
    /// v1 controllers, plus a v2 tree without (or with few) controllers at `unified`.
    Hybrid,
    /// One v2 tree.
    V2,
}

#[cfg(test)]
mod tests;
