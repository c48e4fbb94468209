//! Control groups: v1, v2 and hybrid hosts.

/// How this host mounts its control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupKind {
    /// Every controller in its own v1 hierarchy.
    V1,
    /// v1 controllers, plus a v2 tree without (or with few) controllers at `unified`.
    Hybrid,
    /// One v2 tree.
    V2,
}
