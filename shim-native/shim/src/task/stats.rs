//! Stats: the runtime library's figures in containerd's two shapes.

use super::Shim;
use super::outcome::status;
use crate::proto::containerd::task::v3::{StatsRequest, StatsResponse};
use crate::proto::io::containerd::cgroups::{v1, v2};
use gantry_runtime::{BlkioEntry, CgroupVersion, MemoryStats, Stats};
use prost::Message;
use prost_types::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::Status;

impl Shim {
    pub async fn stats(self: &Arc<Self>, request: StatsRequest) -> Result<StatsResponse, Status> {
        let task = self.task(&request.id)?;
        let stats = task
            .container
            .lock()
            .unwrap()
            .stats()
            .map_err(|e| status("stats failed", &e))?;
        let (type_url, value) = match stats.version {
            CgroupVersion::V1 => (
                "io.containerd.cgroups.v1.Metrics",
                v1_metrics(stats).encode_to_vec(),
            ),
            CgroupVersion::V2 => (
                "io.containerd.cgroups.v2.Metrics",
                v2_metrics(stats).encode_to_vec(),
            ),
        };
        Ok(StatsResponse {
            stats: Some(Any {
                type_url: type_url.into(),
                value,
            }),
        })
    }
}

/// Copies members of the same name, or of the kernel's name given after `=`, out of a `memory.stat`.
macro_rules! from_stat {
    ($into:ident, $stat:ident: $($member:ident $(= $name:literal)?),* $(,)?) => { $(
        $into.$member = $stat.get(from_stat!(@name $member $($name)?)).copied().unwrap_or(0);
    )* };
    (@name $member:ident) => { stringify!($member) };
    (@name $member:ident $name:literal) => { $name };
}

fn v1_metrics(stats: Stats) -> v1::Metrics {
    let cpu = stats.cpu;
    let usage = v1::CpuUsage {
        total: cpu.usage_total_ns,
        kernel: cpu.usage_kernel_ns,
        user: cpu.usage_user_ns,
        per_cpu: cpu.usage_percpu_ns,
    };
    let throttling = v1::Throttle {
        periods: cpu.periods,
        throttled_periods: cpu.throttled_periods,
        throttled_time: cpu.throttled_time_ns,
    };
    let hugetlb = stats.hugetlb.into_iter().map(|page| v1::HugetlbStat {
        usage: page.usage,
        max: page.max,
        failcnt: page.failcnt,
        pagesize: page.page_size,
    });
    let entries = |entries: Vec<BlkioEntry>| entries.into_iter().map(v1_entry).collect();
    v1::Metrics {
        hugetlb: hugetlb.collect(),
        pids: Some(v1::PidsStat {
            current: stats.pids.current,
            limit: stats.pids.limit,
        }),
        cpu: Some(v1::CpuStat {
            usage: Some(usage),
            throttling: Some(throttling),
        }),
        memory_oom_control: Some(v1::MemoryOomControl {
            oom_kill: stats.memory.events.get("oom_kill").copied().unwrap_or(0),
            ..Default::default()
        }),
        memory: Some(v1_memory(&stats.memory)),
        blkio: Some(v1::BlkIoStat {
            io_service_bytes_recursive: entries(stats.blkio.service_bytes),
            io_serviced_recursive: entries(stats.blkio.serviced),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn v1_entry(entry: BlkioEntry) -> v1::BlkIoEntry {
    let BlkioEntry {
        major,
        minor,
        op,
        value,
    } = entry;
    v1::BlkIoEntry {
        op,
        device: String::new(),
        major,
        minor,
        value,
    }
}

fn v1_memory(memory: &MemoryStats) -> v1::MemoryStat {
    let entry = |limit, usage, max, failcnt| {
        Some(v1::MemoryEntry {
            limit,
            usage,
            max,
            failcnt,
        })
    };
    let m = memory;
    let mut into = v1::MemoryStat {
        usage: entry(m.limit, m.usage, m.max_usage, m.failcnt),
        swap: entry(m.swap_limit, m.swap_usage, m.swap_max_usage, m.swap_failcnt),
        kernel: entry(
            m.kernel_limit,
            m.kernel_usage,
            m.kernel_max_usage,
            m.kernel_failcnt,
        ),
        kernel_tcp: entry(
            m.kernel_tcp_limit,
            m.kernel_tcp_usage,
            m.kernel_tcp_max_usage,
            m.kernel_tcp_failcnt,
        ),
        ..Default::default()
    };
    let stat = &memory.stat;
    from_stat!(into, stat:
        cache, rss, rss_huge, mapped_file, dirty, writeback, pg_pg_in = "pgpgin", pg_pg_out = "pgpgout",
        pg_fault = "pgfault", pg_maj_fault = "pgmajfault", inactive_anon, active_anon, inactive_file,
        active_file, unevictable, hierarchical_memory_limit,
        hierarchical_swap_limit = "hierarchical_memsw_limit", total_cache, total_rss, total_rss_huge,
        total_mapped_file, total_dirty, total_writeback, total_pg_pg_in = "total_pgpgin",
        total_pg_pg_out = "total_pgpgout", total_pg_fault = "total_pgfault",
        total_pg_maj_fault = "total_pgmajfault", total_inactive_anon, total_active_anon,
        total_inactive_file, total_active_file, total_unevictable,
    );
    into
}

fn v2_metrics(stats: Stats) -> v2::Metrics {
    let (cpu, events) = (stats.cpu, &stats.memory.events);
    let mut memory_events = v2::MemoryEvents::default();
    from_stat!(memory_events, events: low, high, max, oom, oom_kill, oom_group_kill);
    let hugetlb = stats.hugetlb.into_iter().map(|page| v2::HugeTlbStat {
        current: page.usage,
        max: page.max,
        pagesize: page.page_size,
        failcnt: page.failcnt,
    });
    v2::Metrics {
        pids: Some(v2::PidsStat {
            current: stats.pids.current,
            limit: stats.pids.limit,
        }),
        cpu: Some(v2::CpuStat {
            usage_usec: cpu.usage_total_ns / 1000,
            user_usec: cpu.usage_user_ns / 1000,
            system_usec: cpu.usage_kernel_ns / 1000,
            nr_periods: cpu.periods,
            nr_throttled: cpu.throttled_periods,
            throttled_usec: cpu.throttled_time_ns / 1000,
            ..Default::default()
        }),
        memory: Some(v2_memory(&stats.memory)),
        io: Some(v2::IoStat {
            usage: v2_io(&stats.blkio.service_bytes, &stats.blkio.serviced),
            psi: None,
        }),
        hugetlb: hugetlb.collect(),
        memory_events: Some(memory_events),
        ..Default::default()
    }
}

fn v2_memory(memory: &MemoryStats) -> v2::MemoryStat {
    let mut into = v2::MemoryStat {
        usage: memory.usage,
        usage_limit: memory.limit,
        max_usage: memory.max_usage,
        swap_usage: memory.swap_usage,
        swap_limit: memory.swap_limit,
        swap_max_usage: memory.swap_max_usage,
        ..Default::default()
    };
    let stat = &memory.stat;
    from_stat!(into, stat:
        anon, file, kernel_stack, slab, sock, shmem, file_mapped, file_dirty, file_writeback, anon_thp,
        inactive_anon, active_anon, inactive_file, active_file, unevictable, slab_reclaimable,
        slab_unreclaimable, pgfault, pgmajfault, workingset_nodereclaim, pgrefill, pgscan, pgsteal,
        pgactivate, pgdeactivate, pglazyfree, pglazyfreed, thp_fault_alloc, thp_collapse_alloc,
        workingset_refault_anon, workingset_refault_file, workingset_activate_anon, workingset_activate_file,
    );
    into
}

/// Gathers the entries of each device into one.
fn v2_io(bytes: &[BlkioEntry], counts: &[BlkioEntry]) -> Vec<v2::IoEntry> {
    let mut devices = BTreeMap::new();
    for (entry, is_count) in bytes
        .iter()
        .map(|e| (e, false))
        .chain(counts.iter().map(|e| (e, true)))
    {
        let (major, minor) = (entry.major, entry.minor);
        let device = devices.entry((major, minor)).or_insert(v2::IoEntry {
            major,
            minor,
            ..Default::default()
        });
        match (entry.op.as_str(), is_count) {
            ("Read", false) => device.rbytes = entry.value,
            ("Write", false) => device.wbytes = entry.value,
            ("Read", true) => device.rios = entry.value,
            ("Write", true) => device.wios = entry.value,
            _ => {}
        }
    }
    devices.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_members_by_the_kernels_names() {
        let stat = BTreeMap::from([("pgpgin".to_owned(), 5), ("total_rss".to_owned(), 7)]);
        let memory = v1_memory(&MemoryStats {
            stat,
            usage: 9,
            ..Default::default()
        });
        assert_eq!(
            (memory.pg_pg_in, memory.total_rss, memory.usage.unwrap().usage),
            (5, 7, 9)
        );
    }

    #[test]
    fn gathers_io_by_device() {
        let entry = |op: &str, value| BlkioEntry {
            major: 8,
            minor: 0,
            op: op.into(),
            value,
        };
        let io = v2_io(
            &[entry("Read", 10), entry("Write", 20), entry("Total", 30)],
            &[entry("Read", 1)],
        );
        assert_eq!(io.len(), 1);
        assert_eq!(
            (io[0].rbytes, io[0].wbytes, io[0].rios, io[0].wios),
            (10, 20, 1, 0)
        );
    }
}
