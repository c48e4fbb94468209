//! Additional processes in a running container.

use crate::error::Warning;
use crate::options::Stdio;
use std::os::fd::OwnedFd;

/// What a caller decides about an additional process beyond its `process` object.
pub struct ExecOptions {
    /// Must be [`Stdio::Terminal`] exactly if `process.terminal` is true.
    pub stdio: Stdio,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// As in [`CreateOptions::io_owner`](crate::CreateOptions::io_owner).
    pub io_owner: Option<(u32, u32)>,
}

/// A process that has executed its program inside the container. The caller reaps it.
#[derive(Debug)]
pub struct ExecProcess {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// Master end of the terminal, with [`Stdio::Terminal`].
    pub console: Option<OwnedFd>,
    pub warnings: Vec<Warning>,
}
