//! Resource figures of a container, in the shapes containerd's `io.containerd.cgroups.v1/v2.Metrics` need.

use crate::cgroup::OomWatch;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};

/// Which interface the figures came from. Hybrid hosts answer [`CgroupVersion::V1`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupVersion {
    V1,
    V2,
}

/// A snapshot of every figure that the host's controllers offer. Missing controllers leave zeros.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    pub version: CgroupVersion,
    pub cpu: CpuStats,
    pub memory: MemoryStats,
    pub pids: PidsStats,
    pub blkio: BlkioStats,
    pub hugetlb: Vec<HugetlbStats>,
}

/// CPU time in nanoseconds, whatever the interface reports in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuStats {
    pub usage_total_ns: u64,
    pub usage_user_ns: u64,
    pub usage_kernel_ns: u64,
    /// One entry per CPU; v1 only (`cpuacct.usage_percpu`).
    pub usage_percpu_ns: Vec<u64>,
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_time_ns: u64,
}

/// Bytes. A limit of `u64::MAX` (v2 `max`) or v1's page-rounded i64 maximum means none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryStats {
    pub usage: u64,
    pub max_usage: u64,
    pub limit: u64,
    /// v1: failures to allocate (`memory.failcnt`); v2: `memory.events` `max`.
    pub failcnt: u64,
    /// v1: memory+swap figures (`memory.memsw.*`); v2: swap alone (`memory.swap.*`).
    pub swap_usage: u64,
    pub swap_max_usage: u64,
    pub swap_limit: u64,
    pub swap_failcnt: u64,
    pub kernel_usage: u64,
    pub kernel_max_usage: u64,
    pub kernel_limit: u64,
    pub kernel_failcnt: u64,
    pub kernel_tcp_usage: u64,
    pub kernel_tcp_max_usage: u64,
    pub kernel_tcp_limit: u64,
    pub kernel_tcp_failcnt: u64,
    /// `memory.stat` as it is, by the kernel's names (v1 and v2 differ).
    pub stat: BTreeMap<String, u64>,
    /// v2 `memory.events` (low, high, max, oom, oom_kill); v1 `oom_kill` from `memory.oom_control`.
    pub events: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PidsStats {
    pub current: u64,
    /// 0 = no limit.
    pub limit: u64,
}

/// v1: `blkio.throttle.io_service_bytes_recursive` and relatives; v2: `io.stat`, split into the same entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlkioStats {
    pub service_bytes: Vec<BlkioEntry>,
    pub serviced: Vec<BlkioEntry>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlkioEntry {
    pub major: u64,
    pub minor: u64,
    /// `Read`, `Write`, `Sync`, `Async`, `Discard`, `Total`.
    pub op: String,
    pub value: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HugetlbStats {
    /// The kernel's name of the size: `2MB`, `1GB`.
    pub page_size: String,
    pub usage: u64,
    pub max: u64,
    pub failcnt: u64,
}

/// A pollable source of out-of-memory news.
///
/// Wait until [`AsFd::as_fd`] is readable, then call [`OomSource::drain`]. The fd is non-blocking.
#[derive(Debug)]
pub struct OomSource {
    pub(crate) watch: OomWatch,
}

impl OomSource {
    /// Consumes what made the fd readable. Returns how many OOM kills (v2) or OOM notices (v1) are new;
    /// 0 for a spurious wake-up. A v1 source also wakes once when the cgroup is removed.
    pub fn drain(&mut self) -> Result<u64, Errno> {
        self.watch.drain()
    }
}

impl AsFd for OomSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.fd()
    }
}
