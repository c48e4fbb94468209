//! Real containers, end to end. Needs root and a static busybox; skips with a message otherwise.

mod support;

mod apparmor;
mod cgroups;
mod crash;
mod errors;
mod exec;
mod files;
mod hooks;
mod identity;
mod isolation;
mod terminal;
mod user_namespace;
