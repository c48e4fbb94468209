//! Reading a group's figures.

use super::files::{number, pairs, read_optional};
use super::group::Cgroup;
use super::{CgroupKind, files};
use crate::stats::{
    BlkioEntry, BlkioStats, CgroupVersion, CpuStats, HugetlbStats, MemoryStats, PidsStats, Stats,
};
use std::collections::BTreeMap;
use std::path::Path;

impl Cgroup {
    /// All figures the host offers. A file that is missing or unreadable counts as zero.
    pub(crate) fn stats(&self) -> Stats {
        match (self.kind, &self.v2) {
            (CgroupKind::V2, Some(dir)) => v2(dir),
            _ => v1(self),
        }
    }
}

fn v1(group: &Cgroup) -> Stats {
    let of = |controller: &str| group.v1_dir(controller);
    Stats {
        version: CgroupVersion::V1,
        cpu: v1_cpu(of("cpu"), of("cpuacct")),
        memory: of("memory").map(v1_memory).unwrap_or_default(),
        pids: of("pids").map(pids).unwrap_or_default(),
        blkio: of("blkio").map(v1_blkio).unwrap_or_default(),
        hugetlb: of("hugetlb")
            .map(|dir| hugetlb(dir, ["usage_in_bytes", "max_usage_in_bytes", "failcnt"]))
            .unwrap_or_default(),
    }
}

fn v1_cpu(cpu: Option<&Path>, account: Option<&Path>) -> CpuStats {
    let mut stats = CpuStats::default();
    if let Some(dir) = account {
        stats.usage_total_ns = number(dir, "cpuacct.usage");
        stats.usage_user_ns = number(dir, "cpuacct.usage_user");
        stats.usage_kernel_ns = number(dir, "cpuacct.usage_sys");
        let percpu = read_optional(dir, "cpuacct.usage_percpu").unwrap_or_default();
        stats.usage_percpu_ns = percpu.split_whitespace().map(files::parse_number).collect();
    }
    let throttling = cpu
        .and_then(|dir| read_optional(dir, "cpu.stat"))
        .unwrap_or_default();
    for (name, value) in pairs(&throttling) {
        match name {
            "nr_periods" => stats.periods = value,
            "nr_throttled" => stats.throttled_periods = value,
            "throttled_time" => stats.throttled_time_ns = value,
            _ => {}
        }
    }
    stats
}

fn v1_memory(dir: &Path) -> MemoryStats {
    let of = |what: &str, file: &str| number(dir, &format!("memory.{what}{file}"));
    let mut stats = MemoryStats {
        usage: of("", "usage_in_bytes"),
        max_usage: of("", "max_usage_in_bytes"),
        limit: of("", "limit_in_bytes"),
        failcnt: of("", "failcnt"),
        swap_usage: of("memsw.", "usage_in_bytes"),
        swap_max_usage: of("memsw.", "max_usage_in_bytes"),
        swap_limit: of("memsw.", "limit_in_bytes"),
        swap_failcnt: of("memsw.", "failcnt"),
        kernel_usage: of("kmem.", "usage_in_bytes"),
        kernel_max_usage: of("kmem.", "max_usage_in_bytes"),
        kernel_limit: of("kmem.", "limit_in_bytes"),
        kernel_failcnt: of("kmem.", "failcnt"),
        kernel_tcp_usage: of("kmem.tcp.", "usage_in_bytes"),
        kernel_tcp_max_usage: of("kmem.tcp.", "max_usage_in_bytes"),
        kernel_tcp_limit: of("kmem.tcp.", "limit_in_bytes"),
        kernel_tcp_failcnt: of("kmem.tcp.", "failcnt"),
        stat: table(dir, "memory.stat"),
        events: table(dir, "memory.oom_control"),
    };
    stats.events.retain(|name, _| name == "oom_kill");
    stats
}

fn table(dir: &Path, file: &str) -> BTreeMap<String, u64> {
    let text = read_optional(dir, file).unwrap_or_default();
    pairs(&text)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn pids(dir: &Path) -> PidsStats {
    let limit = number(dir, "pids.max");
    PidsStats {
        current: number(dir, "pids.current"),
        limit: if limit == u64::MAX { 0 } else { limit },
    }
}

/// The first flavour that has rows: bfq's, or the throttling layer's, which every kernel keeps.
fn v1_blkio(dir: &Path) -> BlkioStats {
    let rows = |what: &str| {
        let candidates = [
            format!("blkio.bfq.{what}_recursive"),
            format!("blkio.throttle.{what}_recursive"),
        ];
        let parsed = candidates
            .iter()
            .map(|file| v1_blkio_rows(&read_optional(dir, file).unwrap_or_default()));
        parsed
            .into_iter()
            .find(|rows| !rows.is_empty())
            .unwrap_or_default()
    };
    BlkioStats {
        service_bytes: rows("io_service_bytes"),
        serviced: rows("io_serviced"),
    }
}

/// Lines of `major:minor Operation value`; the grand total line has no device and is left out.
fn v1_blkio_rows(text: &str) -> Vec<BlkioEntry> {
    let row = |line: &str| {
        let mut fields = line.split_whitespace();
        let (major, minor) = fields.next()?.split_once(':')?;
        let op = fields.next()?.to_owned();
        Some(BlkioEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            op,
            value: fields.next()?.parse().ok()?,
        })
    };
    text.lines().filter_map(row).collect()
}

fn hugetlb(dir: &Path, names: [&str; 3]) -> Vec<HugetlbStats> {
    let Ok(sizes) = std::fs::read_dir("/sys/kernel/mm/hugepages") else {
        return Vec::new();
    };
    let page_size = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let kib: u64 = name
            .strip_prefix("hugepages-")?
            .strip_suffix("kB")?
            .parse()
            .ok()?;
        Some(if kib >= 1 << 20 {
            format!("{}GB", kib >> 20)
        } else if kib >= 1024 {
            format!("{}MB", kib >> 10)
        } else {
            format!("{kib}KB")
        })
    };
    let figures = |page_size: String| {
        let [usage, max, failcnt] = names.map(|name| number(dir, &format!("hugetlb.{page_size}.{name}")));
        HugetlbStats {
            page_size,
            usage,
            max,
            failcnt,
        }
    };
    sizes.flatten().filter_map(page_size).map(figures).collect()
}

fn v2(dir: &Path) -> Stats {
    Stats {
        version: CgroupVersion::V2,
        cpu: v2_cpu(dir),
        memory: v2_memory(dir),
        pids: pids(dir),
        blkio: v2_io(&read_optional(dir, "io.stat").unwrap_or_default()),
        hugetlb: hugetlb(dir, ["current", "max", "events"]),
    }
}

fn v2_cpu(dir: &Path) -> CpuStats {
    let mut stats = CpuStats::default();
    for (name, value) in pairs(&read_optional(dir, "cpu.stat").unwrap_or_default()) {
        match name {
            "usage_usec" => stats.usage_total_ns = value * 1000,
            "user_usec" => stats.usage_user_ns = value * 1000,
            "system_usec" => stats.usage_kernel_ns = value * 1000,
            "nr_periods" => stats.periods = value,
            "nr_throttled" => stats.throttled_periods = value,
            "throttled_usec" => stats.throttled_time_ns = value * 1000,
            _ => {}
        }
    }
    stats
}

fn v2_memory(dir: &Path) -> MemoryStats {
    let events = table(dir, "memory.events");
    MemoryStats {
        usage: number(dir, "memory.current"),
        max_usage: number(dir, "memory.peak"),
        limit: number(dir, "memory.max"),
        failcnt: events.get("max").copied().unwrap_or(0),
        swap_usage: number(dir, "memory.swap.current"),
        swap_max_usage: number(dir, "memory.swap.peak"),
        swap_limit: number(dir, "memory.swap.max"),
        stat: table(dir, "memory.stat"),
        events,
        ..MemoryStats::default()
    }
}

/// Lines of `major:minor rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn v2_io(text: &str) -> BlkioStats {
    let mut stats = BlkioStats::default();
    for line in text.lines() {
        let mut fields = line.split_whitespace();
        let Some((major, minor)) = fields.next().and_then(|device| device.split_once(':')) else {
            continue;
        };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else {
            continue;
        };
        for (key, value) in fields.filter_map(|field| field.split_once('=')) {
            let (list, op) = match key {
                "rbytes" => (&mut stats.service_bytes, "Read"),
                "wbytes" => (&mut stats.service_bytes, "Write"),
                "dbytes" => (&mut stats.service_bytes, "Discard"),
                "rios" => (&mut stats.serviced, "Read"),
                "wios" => (&mut stats.serviced, "Write"),
                "dios" => (&mut stats.serviced, "Discard"),
                _ => continue,
            };
            list.push(BlkioEntry {
                major,
                minor,
                op: op.to_owned(),
                value: files::parse_number(value),
            });
        }
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_rows_leave_the_grand_total_out() {
        let rows = v1_blkio_rows("8:0 Read 512\n8:0 Total 512\nTotal 512\n");
        assert_eq!(rows.len(), 2);
        assert_eq!(
            rows[0],
            BlkioEntry {
                major: 8,
                minor: 0,
                op: "Read".into(),
                value: 512
            }
        );
    }

    #[test]
    fn v2_rows_are_split_by_operation() {
        let stats = v2_io("254:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n");
        let of = |list: &[BlkioEntry], op: &str| list.iter().find(|e| e.op == op).unwrap().value;
        assert_eq!(
            (of(&stats.service_bytes, "Write"), of(&stats.serviced, "Read")),
            (200, 1)
        );
    }
}
