//! `linux.resources` as v1 files (Documentation/admin-guide/cgroup-v1).

use super::files;
use super::group::Cgroup;
use super::{CgroupKind, device_rules};
use crate::error::{Error, Step, Warning};
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources, LinuxThrottleDevice};
use rustix::io::Errno;
use std::path::Path;

pub(super) const FROZEN: &str = "FROZEN";
pub(super) const THAWED: &str = "THAWED";

pub(super) fn apply(
    group: &Cgroup,
    resources: &LinuxResources,
    initial: bool,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    if initial
        || resources
            .devices()
            .as_ref()
            .is_some_and(|rules| !rules.is_empty())
    {
        devices(group, resources, initial)?;
    }
    if let Some(memory) = resources.memory() {
        let dir = need(group, "memory", "linux.resources.memory")?;
        apply_memory(dir, memory, warnings)?;
    }
    if let Some(cpu) = resources.cpu() {
        apply_cpu(group, cpu)?;
    }
    if let Some(pids) = resources.pids() {
        let value = if pids.limit() > 0 {
            pids.limit().to_string()
        } else {
            "max".to_owned()
        };
        files::write(need(group, "pids", "linux.resources.pids")?, "pids.max", &value)?;
    }
    if let Some(io) = resources.block_io() {
        apply_blkio(need(group, "blkio", "linux.resources.blockIO")?, io, warnings)?;
    }
    apply_rest(group, resources)
}

fn apply_rest(group: &Cgroup, resources: &LinuxResources) -> Result<(), Error> {
    for limit in resources.hugepage_limits().iter().flatten() {
        let dir = need(group, "hugetlb", "linux.resources.hugepageLimits")?;
        files::write(
            dir,
            &format!("hugetlb.{}.limit_in_bytes", limit.page_size()),
            &limit.limit().to_string(),
        )?;
    }
    if let Some(network) = resources.network() {
        if let Some(class) = network.class_id() {
            files::write(
                need(group, "net_cls", "linux.resources.network.classID")?,
                "net_cls.classid",
                &class.to_string(),
            )?;
        }
        for priority in network.priorities().iter().flatten() {
            let dir = need(group, "net_prio", "linux.resources.network.priorities")?;
            let line = format!("{} {}", priority.name(), priority.priority());
            files::write(dir, "net_prio.ifpriomap", &line)?;
        }
    }
    match (resources.unified(), &group.v2) {
        (Some(unified), Some(dir)) if !unified.is_empty() => super::v2::apply_unified(dir, unified),
        (Some(unified), None) if !unified.is_empty() => {
            let why = "this host has cgroup v1 only".to_owned();
            Err(Error::Unsupported {
                what: "linux.resources.unified".into(),
                why,
            })
        }
        _ => Ok(()),
    }
}

fn need<'g>(group: &'g Cgroup, controller: &str, field: &str) -> Result<&'g Path, Error> {
    group.v1_dir(controller).ok_or_else(|| Error::Unsupported {
        what: field.to_owned(),
        why: format!(
            "the host has no v1 controller {controller:?} (cgroups are {:?})",
            group.kind
        ),
    })
}

fn devices(group: &Cgroup, resources: &LinuxResources, initial: bool) -> Result<(), Error> {
    debug_assert!(group.kind != CgroupKind::V2);
    let Some(dir) = group.v1_dir("devices") else {
        let why = "the host has no devices controller, so devices cannot be confined".to_owned();
        return Err(Error::Unsupported {
            what: "linux.resources.devices".into(),
            why,
        });
    };
    let allow = files::Commands::open(dir, "devices.allow")?;
    let deny = files::Commands::open(dir, "devices.deny")?;
    for rule in device_rules::resolve(resources.devices().as_deref().unwrap_or_default(), initial)? {
        let file = if rule.allow { &allow } else { &deny };
        file.give(&rule.v1_line())?;
    }
    Ok(())
}

/// Memory and memory+swap bound each other at every instant, so the order depends on the direction.
fn apply_memory(dir: &Path, memory: &LinuxMemory, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    const LIMIT: &str = "memory.limit_in_bytes";
    const SWAP: &str = "memory.memsw.limit_in_bytes";
    // Lifting the memory limit lifts the sum too: a sum below it would be refused.
    let swap = memory
        .swap()
        .filter(|swap| *swap != 0)
        .or((memory.limit() == Some(-1)).then_some(-1));
    let set_limit = || match memory.limit().filter(|limit| *limit != 0) {
        Some(limit) => files::write(dir, LIMIT, &limit.to_string()),
        None => Ok(()),
    };
    let raising = swap.is_some_and(|swap| swap < 0 || swap as u64 > files::number(dir, LIMIT));
    let has_swap = dir.join(SWAP).exists();
    if let (Some(swap), false) = (swap, has_swap) {
        if swap > 0 {
            let message = format!("swap limit {swap} skipped: the kernel has no swap accounting (no {SWAP})");
            warnings.push(Warning {
                step: Step::Cgroup,
                message,
            });
        }
        set_limit()?;
    } else if let (Some(swap), true) = (swap, raising) {
        files::write(dir, SWAP, &swap.to_string())?;
        set_limit()?;
    } else {
        set_limit()?;
        if let Some(swap) = swap {
            files::write(dir, SWAP, &swap.to_string())?;
        }
    }
    apply_memory_rest(dir, memory)
}

fn apply_memory_rest(dir: &Path, memory: &LinuxMemory) -> Result<(), Error> {
    if let Some(reservation) = memory.reservation().filter(|value| *value != 0) {
        files::write(dir, "memory.soft_limit_in_bytes", &reservation.to_string())?;
    }
    if let Some(limit) = memory.kernel_tcp().filter(|value| *value != 0) {
        files::write(dir, "memory.kmem.tcp.limit_in_bytes", &limit.to_string())?;
    }
    if let Some(swappiness) = memory.swappiness() {
        if swappiness > 100 {
            let reason = format!("{swappiness} is not between 0 and 100");
            return Err(Error::spec("linux.resources.memory.swappiness", reason));
        }
        files::write(dir, "memory.swappiness", &swappiness.to_string())?;
    }
    if memory.disable_oom_killer() == Some(true) {
        files::write(dir, "memory.oom_control", "1")?;
    }
    Ok(())
}

fn apply_cpu(group: &Cgroup, cpu: &LinuxCpu) -> Result<(), Error> {
    let timing = [
        cpu.shares().is_some(),
        cpu.quota().is_some(),
        cpu.period().is_some(),
        cpu.idle().is_some(),
        cpu.burst().is_some(),
        cpu.realtime_runtime().is_some(),
        cpu.realtime_period().is_some(),
    ];
    if timing.contains(&true) {
        apply_cpu_time(need(group, "cpu", "linux.resources.cpu")?, cpu)?;
    }
    for (file, value) in [("cpuset.cpus", cpu.cpus()), ("cpuset.mems", cpu.mems())] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            files::write(need(group, "cpuset", "linux.resources.cpu")?, file, value)?;
        }
    }
    Ok(())
}

fn apply_cpu_time(dir: &Path, cpu: &LinuxCpu) -> Result<(), Error> {
    let set = |file: &str, value: Option<String>| match value {
        Some(value) => files::write(dir, file, &value),
        None => Ok(()),
    };
    set(
        "cpu.shares",
        cpu.shares()
            .filter(|shares| *shares != 0)
            .map(|shares| shares.to_string()),
    )?;
    let period = cpu
        .period()
        .filter(|period| *period != 0)
        .map(|period| period.to_string());
    let quota = cpu
        .quota()
        .filter(|quota| *quota != 0)
        .map(|quota| quota.to_string());
    let period_first = period
        .as_ref()
        .map(|period| files::try_write(dir, "cpu.cfs_period_us", period));
    set("cpu.cfs_quota_us", quota)?;
    // A shorter period than the old quota allows is only accepted after the quota shrank.
    match period_first {
        Some(Err(Errno::INVAL)) => set("cpu.cfs_period_us", period)?,
        Some(Err(errno)) => return Err(files::failed(dir, "cpu.cfs_period_us", period.as_deref(), errno)),
        _ => {}
    }
    set("cpu.cfs_burst_us", cpu.burst().map(|burst| burst.to_string()))?;
    set(
        "cpu.rt_period_us",
        cpu.realtime_period().filter(|v| *v != 0).map(|v| v.to_string()),
    )?;
    set(
        "cpu.rt_runtime_us",
        cpu.realtime_runtime().filter(|v| *v != 0).map(|v| v.to_string()),
    )?;
    set("cpu.idle", cpu.idle().map(|idle| idle.to_string()))
}

fn apply_blkio(dir: &Path, io: &LinuxBlockIo, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    let mut weights = Vec::new();
    if let Some(weight) = io.weight().filter(|weight| *weight != 0) {
        weights.push(("weight", weight.to_string()));
    }
    for device in io.weight_device().iter().flatten() {
        if let Some(weight) = device.weight() {
            weights.push((
                "weight_device",
                format!("{}:{} {weight}", device.major(), device.minor()),
            ));
        }
    }
    for (file, value) in weights {
        let candidates = [format!("blkio.{file}"), format!("blkio.bfq.{file}")];
        match candidates.iter().find(|candidate| dir.join(candidate).exists()) {
            Some(found) => files::write(dir, found, &value)?,
            None => {
                let message =
                    format!("blkio {file} {value} skipped: no I/O scheduler with weights (bfq) is there");
                warnings.push(Warning {
                    step: Step::Cgroup,
                    message,
                });
            }
        }
    }
    throttle(dir, "read_bps", io.throttle_read_bps_device())?;
    throttle(dir, "write_bps", io.throttle_write_bps_device())?;
    throttle(dir, "read_iops", io.throttle_read_iops_device())?;
    throttle(dir, "write_iops", io.throttle_write_iops_device())
}

fn throttle(dir: &Path, what: &str, devices: &Option<Vec<LinuxThrottleDevice>>) -> Result<(), Error> {
    for device in devices.iter().flatten() {
        let line = format!("{}:{} {}", device.major(), device.minor(), device.rate());
        files::write(dir, &format!("blkio.throttle.{what}_device"), &line)?;
    }
    Ok(())
}

/// A new v1 cpuset is empty and takes no process until it has CPUs and memory nodes: they are copied down
/// from the nearest ancestor that has some.
pub(super) fn inherit_cpuset(mount: &Path, dir: &Path) -> Result<(), Error> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        inherit(mount, dir, file)?;
    }
    Ok(())
}

/// What `dir` has in `file` afterwards.
fn inherit(mount: &Path, dir: &Path, file: &str) -> Result<String, Error> {
    let own = files::read(dir, file)?;
    let Some(parent) = dir.parent().filter(|_| dir != mount && own.trim().is_empty()) else {
        return Ok(own);
    };
    let inherited = inherit(mount, parent, file)?;
    files::write(dir, file, inherited.trim())?;
    Ok(inherited)
}
