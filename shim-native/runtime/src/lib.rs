//! Turns an OCI runtime spec into a running container, and changes or ends it afterwards.
//!
//! # Lifecycle
//!
//! [`Container::create`] makes every namespace, cgroup and mount and leaves the container's first
//! process ("init") blocked just before `execve`; [`Container::start`] lets it go. While it runs,
//! [`Container::exec`] adds processes. [`Container::delete`] removes what is left once init is dead.
//! `create` writes `<bundle>/gantry-state.json` durably before the process may run anything of the
//! image, so that [`cleanup`] can finish the job after the caller was killed at any instant.
//!
//! # What the caller owns
//!
//! The library is synchronous and starts no thread. It never reaps the processes it returns (init and
//! execs): they are children of the caller, which does the `waitpid`. It reaps only its own helpers, by
//! pid, so a caller must not run `waitpid(-1)` on another thread while a call is under way. The calling
//! process may have other threads; with exactly one, process creation saves a fork.
//!
//! # Kernel
//!
//! Linux 5.12 or newer (`mount_setattr`, `openat2`, `clone3`, `pidfd`). cgroup v1, v2 and hybrid.

mod capabilities;
pub mod cgroup;
mod container;
mod create;
mod devices;
mod error;
mod exec;
mod features;
mod hooks;
mod init;
mod kernel;
mod listener;
mod mounts;
mod namespaces;
mod options;
mod process;
mod protocol;
mod restore;
mod seccomp;
mod spawn;
mod state;
mod stats;
mod stdio;
mod sysctl;
mod terminal;
pub mod trace;
mod user_mapping;

pub use container::{Container, Created};
pub use error::{Error, ErrorKind, Step, Warning};
pub use exec::{ExecOptions, ExecProcess};
pub use features::features;
pub use oci_spec::runtime as spec;
pub use options::{CgroupConfig, CgroupDriver, CreateOptions, RootfsMount, Stdio};
pub use restore::Entry;
pub use state::{Cleaned, STATE_FILE, cleanup};
pub use stats::{
    BlkioEntry, BlkioStats, CgroupVersion, CpuStats, HugetlbStats, MemoryStats, OomSource, PidsStats, Stats,
};
