//! The state file, and the clean-up of what a killed caller left behind.

use crate::error::{Error, Warning};
use std::path::Path;

/// Name of the state file inside the bundle.
pub const STATE_FILE: &str = "gantry-state.json";

/// What [`cleanup`] found.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// Pid of the init process recorded in the state file, if a state file was there.
    pub init_pid: Option<i32>,
    /// Whether anything was alive and had to be killed.
    pub killed: bool,
    pub warnings: Vec<Warning>,
}

/// Kills and removes whatever is left of container `id`, from the state file in `bundle`: processes
/// (checked by start time, so a reused pid is never hit), cgroups, poststop hooks, the state file itself.
/// Idempotent: nothing there is success. Needs no live [`Container`](crate::Container).
pub fn cleanup(bundle: &Path, id: &str) -> Result<Cleaned, Error> {
    let _ = (bundle, id);
    Err(Error::Unsupported {
        what: "cleanup".into(),
        why: "not implemented".into(),
    })
}
