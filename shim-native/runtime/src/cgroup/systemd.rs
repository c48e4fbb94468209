//! The systemd driver: transient scopes over D-Bus.

use super::CgroupKind;
use crate::error::Error;
use oci_spec::runtime::LinuxResources;

pub(super) fn start_scope(
    slice: &str,
    unit: &str,
    pid: i32,
    resources: Option<&LinuxResources>,
    kind: CgroupKind,
) -> Result<(), Error> {
    let _ = (slice, unit, pid, resources, kind);
    Err(Error::Unsupported {
        what: "cgroup driver systemd".into(),
        why: "not implemented".into(),
    })
}

pub(super) fn stop_unit(unit: &str) -> Result<(), Error> {
    let _ = unit;
    Err(Error::Unsupported {
        what: "cgroup driver systemd".into(),
        why: "not implemented".into(),
    })
}
