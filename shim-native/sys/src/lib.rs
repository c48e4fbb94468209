//! `gantry-sys`: the N-API addon that gives TypeScript the system calls Node lacks.
//!
//! The contract of every call is in `api/sys/sys.ts`, the only module that loads this library;
//! the names here are those there, in snake case.

#![allow(
    clippy::result_large_err,
    reason = "a failed system call costs more than moving its 200 bytes of explanation"
)]
// napi leaves the registration of exports out of test builds, and then nothing seems to be used.
#![cfg_attr(test, allow(dead_code))]

mod btrfs;
mod copy_tree;
mod datagrams;
mod error;
mod files;
mod iptables;
mod layer;
mod lock;
mod mount;
mod netlink;
mod netns;
mod process;
mod remove_tree;
mod sockets;
mod spawn;
mod thread;
mod usage;
mod xattr;
